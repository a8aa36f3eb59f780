// One model and two photographs through every host that is here: the baseline build bit for bit as in Node, the relaxed within 1e-5.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, openChromium, openFirefox } from './browsers.mjs';
import { bundle, edgeRuntime, FOR_WORKERD, miniflareWorker } from './bundlers.mjs';
import { BUILDS, check, PHOTO_NAMES, runScript } from './results.mjs';
import { application, on, PHOTOS, PROGRAMS, run, serve, temporary, webFolder } from './tools.mjs';

test(`node ${process.versions.node}, a second time`, async () => check(await runScript([process.execPath])));

for (const name of ['node 24', 'node 26', 'bun']) {
  on(name)(name, async () => check(await runScript([PROGRAMS[name]])));
}

on('deno')('deno, allowed to read files and nothing else', async () => {
  await check(await runScript([PROGRAMS.deno, 'run', '--allow-read', '--cached-only']));
});

on('bun')('bun, compiled into one file and run elsewhere', async () => {
  const { folder } = await application();
  const program = join(await temporary(), 'program');
  await run(PROGRAMS.bun, ['build', '--compile', 'entries/compiled.mjs', '--outfile', program], { cwd: folder });
  await check(await runScript([program], { script: [] }));
});

test('workerd, the model inside the script', async () => {
  const worker = await miniflareWorker(await bundle('esbuild', ['workerd'], FOR_WORKERD), 'workerd');
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

test("Vercel's edge runtime: a JPEG, with the kernels compiled ahead; a PNG, for which it has nothing, is refused by name", async () => {
  const { package: library } = await application();
  const server = await serve(join(library, 'weights'));
  try {
    const runtime = await edgeRuntime('edge');
    const post = (photo, build) =>
      runtime.post(`/?build=${build}&model=${encodeURIComponent(server.url)}`, readFileSync(join(PHOTOS, photo)));
    const results = [];
    for (const build of BUILDS) {
      const { status, text } = await post('rocket.jpg', build);
      assert.is(status, 200, text);
      results.push({ photo: 'rocket.jpg', ...JSON.parse(text) });
    }
    await check(results, BUILDS, ['rocket.jpg']);
    const refused = await post('chelsea.png', 'simd');
    assert.is(refused.status, 500);
    assert.match(refused.text, /HostError: .* DecompressionStream, which PNG needs, found none: convert it to JPEG/);
  } finally {
    await server.close();
  }
});

/** The policy under which the library has to work. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'";

for (const [name, open] of [
  ['chromium', openChromium],
  ['firefox', openFirefox],
]) {
  on(name)(`${name}: page, worker and service worker, under a content security policy`, async () => {
    // Firefox takes no modules as service workers: scripts without `import.meta`
    const options = { format: 'iife', logOverride: { 'empty-import-meta': 'silent' } };
    const folder = await bundle('esbuild', ['page', 'worker', 'service-worker'], options);
    await webFolder(folder, 'page.js');
    const server = await serve(folder, { 'content-security-policy': POLICY });
    const browser = await open();
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      for (const call of ['onPage', 'inWorker', 'inServiceWorker']) {
        await check(await ask(page, call, { photos: PHOTO_NAMES, builds: BUILDS }));
      }
      const elsewhere = server.requests.filter((path) => !/^\/(weights|photos)\/|\.js$|^\/index.html$|^\/favicon.ico$/.test(path));
      assert.equal(elsewhere, [], 'nothing but scripts, weights and photographs is fetched');
    } finally {
      await browser.close();
      await server.close();
    }
  });
}

test.run();
