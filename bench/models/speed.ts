import type { EngineProcess } from '../engines/process.ts';
import { interleave, type Rounds, type Timing } from '../measure.ts';
import { type Case, type Choice, casesOf, type Skipped, withModel } from './cases.ts';
import { type ModelName, randomModel } from './configs.ts';

export interface Speed {
  readonly model: ModelName;
  /** In pixels. */
  readonly size: number;
  readonly rounds: number;
  /** The ratios are to the first. */
  readonly results: readonly (Case & Timing & Agreement)[];
  readonly skipped: readonly Skipped[];
}

/** How an output differs from that of the first case. */
export interface Agreement {
  /** Largest absolute difference over the largest absolute value. */
  readonly difference: number;
  /** Of the class tokens. */
  readonly cosine: number;
}

/**
 * One model at one size in each engine, dtype and number of threads: all on the same random weights and the same pixels, each in a process
 * of its own, timed in turn.
 */
export async function speed(options: Choice & { model: ModelName; size: number; rounds: Rounds }): Promise<Speed> {
  const { model: name, size, engines, rounds: budget } = options;
  using model = randomModel(name);
  return await withModel({ model, size, engines }, async (bench) => {
    const running: { readonly item: Case; readonly process: EngineProcess }[] = [];
    for (const item of casesOf(options)) {
      const process = await bench.start(item);
      if (process) running.push({ item, process });
    }
    const { timings, rounds } = await interleave(
      running.map(({ process }) => ({ time: () => process.run() })),
      budget,
    );
    const [reference] = running.map(({ process }) => process.output);
    const results = running.map(({ item, process }, i) => ({
      ...item,
      ...timings[i],
      ...agreement(process.output, reference, model.config.hidden_size),
    }));
    return { model: name, size, rounds, results, skipped: bench.skipped };
  });
}

/** NaN throughout where the lengths differ. @param hidden width of a token; the first is the class token */
export function agreement(found: Float32Array, expected: Float32Array, hidden: number): Agreement {
  if (found.length !== expected.length) return { difference: Number.NaN, cosine: Number.NaN };
  let difference = 0;
  let largest = 0;
  for (const [i, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(value - found[i]));
  }
  return { difference: difference / largest, cosine: cosine(found.subarray(0, hidden), expected.subarray(0, hidden)) };
}

/** Of the angle between two vectors of one length. */
export function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
