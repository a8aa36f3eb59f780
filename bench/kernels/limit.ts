import { fileURLToPath } from 'node:url';
import { main as asc } from 'assemblyscript/asc';
import type { KernelBuild } from '../../src/hosts/host.ts';

const FOLDER = fileURLToPath(new URL('./limit', import.meta.url));
const COUNT = 200_000;

/** Floating-point operations of one run of {@link limit}. */
export const LIMIT_FLOP = COUNT * 12 * 4 * 2;

/** The bare multiply-adds of a build, compiled on the spot. */
export async function limit(build: KernelBuild): Promise<{ readonly name: string; run(): unknown }> {
  const features = build === 'relaxed' ? ['--enable', 'relaxed-simd'] : [];
  const options = ['--baseDir', FOLDER, '--optimizeLevel', '2', '--runtime', 'stub', '--outFile', 'limit.wasm', '--enable', 'simd'];
  let binary = new Uint8Array(0);
  const { error, stderr } = await asc(['limit.ts', ...options, ...features], {
    writeFile: (_, contents) => {
      binary = contents as Uint8Array<ArrayBuffer>;
    },
  });
  if (error) throw new Error(`limit: ${stderr}`, { cause: error });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary));
  const run = exports.limit as (count: number, start: number) => number;
  return { name: 'limit: multiply-adds in registers', run: () => run(COUNT, 1) };
}
