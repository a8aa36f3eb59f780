import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { transformSync } from 'esbuild';
import { host } from '#host';
import type { Host, Thread, Threads } from '../../src/hosts/host.ts';

/** For threads, which have no loader of TypeScript. */
const { code: BOARD_SOURCE } = transformSync(readFileSync(new URL('../../src/runtime/board.ts', import.meta.url), 'utf8'), {
  loader: 'ts',
});
const BOARD = `data:text/javascript,${encodeURIComponent(BOARD_SOURCE)}`;

/**
 * A worker that as thread `number` takes part in what is pinned to `board`, each part of which runs `body`, JavaScript that sees `kernel`, `args` and
 * `shared`. Ready when this resolves.
 */
export async function joinBoard(board: SharedArrayBuffer, number: number, body: string, shared?: SharedArrayBuffer): Promise<Worker> {
  const code = `
    const { parentPort, workerData: { board: memory, number, shared } } = require('node:worker_threads');
    import(${JSON.stringify(BOARD)}).then(({ Board }) => {
      const board = new Board(number, memory);
      parentPort.postMessage('ready');
      for (;;) {
        board.work((kernel, args) => { ${body} });
        board.wait();
      }
    });`;
  const worker = new Worker(code, { eval: true, workerData: { board, number, shared }, execArgv: [] });
  worker.unref();
  await once(worker, 'message');
  return worker;
}

/** Runs `body` on a host with other threads, or without. */
export async function withThreads(start: Threads['start'] | undefined, body: () => unknown): Promise<void> {
  const mutable = host as { -readonly [K in keyof Host]: Host[K] };
  const { threads } = host;
  mutable.threads = start && { ...(threads as Threads), start };
  try {
    await body();
  } finally {
    mutable.threads = threads;
  }
}

/** A thread that does nothing, for what a test does in its place. */
export const idle: Thread = { failure: undefined, stop() {} };

/** How many threads this process has, where the system tells. */
export function countOsThreads(): number | undefined {
  return process.platform === 'linux' ? readdirSync('/proc/self/task').length : undefined;
}
