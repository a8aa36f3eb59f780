// What every host has to compute: what this Node does with the baseline build, in a process of its own.
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { application, PHOTOS, run } from './tools.mjs';

export const PHOTO_NAMES = ['chelsea.png', 'rocket.jpg'];
/** Both builds where the host has both, otherwise the baseline twice. */
export const BUILDS = ['simd', 'auto'];
/** Of the largest value: the relaxed build rounds once where the baseline rounds twice. */
const RELAXED_TOLERANCE = 1e-5;

/** Results of a script of the application in the terms of `check`. */
export async function runScript(command, { builds = BUILDS, script = ['entries/script.mjs'], threads = 1 } = {}) {
  const { folder } = await application();
  const pairs = PHOTO_NAMES.flatMap((photo) => builds.map((build) => [join(PHOTOS, photo), build, threads]));
  const [program, ...args] = [...command, ...script, JSON.stringify(pairs)];
  const { stdout, stderr } = await run(program, args, { cwd: folder, maxBuffer: 2 ** 26, timeout: 120_000 });
  return JSON.parse(stdout).map((result) => ({ ...result, stderr, photo: result.photo.slice(PHOTOS.length + 1) }));
}

let reference;

function expected() {
  reference ??= runScript([process.execPath], { builds: ['simd'] }).then(
    (results) => new Map(results.map((result) => [result.photo, result])),
  );
  return reference;
}

/** Each photograph with each of the builds: the baseline to the bit, the relaxed nearly. */
export async function check(results, builds = BUILDS, photos = PHOTO_NAMES) {
  assert.is(results.length, photos.length * builds.length);
  assert.ok(results.some(({ build }) => build === 'simd'));
  for (const { photo, build, pixels, logits, hidden } of results) {
    const right = (await expected()).get(photo);
    assert.ok(pixels === right.pixels, `${photo}: pixel values`);
    if (build === 'simd') {
      assert.ok(logits === right.logits, `${photo}: logits`);
      assert.ok(hidden === right.hidden, `${photo}: hidden state`);
    } else {
      assertClose(numbers(logits), numbers(right.logits), `${photo}: logits`);
      assertClose(numbers(hidden), numbers(right.hidden), `${photo}: hidden state`);
    }
  }
}

const numbers = (base64) => new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);

function assertClose(found, right, what) {
  assert.is(found.length, right.length, what);
  const largest = right.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const difference = found.reduce((max, x, i) => Math.max(max, Math.abs(x - right[i])), 0);
  assert.ok(difference <= RELAXED_TOLERANCE * largest, `${what}: ${difference} of ${largest}`);
}
