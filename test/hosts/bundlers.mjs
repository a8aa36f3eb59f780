// The applications of entries/ as each bundler makes them.
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
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
  return {
    fetch: (url, init) => miniflare.dispatchFetch(url, init),
    async post(path, body) {
      const response = await miniflare.dispatchFetch(`http://localhost${path}`, { method: 'POST', body });
      return { status: response.status, text: await response.text() };
    },
    close: () => miniflare.dispose(),
  };
}
