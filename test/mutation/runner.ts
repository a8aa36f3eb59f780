import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Shadow } from './shadow.ts';
import type { Order, Told } from './worker.ts';

export const TIME_LIMIT = 'time limit';

/** More than this on top of what there was is out of proportion to any test. In bytes. */
const MAX_GROWTH = 1.5 * 2 ** 30;

export interface RunOptions {
  /** The file, from the root. */
  readonly test: string;
  /** Which of its tests; none is all. */
  readonly names?: readonly string[];
  /** Milliseconds. */
  readonly limit: number;
}

/** Runs a test file in a fresh thread until a test fails. */
export async function runTest(shadow: Shadow, { test, names, limit }: RunOptions): Promise<Told> {
  const end = performance.now() + limit;
  const most = process.memoryUsage.rss() + MAX_GROWTH;
  const url = pathToFileURL(join(shadow.folder, test.replace(/\.ts$/, '.js'))).href;
  const worker = new Worker(join(shadow.folder, 'test/mutation/worker.js'), {
    workerData: { url, names } satisfies Order,
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  const told = await new Promise<Told>((resolve) => {
    const fail = (failed: string): void => resolve({ failed, load: { hits: [], took: 0 }, tests: {} });
    const watch = setInterval(() => {
      if (performance.now() > end) fail(TIME_LIMIT);
      if (process.memoryUsage.rss() > most) fail('memory limit');
    }, 50);
    worker.once('message', resolve);
    worker.once('error', (error) => fail(`thread: ${error.message}`));
    worker.once('exit', (code) => {
      clearInterval(watch);
      fail(`exit with ${code}`);
    });
  });
  await worker.terminate();
  if (told.environment) throw new Error(`${test}: ${told.failed}: were packages installed meanwhile?`);
  return told;
}
