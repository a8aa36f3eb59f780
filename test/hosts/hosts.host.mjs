// One model and two photographs through every host that is here: the baseline build bit for bit as in Node, the relaxed within 1e-5.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundle, miniflareWorker } from './bundlers.mjs';
import { application, installed, PHOTOS, PROGRAMS, run, serve, temporary, webFolder } from './tools.mjs';

const PHOTO_NAMES = ['chelsea.png', 'rocket.jpg'];
const RELAXED_TOLERANCE = 1e-5; // of the largest value: rounding once where the baseline rounds twice

const MINUTE = 60_000;

/** A test of a host, passed over where its program is not there. */
function host(name, program, body) {
  if (PROGRAMS[program] === undefined && program !== undefined) {
    console.log(`${name}: not run: ${program} is not installed`);
    test.skip(name, body);
  } else test(name, body);
}

const numbers = (base64) => new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);

let reference;

/** What this Node computes with the baseline build, by photograph. */
function expected() {
  reference ??= runScript([process.execPath], ['simd']).then((results) => new Map(results.map((result) => [result.photo, result])));
  return reference;
}

/** Both builds where the host has both, otherwise the baseline twice. */
const BUILDS = ['simd', 'auto'];

async function check(results, builds = BUILDS) {
  assert.is(results.length, PHOTO_NAMES.length * builds.length);
  assert.ok(results.some(({ build }) => build === 'simd'));
  for (const { photo, build, pixels, logits, hidden } of results) {
    const right = (await expected()).get(photo);
    assert.ok(pixels === right.pixels, `${photo}: pixel values`);
    if (build === 'simd') {
      assert.ok(logits === right.logits, `${photo}: logits`);
      assert.ok(hidden === right.hidden, `${photo}: hidden state`);
    } else {
      close(numbers(logits), numbers(right.logits), `${photo}: logits`);
      close(numbers(hidden), numbers(right.hidden), `${photo}: hidden state`);
    }
  }
}

function close(found, right, what) {
  assert.is(found.length, right.length, what);
  const largest = right.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  const difference = found.reduce((max, x, i) => Math.max(max, Math.abs(x - right[i])), 0);
  assert.ok(difference <= RELAXED_TOLERANCE * largest, `${what}: ${difference} of ${largest}`);
}

async function runScript(command, builds = BUILDS, script = ['entries/script.mjs']) {
  const { folder } = await application();
  const pairs = PHOTO_NAMES.flatMap((photo) => builds.map((build) => [join(PHOTOS, photo), build]));
  const [program, ...args] = [...command, ...script, JSON.stringify(pairs)];
  const { stdout } = await run(program, args, { cwd: folder, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout).map((result) => ({ ...result, photo: result.photo.slice(PHOTOS.length + 1) }));
}

test(`node ${process.versions.node}, a second time`, async () => check(await runScript([process.execPath])));

for (const name of ['node 24', 'node 26', 'bun']) {
  host(name, name, async () => check(await runScript([PROGRAMS[name]])));
}

host('deno, allowed to read files and nothing else', 'deno', async () => {
  await check(await runScript([PROGRAMS.deno, 'run', '--allow-read', '--cached-only']));
});

host('bun, compiled into one file and run elsewhere', 'bun', async () => {
  const { folder } = await application();
  const program = join(await temporary(), 'program');
  await run(PROGRAMS.bun, ['build', '--compile', 'entries/compiled.mjs', '--outfile', program], { cwd: folder });
  await check(await runScript([program], BUILDS, []));
});

host('workerd, the model inside the script', undefined, async () => {
  const folder = await bundle('workerd');
  const worker = await miniflareWorker(folder);
  try {
    const results = [];
    for (const photo of PHOTO_NAMES) {
      for (const build of BUILDS) {
        const { status, text } = await worker.post(`/?build=${build}`, readFileSync(join(PHOTOS, photo)));
        assert.is(status, 200, text);
        results.push({ photo, ...JSON.parse(text) });
      }
    }
    await check(results);
  } finally {
    await worker.close();
  }
});

/** The policy under which the library has to work. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'";

for (const [name, open] of [
  ['chromium', openChromium],
  ['firefox', openFirefox],
]) {
  host(`${name}: page, worker and service worker, under a content security policy`, name, async () => {
    const folder = await bundle('esbuild');
    await webFolder(folder);
    const server = await serve(folder, { 'content-security-policy': POLICY });
    const browser = await open();
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      for (const where of ['onPage', 'inWorker', 'inServiceWorker']) {
        const results = await page.evaluate(
          ([call, request]) => globalThis[call](request),
          [where, { photos: PHOTO_NAMES, builds: BUILDS }],
        );
        await check(results);
      }
      const elsewhere = server.requests.filter((path) => !/^\/(weights|photos)\/|\.js$|^\/index.html$|^\/favicon.ico$/.test(path));
      assert.equal(elsewhere, [], 'nothing but scripts, weights and photographs is fetched');
    } finally {
      await browser.close();
      await server.close();
    }
  });
}

async function openChromium() {
  const { chromium } = (await import(installed('playwright-core/index.js'))).default;
  return chromium.launch({ executablePath: PROGRAMS.chromium, args: ['--no-sandbox'], timeout: MINUTE });
}

async function openFirefox() {
  const { launch } = await import(installed('puppeteer-core/lib/puppeteer/puppeteer-core.js'));
  return launch({ browser: 'firefox', executablePath: PROGRAMS.firefox, headless: true, timeout: MINUTE });
}

test.run();
