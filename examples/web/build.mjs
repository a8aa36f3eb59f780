// Writes the page into dist/web, or a folder that is named: static files, for any server.
import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const target = process.argv[2] ?? path('../../dist/web');

await rm(target, { recursive: true, force: true });
// esbuild leaves the address of the threads' script as it is: ../runtime/thread.js, seen from the worker
const entryPoints = { 'app/worker': path('worker.mjs'), 'runtime/thread': path('../../dist/runtime/thread.js') };
await build({ entryPoints, outdir: target, bundle: true, minify: true, format: 'esm', logLevel: 'error' });
for (const name of ['index.html', 'style.css', 'page.js']) await cp(path(name), join(target, name));
for (const name of ['config.json', 'preprocessor_config.json', 'model.safetensors']) {
  await cp(path(`../../weights/${name}`), join(target, 'model', name));
}
for (const name of ['astronaut.png', 'chelsea.png', 'coffee.png', 'rocket.jpg'])
  await cp(path(`../photos/${name}`), join(target, 'photos', name));

const entries = await readdir(target, { recursive: true, withFileTypes: true });
const files = entries
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .sort();
const hash = createHash('sha256');
for (const file of files) hash.update(await readFile(file));
const names = ['', ...files.map((file) => relative(target, file).replaceAll('\\', '/'))];
const worker = await readFile(path('sw.js'), 'utf8');
hash.update(worker);
const version = hash.digest('hex').slice(0, 16);
await writeFile(join(target, 'sw.js'), `const VERSION = '${version}';\nconst FILES = ${JSON.stringify(names)};\n${worker}`);
console.log(`${target}: ${names.length} files, to be served by any server`);
