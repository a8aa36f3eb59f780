/** What the other threads of an engine run: kernel calls from a board, until the thread is stopped. Started by a host, see {@link ThreadPool}. */
import { host } from '#host';
import type { Threads } from '../hosts/host.ts';
import { Board } from './board.ts';
import { instantiate } from './kernels.ts';
import type { ThreadData } from './threads.ts';

const { module, memory, kernels, board: shared } = (await (host.threads as Threads).received()) as ThreadData;
const exports = instantiate(module, memory) as unknown as Record<string, (...args: readonly number[]) => void>;
const functions = kernels.map((name) => exports[name] as (...args: readonly number[]) => void);
const board = new Board(shared);

for (;;) {
  board.work((kernel, args) => functions[kernel]?.(...args));
  board.wait();
}
