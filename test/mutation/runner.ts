import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Shadow } from './shadow.ts';
import type { Told } from './worker.ts';

export interface Result {
  /** What failed and how; undefined when all tests passed. */
  readonly failed: string | undefined;
  readonly hits: readonly number[];
  /** Milliseconds. */
  readonly took: number;
}

/** More than this on top of what there was is out of proportion to any test. In bytes. */
const MAX_GROWTH = 1.5 * 2 ** 30;

/** Runs a test file in a fresh thread, for at most `limit` milliseconds. */
export async function runTest(shadow: Shadow, test: string, limit: number): Promise<Result> {
  const start = performance.now();
  const before = process.memoryUsage.rss();
  const url = pathToFileURL(join(shadow.folder, test.replace(/\.ts$/, '.js'))).href;
  const worker = new Worker(join(shadow.folder, 'test/mutation/worker.js'), {
    workerData: url,
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  const told = await new Promise<Told>((resolve) => {
    const fail = (failed: string): void => resolve({ failed, hits: [] });
    const watch = setInterval(() => {
      if (performance.now() - start > limit) fail('time limit');
      if (process.memoryUsage.rss() - before > MAX_GROWTH) fail('memory limit');
    }, 50);
    worker.once('message', resolve);
    worker.once('error', (error) => fail(`thread: ${error.message}`));
    worker.once('exit', (code) => fail(`exit with ${code}`));
    worker.once('exit', () => clearInterval(watch));
  });
  await worker.terminate();
  return { ...told, took: performance.now() - start };
}
