// The package as it is published: what it holds, how large it is, and what bundlers make of it.
import { readFileSync, statSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, openChromium } from './browsers.mjs';
import { bundle, miniflareWorker } from './bundlers.mjs';
import { BUILDS, check, PHOTO_NAMES, runScript } from './results.mjs';
import { application, installed, on, PHOTOS, PROGRAMS, run, serve, webFolder } from './tools.mjs';

const KB = 1000;
const MB = 1000 * KB;

test('publint finds nothing, in strict mode', async () => {
  const { publint } = await import(installed('publint/src/index-node.js'));
  const { messages } = await publint({ pkgDir: (await application()).package, strict: true, pack: false });
  assert.equal(messages, []);
});

test('the types are not wrong, for importers of modules', async () => {
  const { tarball } = await application();
  const { stdout } = await run(process.execPath, [
    installed('@arethetypeswrong/cli/dist/index.js'),
    ...[tarball, '--profile', 'esm-only', '--format', 'json'],
  ]);
  const { analysis, problems } = JSON.parse(stdout);
  assert.is(analysis.types.kind, 'included');
  assert.ok(Object.keys(analysis.entrypoints).length >= 5);
  const ignored = ['node10', 'node16-cjs']; // resolutions of importers that are no modules
  assert.equal(
    Object.values(problems)
      .flat()
      .filter(({ resolutionKind }) => !ignored.includes(resolutionKind)),
    [],
  );
});

test('nothing runs on installation', async () => {
  const { scripts } = JSON.parse(await readFile(join((await application()).package, 'package.json'), 'utf8'));
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) assert.is(scripts[script], undefined);
});

