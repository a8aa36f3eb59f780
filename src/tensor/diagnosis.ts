import { host } from '#host';
import type { KernelBuild } from '../hosts/host.ts';
import { Engine } from '../runtime/engine.ts';
import { hasRelaxedSimd, hasSimd, type IntegerForm } from '../runtime/features.ts';
import { createMatrix } from './matrix/createMatrix.ts';
import { type Float32, placed } from './place.ts';
import { Tensor } from './tensor.ts';

/** What this host has, which kernels are taken for it, and how fast they are. */
export interface Diagnosis {
  /** Which adapter of `src/hosts` is in use. */
  readonly host: string;
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Whether threads can share memory. */
  readonly threads: boolean;
  /** Processors that this process may use; 1 where threads cannot be had. */
  readonly processors: number;
  /** What `build: 'auto'` takes. */
  readonly build: KernelBuild;
  /** How its integer products are made (`assembly/quantize/i8_form.ts`). */
  readonly integerForm: IntegerForm;
  /** A matrix product of ViT-S, 257 x 384 x 1536, on one thread, by each build that runs here: 10^9 operations a second, median. */
  readonly speeds: readonly { readonly build: KernelBuild; readonly float32: number; readonly int8: number }[];
}

const [ROWS, INPUTS, OUTPUTS] = [257, 384, 1536];
const OPERATIONS = 2 * ROWS * INPUTS * OUTPUTS;

/** Rounds before the host's compiler has made its best of the kernels, and rounds that count. */
const WARM_UP = 20;
const ROUNDS = 15;

/** Tells about this host, in about a second. */
export function diagnose(): Diagnosis {
  const builds: readonly KernelBuild[] = hasRelaxedSimd() ? ['simd', 'relaxed'] : ['simd'];
  using engine = new Engine();
  return {
    host: host.name,
    simd: hasSimd(),
    relaxedSimd: hasRelaxedSimd(),
    threads: host.threads !== undefined,
    processors: host.threads?.available ?? 1,
    build: engine.build,
    integerForm: engine.integerForm,
    speeds: measure(builds),
  };
}

/** In turn, so that a machine whose speed drifts slows all of them alike. */
function measure(builds: readonly KernelBuild[]): Diagnosis['speeds'] {
  const products = builds.flatMap((build) => WEIGHTS.map((dtype) => product(build, dtype)));
  const times = products.map((): number[] => []);
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [i, { run }] of products.entries()) {
      const start = performance.now();
      run();
      if (round >= 0) times[i]?.push(performance.now() - start);
    }
  }
  for (const { engine } of products) engine.dispose();
  const rates = times.map((own) => OPERATIONS / (own.sort((a, b) => a - b)[ROUNDS >> 1] as number) / 1e6);
  return builds.map((build, i) => ({ build, float32: rates[2 * i] as number, int8: rates[2 * i + 1] as number }));
}

const WEIGHTS = ['float32', 'int8'] as const;

function product(build: KernelBuild, dtype: (typeof WEIGHTS)[number]): { engine: Engine; run: () => void } {
  const engine = new Engine({ build });
  const matrix = createMatrix(engine, dtype, OUTPUTS, INPUTS);
  matrix.pack(pattern(OUTPUTS, INPUTS));
  const x = placed(engine, pattern(ROWS, INPUTS));
  return { engine, run: () => engine.scope(() => matrix.multiply(x)) };
}

function pattern(rows: number, columns: number): Float32 {
  return new Tensor(
    'float32',
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i)),
    [rows, columns],
  );
}
