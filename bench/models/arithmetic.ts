import type { Engine } from '../../src/runtime/engine.ts';
import type { KernelCall } from '../../src/runtime/threads.ts';
import type { Limits } from '../kernels/limit.ts';
import { type Candidate, timed } from '../measure.ts';

/** Additions and multiplications. */
export interface Arithmetic {
  /** Of floats. */
  readonly floats: number;
  /** Of integers, whatever instruction multiplies them. */
  readonly integers: number;
}

/** How many of a kind a machine does in a millisecond at best. */
export type Rates = Arithmetic;

/** What the matrix products, the convolutions and the attention that `run` calls come to. They are not computed: what it gives has no meaning. */
export async function countArithmetic(engine: Engine, run: () => unknown): Promise<Arithmetic> {
  let [floats, integers] = [0, 0];
  const { together } = engine;
  engine.together = (calls: readonly KernelCall[]): void => {
    for (const call of calls) {
      if (call[0].startsWith('i8')) integers += operationsOf(call);
      else floats += operationsOf(call);
    }
  };
  try {
    await run();
  } finally {
    engine.together = together;
  }
  return { floats, integers };
}

/** The same multiply-adds as bare ones, on one thread: nothing that computes them with this build is faster. */
export function bare(arithmetic: Arithmetic, limits: Limits): Candidate {
  return {
    async time() {
      const rateOf = async (kind: keyof Arithmetic): Promise<number> =>
        arithmetic[kind] ? limits[kind].work / (await timed(limits[kind].run).time()) : 1;
      return leastTime(arithmetic, { floats: await rateOf('floats'), integers: await rateOf('integers') });
    },
  };
}

/** Milliseconds that it takes at least. */
export function leastTime({ floats, integers }: Arithmetic, rates: Rates): number {
  return floats / rates.floats + integers / rates.integers;
}

/** Operations of one call; of kernels that only make ready or round off 0. */
function operationsOf([kernel, ...args]: KernelCall): number {
  const [a, b, c, d, ...rest] = (kernel.startsWith('i8') ? args.slice(1) : args) as unknown as [
    number,
    number,
    number,
    number,
    ...number[],
  ];
  if (kernel.includes('gemm')) return 2 * a * b * c; // rows, outputs, inputs
  if (/^(f32|i8)_conv/.test(kernel)) return 2 * (rest[4] as number) * a * b * c * d; // places, outputs, channels, height and width of the kernel
  if (kernel.endsWith('attention')) return 4 * a * b * c; // queries, keys, width, twice
  return 0;
}
