// The application of entries/ as each bundler makes it.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { application, installed, temporary } from './tools.mjs';

const BUNDLERS = { esbuild, workerd };

/** The folder of the bundle. */
export async function bundle(bundler) {
  const { folder } = await application();
  const to = await temporary();
  await BUNDLERS[bundler](folder, to);
  return to;
}

async function esbuild(from, to) {
  const { build } = (await import(installed('esbuild/lib/main.js'))).default;
  const options = { absWorkingDir: from, outdir: to, bundle: true, minify: true, logLevel: 'error' };
  await build({ ...options, entryPoints: ['entries/page.mjs', 'entries/worker.mjs'], format: 'esm' });
  await build({ ...options, entryPoints: ['entries/service-worker.mjs'], format: 'iife', logOverride: { 'empty-import-meta': 'silent' } });
}

async function workerd(from, to) {
  const { build } = (await import(installed('esbuild/lib/main.js'))).default;
  await build({
    absWorkingDir: from,
    outdir: to,
    entryPoints: ['entries/workerd.mjs'],
    bundle: true,
    minify: true,
    format: 'esm',
    conditions: ['workerd', 'worker'],
    loader: { '.wasm': 'copy', '.safetensors': 'copy' },
    logLevel: 'error',
  });
}

const MODULE_TYPES = { js: 'ESModule', wasm: 'CompiledWasm', safetensors: 'Data' };

/** workerd with the bundle of a folder, as miniflare starts it. */
export async function miniflareWorker(folder, options = {}) {
  const { Miniflare } = await import(installed('miniflare/dist/src/index.js'));
  const names = readdirSync(folder).filter((name) => name.split('.').at(-1) in MODULE_TYPES);
  const entry = names.find((name) => name.endsWith('.js'));
  const modules = [entry, ...names.filter((name) => name !== entry)].map((name) => ({
    type: MODULE_TYPES[name.split('.').at(-1)],
    path: join(folder, name),
  }));
  const miniflare = new Miniflare({ modulesRoot: folder, modules, compatibilityDate: '2026-07-01', ...options });
  await miniflare.ready;
  return {
    async post(path, body) {
      const response = await miniflare.dispatchFetch(`http://localhost${path}`, { method: 'POST', body });
      return { status: response.status, text: await response.text() };
    },
    close: () => miniflare.dispose(),
  };
}
