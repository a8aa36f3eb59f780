// The applications of entries/ as each bundler makes them.
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { application, installed, PROGRAMS, run, temporary } from './tools.mjs';

const BUNDLERS = { esbuild: withEsbuild, vite: withVite, webpack: withWebpack, wrangler: withWrangler };

/** The folder of the bundles of these entries, each named as its entry. */
export async function bundle(bundler, entries, options) {
  const { folder } = await application();
  const to = await temporary();
  await BUNDLERS[bundler](folder, to, entries, options);
  return to;
}

async function withEsbuild(from, to, entries, options) {
  const { build } = (await import(installed('esbuild/lib/main.js'))).default;
  const entryPoints = entries.map((name) => `entries/${name}.mjs`);
  await build({ absWorkingDir: from, outdir: to, entryPoints, bundle: true, minify: true, format: 'esm', logLevel: 'error', ...options });
}

async function withVite(from, to, [entry]) {
  const { build } = await import(installed('vite/dist/node/index.js'));
  await build({
    root: from,
    logLevel: 'error',
    base: './',
    build: {
      outDir: to,
      modulePreload: { polyfill: false },
      rollupOptions: { input: join(from, 'entries', `${entry}.mjs`), output: { entryFileNames: '[name].js' } },
    },
  });
}

async function withWebpack(from, to, [entry]) {
  const { default: webpack } = await import(installed('webpack/lib/index.js'));
  const stats = await new Promise((resolve, reject) => {
    const options = {
      context: from,
      mode: 'production',
      target: 'web',
      entry: { [entry]: `./entries/${entry}.mjs` },
      output: { path: to, publicPath: 'auto' },
    };
    webpack(options, (error, done) => (error ? reject(error) : resolve(done)));
  });
  if (stats.hasErrors()) throw new Error(stats.toString('errors-only'));
}

/** What `wrangler deploy` would send; it needs Node 22. */
async function withWrangler(from, to, [entry]) {
  const settings = {
    name: entry,
    main: `entries/${entry}.mjs`,
    compatibility_date: COMPATIBILITY,
    rules: [{ type: 'Data', globs: ['**/*.safetensors'], fallthrough: true }],
  };
  const file = join(from, `${entry}.wrangler.json`);
  await writeFile(file, JSON.stringify(settings));
  await run(PROGRAMS['node 24'], [installed('wrangler/bin/wrangler.js'), 'deploy', '--dry-run', '--config', file, '--outdir', to], {
    cwd: from,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
  });
}

/** Options of esbuild for what miniflare is to run. */
export const FOR_WORKERD = { conditions: ['workerd', 'worker'], loader: { '.wasm': 'copy', '.safetensors': 'copy' } };

/** An entry in Vercel's edge runtime: its bundle a script, the kernels compiled ahead, as `?module` asks for. */
export async function edgeRuntime(entry) {
  const modules = new Map();
  const kernels = {
    name: 'kernels',
    setup(build) {
      build.onResolve({ filter: /\.wasm\?module$/ }, ({ path, resolveDir }) => {
        return { path: join(resolveDir, path.replace('?module', '')), namespace: 'module' };
      });
      build.onLoad({ filter: /./, namespace: 'module' }, async ({ path }) => {
        const name = `wasm${modules.size}`;
        modules.set(name, undefined); // taken at once: files are loaded side by side
        modules.set(name, await WebAssembly.compile(await readFile(path)).catch(() => undefined)); // relaxed SIMD, in Node 20
        return { contents: `export default ${name};` };
      });
    },
  };
  const options = { format: 'iife', conditions: ['edge-light'], plugins: [kernels], logOverride: { 'empty-import-meta': 'silent' } };
  const folder = await bundle('esbuild', [entry], options);
  const { EdgeRuntime } = (await import(installed('edge-runtime/dist/index.js'))).default;
  const runtime = new EdgeRuntime({
    initialCode: await readFile(join(folder, `${entry}.js`), 'utf8'),
    extend: (context) => Object.assign(context, Object.fromEntries(modules)),
  });
  return {
    async post(path, body) {
      const response = await runtime.dispatchFetch(`http://localhost${path}`, { method: 'POST', body });
      return { status: response.status, text: await response.text() };
    },
  };
}

const COMPATIBILITY = '2026-07-01';
const MODULE_TYPES = { js: 'ESModule', wasm: 'CompiledWasm', safetensors: 'Data' };
const ending = (name) => name.split('.').at(-1);

/** workerd with the bundle of an entry, as miniflare starts it. */
export async function miniflareWorker(folder, entry, options = {}) {
  const { Miniflare } = await import(installed('miniflare/dist/src/index.js'));
  const names = [`${entry}.js`, ...readdirSync(folder).filter((name) => ending(name) in MODULE_TYPES && name !== `${entry}.js`)];
  const modules = names.map((name) => ({ type: MODULE_TYPES[ending(name)], path: join(folder, name) }));
  const miniflare = new Miniflare({ modulesRoot: folder, modules, compatibilityDate: COMPATIBILITY, ...options });
  await miniflare.ready;
  const ask = async (path, request) => {
    const response = await miniflare.dispatchFetch(`http://localhost${path}`, request);
    return { status: response.status, text: await response.text() };
  };
  return {
    get: (path) => ask(path),
    post: (path, body) => ask(path, { method: 'POST', body }),
    r2: (name) => miniflare.getR2Bucket(name),
    fetch: (url, init) => miniflare.dispatchFetch(url, init),
    close: () => miniflare.dispose(),
  };
}
