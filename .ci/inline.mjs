// Writes each file of the kernels as a JavaScript module too, for src/hosts/builtin/inline.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../dist/kernels/', import.meta.url));
for (const build of ['simd', 'relaxed']) {
  const base64 = readFileSync(`${folder}${build}.wasm`).toString('base64');
  writeFileSync(`${folder}${build}.js`, `export const base64 = '${base64}';\n`);
  writeFileSync(`${folder}${build}.d.ts`, 'export declare const base64: string;\n');
}
writeFileSync(`${folder}wasm.d.ts`, 'declare const module: WebAssembly.Module;\nexport default module;\n');
