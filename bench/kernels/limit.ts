import { fileURLToPath } from 'node:url';
import { main as asc } from 'assemblyscript/asc';
import type { KernelBuild } from '../../src/hosts/host.ts';

const FOLDER = fileURLToPath(new URL('./limit', import.meta.url));
const COUNT = 200_000;

/** Of the arithmetic that is measured, additions and multiplications of one step of one of 48 chains. */
const OPERATIONS = { floats: 2, pairs: 4, bytes: 8 } as const;

export type Arithmetic = keyof typeof OPERATIONS;

export interface Limit {
  readonly name: string;
  run(): unknown;
  /** Operations of one run. */
  readonly work: number;
}

/** A file of `limit/`, compiled on the spot: bare multiply-adds, or bare reading. */
export async function compileLimits(build: KernelBuild, name: 'limit' | 'read' = 'limit'): Promise<WebAssembly.Module> {
  const features = build === 'relaxed' ? ['--enable', 'relaxed-simd'] : [];
  const options = ['--baseDir', FOLDER, '--optimizeLevel', '2', '--runtime', 'stub', '--outFile', `${name}.wasm`, '--enable', 'simd'];
  let binary = new Uint8Array(0);
  const { error, stderr } = await asc([`${name}.ts`, ...options, ...features], {
    writeFile: (_, contents) => {
      binary = contents as Uint8Array<ArrayBuffer>;
    },
  });
  if (error) throw new Error(`${name}: ${stderr}`, { cause: error });
  return new WebAssembly.Module(binary);
}

/** The bare multiply-adds of a build. */
export async function limits(build: KernelBuild): Promise<Readonly<Record<Arithmetic, Limit>>> {
  const { exports } = new WebAssembly.Instance(await compileLimits(build));
  const of = (arithmetic: Arithmetic, name: string): Limit => {
    const run = exports[arithmetic] as (count: number, start: number) => number;
    return { name: `limit: ${name} in registers`, run: () => run(COUNT, 1), work: COUNT * 12 * 4 * OPERATIONS[arithmetic] };
  };
  return {
    floats: of('floats', 'multiply-adds of floats'),
    pairs: of('pairs', 'multiply-adds of pairs of 16 bits'),
    bytes: of('bytes', 'multiply-adds of 4 bytes'),
  };
}
