// Two threads on every host that is here: the same bits; where there are none, one thread and one warning, and never a hang.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, openChromium, openFirefox } from './browsers.mjs';
import { bundle, FOR_WORKERD, miniflareWorker } from './bundlers.mjs';
import { check, PHOTO_NAMES, runScript } from './results.mjs';
import { application, on, PHOTOS, PROGRAMS, run, serve, temporary, webFolder } from './tools.mjs';

const WARNING = /dinov2-wasm: \S+ (gives no threads|did not start a thread)/g;
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

for (const [name, ...args] of [['node 24'], ['node 26'], ['bun'], ['deno', 'run', '--allow-read', '--allow-sys', '--cached-only']]) {
  on(name)(`${name}: two threads`, async () => {
    const results = await runScript([PROGRAMS[name], ...args], { threads: 2, builds: ['simd'] });
    await check(results, ['simd']);
    for (const { threads, stderr } of results) assert.equal([threads, stderr], [2, '']);
  });
}

on('bun')('bun, compiled into one file that has no script of threads: none, which is said once', async () => {
  const { folder } = await application();
  const program = join(await temporary(), 'program');
  await run(PROGRAMS.bun, ['build', '--compile', 'entries/compiled.mjs', '--outfile', program], { cwd: folder });
  const results = await runScript([program], { script: [], threads: 2, builds: ['simd'] });
  await check(results, ['simd']);
  assert.is(results[0].stderr.match(WARNING)?.length, 1, results[0].stderr);
});

test('workerd has none, which it says', async () => {
  const worker = await miniflareWorker(await bundle('esbuild', ['workerd'], FOR_WORKERD), 'workerd');
  try {
    const results = [];
    for (const photo of PHOTO_NAMES) {
      const { status, text } = await worker.post('/?build=simd&threads=2', readFileSync(join(PHOTOS, photo)));
      assert.is(status, 200, text);
      results.push({ photo, ...JSON.parse(text) });
    }
    await check(results, ['simd']);
    for (const { threads } of results) assert.is(threads, 1);
  } finally {
    await worker.close();
  }
});

for (const [what, bundler, headers, right] of [
  ['vite bundles the threads of an isolated page', 'vite', ISOLATED, { threads: 2, warnings: 0, workers: 1 }],
  ['webpack bundles the threads of an isolated page', 'webpack', ISOLATED, { threads: 2, warnings: 0, workers: 1 }],
  ['a page that is not isolated has one thread', 'vite', {}, { threads: 1, warnings: 1, workers: 0 }],
  ['a bundle without the script of threads computes without', 'esbuild', ISOLATED, { threads: 2, warnings: 1, workers: 0 }],
]) {
  on('chromium')(`chromium: ${what}`, async () => {
    const folder = await bundle(bundler, ['page']);
    await webFolder(folder, 'page.js');
    const server = await serve(folder, headers);
    const browser = await openChromium();
    try {
      const page = await browser.newPage();
      const said = [];
      page.on('console', (message) => said.push(message.text()));
      let workers = 0;
      page.on('worker', () => {
        workers += 1;
      });
      await page.goto(server.url);
      const results = await ask(page, 'onPage', { photos: PHOTO_NAMES, builds: ['simd'], threads: 2 });
      await check(results, ['simd']);
      for (const { threads } of results) assert.is(threads, right.threads);
      const warnings = said.filter((text) => text.match(WARNING));
      assert.is(warnings.length, right.warnings, said.join('\n'));
      if (right.workers) assert.is(workers, PHOTO_NAMES.length * right.workers);
    } finally {
      await browser.close();
      await server.close();
    }
  });
}

on('firefox')('firefox: vite bundles the threads of an isolated page', async () => {
  const folder = await bundle('vite', ['page']);
  await webFolder(folder, 'page.js');
  const server = await serve(folder, ISOLATED);
  const browser = await openFirefox();
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.evaluate(() => {
      window.said = [];
      for (const level of ['log', 'warn', 'error']) console[level] = (...parts) => window.said.push(parts.join(' '));
    });
    const results = await ask(page, 'onPage', { photos: PHOTO_NAMES, builds: ['simd'], threads: 2 });
    await check(results, ['simd']);
    for (const { threads } of results) assert.is(threads, 2);
    assert.equal(await page.evaluate(() => window.said), []);
  } finally {
    await browser.close();
    await server.close();
  }
});

test.run();
