import { type Spread, spread } from '../measure.ts';
import { type Case, type Choice, casesOf, type Skipped, withModel } from './cases.ts';
import { type ModelName, randomModel } from './configs.ts';

export interface Fresh {
  readonly model: ModelName;
  readonly runs: number;
  readonly results: readonly (Case & Start)[];
  readonly skipped: readonly Skipped[];
}

export interface Start {
  /** Milliseconds from the start of the process to the first result. */
  readonly first: Spread;
  /** Bytes of resident memory: at most, after two runs, and after the last. */
  readonly peak: Spread;
  readonly secondRun: Spread;
  readonly lastRun: Spread;
}

/** First result and memory at 224 x 224: each engine in several new processes, in turn, from the files on disk. */
export async function fresh(options: Choice & { model: ModelName; processes: number; runs: number }): Promise<Fresh> {
  const { model: name, engines, processes, runs } = options;
  using model = randomModel(name);
  return await withModel({ model, size: 224, engines }, async (bench) => {
    const cases = casesOf(options);
    const figures = new Map<Case, number[][]>(); // those that do not start drop out
    for (let i = 0; i < processes; i++) {
      for (const item of i === 0 ? cases : [...figures.keys()]) {
        const started = await bench.start(item);
        if (!started) continue;
        await started.run();
        const { resident: secondRun } = await started.memory();
        for (let run = 2; run < runs; run++) await started.run();
        const { resident, peak } = await started.memory();
        await started.stop();
        figures.set(item, [...(figures.get(item) ?? []), [started.first, peak, secondRun, resident]]);
      }
    }
    const results = [...figures].map(([item, rows]) => {
      const [first, peak, secondRun, lastRun] = [0, 1, 2, 3].map((column) => spread(rows.map((row) => row[column])));
      return { ...item, first, peak, secondRun, lastRun };
    });
    return { model: name, runs, results, skipped: bench.skipped };
  });
}
