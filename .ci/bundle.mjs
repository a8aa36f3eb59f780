// Writes the JavaScript of src/ into dist/: a file for each entry of the package and each host, and what they share in chunks. A process that starts
// then opens some ten files and not a hundred and fifty. Nothing is minified, and no package is taken in.
import { readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const entryPoints = [
  ...['core', 'index', 'tensor', 'tasks/index', 'plot/index', 'cli/main', 'runtime/thread', 'image/readerThread'].map(
    (name) => `src/${name}.ts`,
  ),
  ...['index', 'node', 'thread'].map((name) => `src/serve/${name}.ts`),
  ...['browser', 'bun', 'deno', 'edge', 'node', 'workerd'].map((host) => `src/hosts/${host}.ts`),
  ...['edge', 'inline', 'workerd'].map((host) => `src/hosts/builtin/${host}.ts`),
];

for (const name of readdirSync('dist')) if (name !== 'kernels' && name !== 'web') rmSync(`dist/${name}`, { recursive: true });
await build({
  entryPoints,
  outdir: 'dist',
  outbase: 'src',
  chunkNames: 'chunks/[name]-[hash]', // as deep as hosts/: what is found beside a module is found beside its chunk
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  packages: 'external',
  external: ['#host', '#kernels', '*.wasm', '*.wasm?module'],
  logLevel: 'warning',
});