test('installed with all it needs, without weights, it has less than 2 MB', async () => {
  const { folder } = await application();
  const modules = join(folder, 'node_modules');
  const entries = await readdir(modules, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const weights = join(modules, 'dinov2-wasm/weights');
  const size = files.filter((path) => !path.startsWith(weights)).reduce((sum, path) => sum + statSync(path).size, 0);
  console.log(`installed without weights: ${(size / MB).toFixed(2)} MB`);
  assert.ok(size < 2 * MB, `${size} bytes`);
});

test('the bundle of core and one build has less than 120 KB, compressed', async () => {
  for (const build of ['simd', 'relaxed']) {
    const folder = await bundle('esbuild', ['core-file'], { loader: { '.wasm': 'file' } });
    const script = gzipSync(readFileSync(join(folder, 'core-file.js'))).length;
    const kernels = gzipSync(readFileSync(join((await application()).package, `dist/kernels/${build}.wasm`))).length;
    console.log(`core with build ${build}: ${(script / KB).toFixed(1)} + ${(kernels / KB).toFixed(1)} KB compressed`);
    assert.ok(script + kernels < 120 * KB, `${script} + ${kernels} bytes`);
  }
});

test('core has no kernels in it, what brings them has both', async () => {
  const text = async (entry, options) => readFile(join(await bundle('esbuild', [entry], options), `${entry}.js`), 'utf8');
  assert.not.match(await text('core-file', { loader: { '.wasm': 'file' } }), 'AGFzbQ'); // "\0asm" in base64
  assert.is((await text('page')).split('AGFzbQ').length, 3);
});

test('no code is made from strings', async () => {
  await check(await runScript([process.execPath, '--disallow-code-generation-from-strings']));
});

test('importing it changes no global and asks for no network', async () => {
  const { folder } = await application();
  const script = `
    globalThis.fetch = () => { throw new Error('fetched'); };
    const before = Object.getOwnPropertyNames(globalThis);
    for (const entry of ['', '/core', '/tensor', '/tasks', '/plot', '/serve', '/serve/node']) await import('dinov2-wasm' + entry);
    console.log(JSON.stringify(Object.getOwnPropertyNames(globalThis).filter((name) => !before.includes(name))));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
  assert.equal(JSON.parse(stdout), []);
});

test('core takes kernels as module, bytes, response or URL, and says what is wrong with others', async () => {
  const { folder, package: library } = await application();
  const server = await serve(join(library, 'dist/kernels'));
  try {
    const { stdout } = await run(process.execPath, ['entries/sources.mjs', server.url], { cwd: folder });
    const results = JSON.parse(stdout);
    for (const name of ['module', 'bytes', 'buffer', 'response', 'promise', 'url']) {
      assert.equal(results[name], { build: 'simd', value: results.module.value }, name);
    }
    assert.is.not(results.module.value, 0);
    const relaxed = results.both.build === 'relaxed';
    assert.equal(
      server.requests.filter((path) => path === '/relaxed.wasm').length,
      Number(relaxed),
      'the relaxed build is fetched where it can be used',
    );
    const refused = {
      nothing: ['HostError', 'import "dinov2-wasm"', 'loadKernels()'],
      text: ['NotFoundError', 'wasm.d.ts', 'found another file (application/octet-stream)'],
      missing: ['NotFoundError', 'none.wasm', 'HTTP status 404'],
      unreachable: ['NotFoundError', 'localhost:1', 'content security policy', 'pass the bytes'],
      damaged: ['HostError', 'refuses'],
      other: ['HostError', 'f32_gemm'],
      none: ['ArgumentError', '{ simd, relaxed }'],
      number: ['ArgumentError', 'number'],
    };
    for (const [name, [error, ...parts]] of Object.entries(refused)) {
      assert.is(results[name].error, error, `${name}: ${JSON.stringify(results[name])}`);
      for (const part of parts) assert.ok(results[name].message.includes(part), `${name}: ${results[name].message}`);
    }
  } finally {
    await server.close();
  }
});

test('a host without SIMD is refused by name', async () => {
  const { folder } = await application();
  const script = `
    import { Dinov2Model } from 'dinov2-wasm';
    try { new Dinov2Model({ hidden_size: 64, num_attention_heads: 1 }); } catch (error) { console.log(String(error)); }`;
  for (const flag of ['--no-enable-ssse3', '--jitless']) {
    if (process.arch !== 'x64' && flag !== '--jitless') continue; // as processors were before 2006
    const { stdout } = await run(process.execPath, [flag, '--input-type=module', '--eval', script], { cwd: folder });
    assert.match(stdout, 'HostError: node: expected a host with WebAssembly SIMD');
  }
});

const FORBIDDEN = [
  ['node 24', (folder) => ['--permission', `--allow-fs-read=${folder}/node_modules`, `--allow-fs-read=${folder}/forbidden.mjs`]],
  ['deno', (folder) => ['run', '--no-prompt', '--cached-only', `--allow-read=${folder}/node_modules,${folder}/package.json`]],
];
for (const [name, permissions] of FORBIDDEN) {
  on(name)(
    `${name}, not allowed to read files or the environment: refused by name, with what to allow; models given as bytes run`,
    async () => {
      const { folder, package: library } = await application();
      const files = ['config.json', 'model.safetensors'].map((file) => [
        file,
        readFileSync(join(library, 'weights', file)).toString('base64'),
      ]);
      const script = `
      import { AutoModel, Tensor } from 'dinov2-wasm';
      for (const source of ['/models/mine', 'facebook/dinov2-small']) {
        try { await AutoModel.from_pretrained(source); } catch (error) { console.log(String(error)); }
      }
      const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      const files = Object.entries(${JSON.stringify(Object.fromEntries(files))}).map(([name, text]) => [name, bytes(text)]);
      const model = await AutoModel.from_pretrained(Object.fromEntries(files));
      const { pooler_output } = await model(new Tensor('float32', new Float32Array(3 * 14 * 14), [1, 3, 14, 14]));
      console.log(pooler_output.dims.join());`;
      await writeFile(join(folder, 'forbidden.mjs'), script);
      const { stdout } = await run(PROGRAMS[name], [...permissions(folder), 'forbidden.mjs'], { cwd: folder });
      const [path, hub, dims] = stdout.trim().split('\n');
      assert.match(path, /HostError: \/models\/mine: expected leave to read it, found none .*--allow-(fs-)?read/);
      assert.match(hub, /HostError: facebook\/dinov2-small: expected leave to read it, found none/);
      assert.is(dims, '1,192');
    },
  );
}

for (const [bundler, entry, options] of [
  ['vite', 'page'],
  ['vite', 'core'],
  ['webpack', 'page'],
  ['webpack', 'core'],
  ['esbuild', 'page'],
  ['esbuild', 'core-file', { loader: { '.wasm': 'file' } }],
]) {
  on('chromium')(`${bundler} bundles ${entry}, and the bundle runs`, async () => {
    const folder = await bundle(bundler, [entry], options);
    const weights = (await readdir(folder, { recursive: true })).filter((name) => name.includes('safetensors'));
    assert.equal(weights, [], 'no weights unless they are imported');
    await webFolder(folder, `${entry}.js`);
    await inChromium(folder, {}, async (page) => check(await ask(page, 'onPage', { photos: PHOTO_NAMES, builds: ['simd'] }), ['simd']));
  });
}

on('node 24')('wrangler bundles a worker, and the bundle runs in workerd', async () => {
  const worker = await miniflareWorker(await bundle('wrangler', ['workerd']), 'workerd');
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

on('chromium')('a policy that forbids WebAssembly or connections is told by what to allow', async () => {
  for (const [policy, entry, ...parts] of [
    ["script-src 'self'", 'page', 'HostError', 'wasm-unsafe-eval'],
    ["script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'", 'core-file', 'NotFoundError', 'connect-src'],
  ]) {
    const folder = await bundle('esbuild', [entry], { loader: { '.wasm': 'file' } });
    await webFolder(folder, `${entry}.js`);
    await inChromium(folder, { 'content-security-policy': policy }, async (page) => {
      const message = await ask(page, 'onPage', { photos: PHOTO_NAMES, builds: ['simd'] }).then(
        () => 'no error',
        (error) => error.message,
      );
      for (const part of parts) assert.ok(message.includes(part), message);
    });
  }
});

async function inChromium(folder, headers, body) {
  const server = await serve(folder, headers);
  const browser = await openChromium();
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    await body(page);
  } finally {
    await browser.close();
    await server.close();
  }
}

test.run();
