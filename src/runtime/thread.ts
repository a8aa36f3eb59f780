/** What the other threads of an engine run: kernel calls from a board, until the thread is stopped. Started by a host, see {@link ThreadPool}. */
import { host } from '#host';
import { Board } from './board.ts';
import { instantiate } from './kernels.ts';
import type { ThreadData } from './threads.ts';

host.threads?.received().then(work); // not awaited: bundlers make scripts of threads, which cannot wait at their top

function work(data: unknown): void {
  const { module, memory, kernels, board: shared, number } = data as ThreadData;
  const exports = instantiate(module, memory) as unknown as Record<string, (...args: readonly number[]) => void>;
  const functions = kernels.map((name) => exports[name] as (...args: readonly number[]) => void);
  const board = new Board(number, shared);
  let pages = 0;
  const run = (kernel: number, args: readonly number[]): void => {
    if (board.pages !== pages) {
      // V8 tells threads of growth by and by, and never of what happened while they started: who asks to grow by nothing knows at once
      memory.grow(0);
      pages = board.pages;
    }
    functions[kernel]?.(...args);
  };
  board.join();
  for (;;) {
    board.work(run);
    board.wait();
  }
}
