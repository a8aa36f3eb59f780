import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { KernelBuild } from '../../src/hosts/host.ts';
import type { IntegerForm } from '../../src/runtime/features.ts';

const FOLDER = fileURLToPath(new URL('./limit', import.meta.url));
const ASC = fileURLToPath(new URL('../../node_modules/assemblyscript/bin/asc.js', import.meta.url));
/** Some tens of milliseconds, so that what else runs on the machine slows them as it slows a model. */
const COUNT = 20_000_000;

/** Of the arithmetic that is measured, additions and multiplications of one step of one of 48 chains. */
const OPERATIONS = { floats: 2, pairs: 4, bytes: 8 } as const;

export interface Limit {
  readonly name: string;
  run(): unknown;
  /** Operations of one run. */
  readonly work: number;
}

/** A file of `limit/`, compiled on the spot: bare multiply-adds, or bare reading. In a process of its own: the loader of TypeScript takes 20 s for asc. */
export async function compileLimits(build: KernelBuild, name: 'limit' | 'read' = 'limit'): Promise<WebAssembly.Module> {
  const features = build === 'relaxed' ? ['--enable', 'relaxed-simd'] : [];
  const options = ['--optimizeLevel', '2', '--runtime', 'stub', '--enable', 'simd', ...features];
  const folder = mkdtempSync(join(tmpdir(), 'dinov2-limit-'));
  try {
    const outFile = join(folder, `${name}.wasm`);
    await promisify(execFile)(process.execPath, [ASC, `${name}.ts`, '--baseDir', FOLDER, '--outFile', outFile, ...options]);
    return new WebAssembly.Module(readFileSync(outFile));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What an engine does at best. */
export interface Limits {
  readonly floats: Limit;
  /** In the form that the host multiplies fastest. */
  readonly integers: Limit;
}

/** The bare multiply-adds of a build. */
export async function limits({ build, integerForm }: { readonly build: KernelBuild; readonly integerForm: IntegerForm }): Promise<Limits> {
  const { exports } = new WebAssembly.Instance(await compileLimits(build));
  const of = (arithmetic: keyof typeof OPERATIONS, name: string): Limit => {
    const run = exports[arithmetic] as (count: number, start: number) => number;
    return { name: `limit: ${name} in registers`, run: () => run(COUNT, 1), work: COUNT * 12 * 4 * OPERATIONS[arithmetic] };
  };
  return {
    floats: of('floats', 'multiply-adds of floats'),
    integers: integerForm === 'pairs' ? of('pairs', 'multiply-adds of pairs of 16 bits') : of('bytes', 'multiply-adds of 4 bytes'),
  };
}
