// Runs one test file in a thread of its own, or some of its tests, and tells how it went.
import { parentPort, workerData } from 'node:worker_threads';
import { runNoted } from './uvu.ts';

export interface Order {
  readonly url: string;
  /** None is all. */
  readonly names?: readonly string[] | undefined;
}

/** What was run while a test was, or before the first. */
export interface Trace {
  readonly hits: readonly number[];
  /** Milliseconds. */
  readonly took: number;
}

export interface Told {
  /** What failed and how; undefined when all tests passed. */
  readonly failed: string | undefined;
  /** Whether that is no fault of what is tested: a package went away. */
  readonly environment?: boolean;
  readonly load: Trace;
  readonly tests: Readonly<Record<string, Trace>>;
}

let hits = new Set<number>();
let start = performance.now();
Object.assign(globalThis, { __hit: (number: number) => hits.add(number) });
const take = (): Trace => {
  const trace = { hits: [...hits], took: performance.now() - start };
  hits = new Set();
  start = performance.now();
  return trace;
};

const { url, names } = workerData as Order;
let load: Trace | undefined;
const tests: Record<string, Trace> = {};
let failed: string | undefined;
let environment = false;
try {
  await import(url);
  load = take();
  const failure = await runNoted(names, (name) => {
    tests[name] = take();
  });
  if (failure) failed = `${failure.name}: ${(failure.error as Error | undefined)?.message ?? failure.error}`;
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  failed = `import: ${message}`;
  environment = code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_UNSUPPORTED_DIR_IMPORT';
}
parentPort?.postMessage({ failed, environment, load: load ?? take(), tests } satisfies Told);
