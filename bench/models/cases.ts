import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dinov2Model } from '../../src/index.ts';
import type { Dtype, Engine, Job } from '../engines/engine.ts';
import { EngineProcess } from '../engines/process.ts';

/** Which engines, and how each is to be run. */
export interface Choice {
  readonly engines: readonly Engine[];
  readonly dtypes: readonly Dtype[];
  readonly threads: readonly number[];
}

/** One row of a table. */
export interface Case {
  readonly engine: string;
  readonly dtype: Dtype;
  readonly threads: number;
}

/** What could not be measured, and why. */
export interface Skipped extends Case {
  readonly reason: string;
}

/** A model's files, and the processes that read them. */
export interface Bench {
  /** Starts a case, or notes why that cannot be. */
  start(item: Case): Promise<EngineProcess | undefined>;
  readonly skipped: readonly Skipped[];
}

/** What of the choice the engines say that they can do, dtype by dtype. */
export function casesOf({ engines, dtypes, threads }: Choice): Case[] {
  return threads.flatMap((count) =>
    dtypes.flatMap((dtype) =>
      engines
        .filter((engine) => engine.dtypes.includes(dtype) && count <= engine.maxThreads)
        .map((engine) => ({ engine: engine.name, dtype, threads: count })),
    ),
  );
}

/** A case in words: "onnxruntime-web, int8, 2 threads". */
export function labelOf({ engine, dtype, threads }: Case): string {
  return `${engine}, ${dtype}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}

/** Runs `body` with a model for pictures of `size` pixels. Its files and processes are gone when it returns. */
export async function withModel<T>(
  { model, size, engines }: { model: Dinov2Model; size: number; engines: readonly Engine[] },
  body: (bench: Bench) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'dinov2-bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove); // an interrupt does not come to the end of this function
  const processes: EngineProcess[] = [];
  const skipped: Skipped[] = [];
  try {
    return await body({
      skipped,
      async start(item) {
        const job: Job = { dtype: item.dtype, threads: item.threads, size };
        const engine = engines.find(({ name }) => name === item.engine) as Engine;
        try {
          const started = await EngineProcess.start(item.engine, await engine.prepare(model, folder, job), job);
          processes.push(started);
          return started;
        } catch (error) {
          skipped.push({ ...item, reason: (error as Error).message });
          return undefined;
        }
      },
    });
  } finally {
    for (const started of processes) await started.stop();
    remove();
    process.off('exit', remove);
  }
}
