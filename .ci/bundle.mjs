// Writes the JavaScript of src/ into dist/: a file for each entry of the package and each host, and what they share in chunks. A process that starts
// then opens some ten files and not a hundred and fifty. Names are kept, white space is not, and no package is taken in.
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
/**
 * Within the package index.ts is core.ts: shared by several entries it would become a chunk, and bundlers leave out what a chunk imports for its
 * effects alone, which are the kernels. Entries import those themselves.
 */
const withoutKernels = {
  name: 'without-kernels',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/index\.ts$/ }, () => ({ path: fileURLToPath(new URL('../src/core.ts', import.meta.url)) }));
  },
};

const { metafile } = await build({
  entryPoints,
  outdir: 'dist',
  outbase: 'src',
  chunkNames: 'chunks/[name]-[hash]', // as deep as hosts/: what is found beside a module is found beside its chunk
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  minifyWhitespace: true,
  packages: 'external',
  external: ['#host', '#kernels', '*.wasm', '*.wasm?module'],
  plugins: [withoutKernels],
  metafile: true,
  logLevel: 'warning',
});
for (const [file, { imports, entryPoint }] of Object.entries(metafile.outputs)) {
  if (!entryPoint && imports.some(({ path }) => path === '#kernels'))
    throw new Error(`${file}: a chunk that brings kernels is left out by bundlers`);
}
