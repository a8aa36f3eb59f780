import { Dinov2Model, Tensor } from '../../src/index.ts';
import type { Parameters } from '../../src/nn/parameters.ts';
import type { Engine } from '../../src/runtime/engine.ts';
import { DTYPES, type Dtype } from '../engines/engine.ts';
import type { EngineProcess } from '../engines/process.ts';
import { limits } from '../kernels/limit.ts';
import { type Candidate, interleave, type Rounds, type Spread, type Timing } from '../measure.ts';
import { bare, countArithmetic } from './arithmetic.ts';
import { type Case, type Choice, casesOf, type Skipped, withModel } from './cases.ts';
import { MODELS, type ModelName, randomModel } from './configs.ts';
import { Machine, roundTrip } from './machine.ts';

export interface Speed {
  readonly model: ModelName;
  /** In pixels. */
  readonly size: number;
  readonly rounds: number;
  /** The ratios are to the first. */
  readonly results: readonly (Case & Timing & Agreement)[];
  readonly skipped: readonly Skipped[];
  /** What the arithmetic of the model takes as bare multiply-adds of one thread: of what computes it with these, nothing is faster. */
  readonly least: readonly (Pick<Case, 'dtype'> & Timing)[];
  /** How much faster more threads are than one, within each round; and bare multiply-adds, beyond which nothing gets. */
  readonly scaling: readonly Scaling[];
  /** Nanoseconds in which a word goes from one processor to another and back, where there is scaling. */
  readonly roundTrip: number | undefined;
}

export interface Scaling {
  readonly what: string;
  readonly threads: number;
  readonly speedup: Spread;
}

/** How an output differs from that of the first case. */
export interface Agreement {
  /** Largest absolute difference over the largest absolute value. */
  readonly difference: number;
  /** Of the class tokens. */
  readonly cosine: number;
}

/** In words. */
const MACHINE = 'bare multiply-adds of this machine';
const LEAST = 'the arithmetic alone';

/**
 * One model at one size in each engine, dtype and number of threads: all on the same random weights and the same pixels, each in a process
 * of its own, timed in turn.
 * @param options.warmUp seconds that each process runs before
 */
export async function speed(
  options: Choice & { model: ModelName; size: number; warmUp: number; rounds: Rounds; engine: Engine },
): Promise<Speed> {
  const { model: name, size, engines, threads, rounds: budget, engine } = options;
  using model = randomModel(name);
  return await withModel({ model, size, engines }, async (bench) => {
    const running: { readonly item: Case; readonly process: EngineProcess }[] = [];
    for (const item of casesOf(options)) {
      const process = await bench.start(item);
      if (process) running.push({ item, process });
    }
    for (const { process } of running) await repeat(process, options.warmUp);
    const bares: Candidate[] = [];
    for (const dtype of options.dtypes) bares.push(await bareOf(name, size, dtype, engine));
    const machines = await Machine.of(engine.build, threads.includes(1) && threads.length > 1 ? threads : []);
    for (const candidate of [...bares, ...machines, ...bares, ...machines]) await candidate.time(); // until V8 has compiled them well
    const { timings, rounds, ratio } = await interleave([...running.map(({ process }) => settled(process)), ...bares, ...machines], budget);
    for (const machine of machines) await machine.stop();
    const [reference] = running.map(({ process }) => process.output);
    const results = running.map(({ item, process }, i) => ({
      ...item,
      ...timings[i],
      ...agreement(process.output, reference, model.config.hidden_size),
    }));
    const least = options.dtypes.map((dtype, i) => ({ dtype, ...timings[running.length + i] }));
    const timed = [
      ...running.map(({ item }) => ({ what: `${item.engine}, ${item.dtype}`, threads: item.threads })),
      ...bares.map(() => ({ what: LEAST, threads: 1 })),
      ...machines.map(({ threads }) => ({ what: MACHINE, threads })),
    ];
    const scaling = timed.flatMap(({ what, threads }, i): Scaling[] => {
      const one = timed.findIndex((other) => other.what === what && other.threads === 1);
      return threads === 1 || one === -1 ? [] : [{ what, threads, speedup: ratio(one, i) }];
    });
    return {
      model: name,
      size,
      rounds,
      results,
      skipped: bench.skipped,
      least,
      scaling,
      roundTrip: machines.length ? await roundTrip() : undefined,
    };
  });
}

/** Runs once at least, until so many seconds have passed. */
async function repeat(process: EngineProcess, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  do await process.run();
  while (performance.now() < end);
}

/**
 * The second of two runs, as of one picture after another: in the first a process finds again what others have put out of its caches, and their
 * threads, which look for more work for a while, go to sleep.
 */
function settled(process: EngineProcess): Candidate {
  return { time: () => process.run(2) };
}

/** The arithmetic of a model at a size in a dtype, as bare multiply-adds. */
async function bareOf(name: ModelName, size: number, dtype: Dtype, engine: Engine): Promise<Candidate> {
  using model = new Dinov2Model(MODELS[name], { dtype: DTYPES[dtype], initialize: false });
  const { engine: own, parameters } = model as unknown as { engine: Engine; parameters: Parameters };
  for (const { allocate } of parameters.all) allocate();
  const pixels = new Tensor('float32', new Float32Array(3 * size * size), [1, 3, size, size]);
  const arithmetic = await countArithmetic(own, () => model(pixels));
  return bare(arithmetic, await limits(engine));
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
