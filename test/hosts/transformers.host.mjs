// The same script with transformers.js (onnxruntime, native) and with this library, on the same weights: names, shapes and values.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { application, installed, PHOTOS, ROOT, run } from './tools.mjs';

/** Of the largest value. */
const TOLERANCE = 1e-5;
/** Mean difference of pixel values from a photograph, 0.0214 as measured: transformers.js resizes with sharp, this library as Pillow. */
const PHOTO_MEAN = 0.03;

test('a script for transformers.js gives the same here', async () => {
  const { folder, package: library } = await application();
  const model = join(folder, 'model');
  await cp(join(library, 'weights'), model, { recursive: true });
  await run(process.execPath, ['--conditions=dinov2-source', '--import', 'tsx', 'test/hosts/writeOnnx.ts', model], { cwd: ROOT });
  const script = async (module) => {
    const args = ['entries/transformers.mjs', module, join(PHOTOS, 'chelsea.png')];
    return JSON.parse((await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 28 })).stdout);
  };
  const theirs = await script(installed('@huggingface/transformers/dist/transformers.node.mjs'));
  const ours = await script('dinov2-wasm');

  assert.equal(ours.config, theirs.config);
  assert.equal(ours.image, theirs.image);
  for (const name of theirs.names) assert.ok(ours.names.includes(name), name);
  for (const name of ['pixel_values', 'last_hidden_state', 'exact']) {
    assert.equal([ours[name].type, ours[name].dims], [theirs[name].type, theirs[name].dims], name);
  }
  const exact = difference(ours.exact.data, theirs.exact.data);
  const pixels = difference(ours.pixel_values.data, theirs.pixel_values.data);
  const photo = difference(ours.last_hidden_state.data, theirs.last_hidden_state.data);
  console.log(`transformers.js: ${JSON.stringify({ exact, pixels, photo })}`);
  assert.ok(exact.max < TOLERANCE * exact.largest, JSON.stringify(exact));
  assert.ok(pixels.mean < PHOTO_MEAN, JSON.stringify(pixels));
});

function difference(a, b) {
  const differences = a.map((x, i) => Math.abs(x - b[i]));
  return {
    max: differences.reduce((max, x) => Math.max(max, x), 0),
    mean: differences.reduce((sum, x) => sum + x, 0) / a.length,
    largest: b.reduce((max, x) => Math.max(max, Math.abs(x)), 0),
  };
}

test.run();
