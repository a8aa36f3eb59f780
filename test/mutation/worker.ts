// Runs one test file in a thread of its own and tells how it went.
import { parentPort, workerData } from 'node:worker_threads';
import { runNoted } from './uvu.ts';

export interface Told {
  readonly failed: string | undefined;
  readonly tests?: number;
  readonly hits: readonly number[];
}

const hits = new Set<number>();
Object.assign(globalThis, { __hit: (number: number) => hits.add(number) });
let failed: string | undefined;
try {
  await import(workerData as string);
  const failure = await runNoted();
  if (failure) failed = `${failure.name}: ${(failure.error as Error | undefined)?.message ?? failure.error}`;
} catch (error) {
  failed = `import: ${(error as Error).message}`;
}
parentPort?.postMessage({ failed, hits: [...hits] } satisfies Told);
