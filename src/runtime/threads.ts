import { host } from '#host';
import { ArgumentError, ThreadError } from '../errors.ts';
import type { Thread, Threads } from '../hosts/host.ts';
import { warnOnce } from '../warn.ts';
import { Board, MOST_PARTS, MOST_THREADS, type NumberedCall } from './board.ts';
import type { KernelName, Kernels } from './kernels.ts';
import { PAGE } from './memory.ts';

/** Beyond it more threads gain little for pictures of common sizes. */
const MOST_AUTOMATIC = 8;

/** Milliseconds without a part finished, and times the longest part so far, after which a thread counts as dead. */
const PATIENCE = 10_000;
const PATIENCE_FACTOR = 50;

/** What a thread needs to take part. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Names of the kernels, in the order of their numbers. */
  readonly kernels: readonly KernelName[];
  readonly board: SharedArrayBuffer;
  /** Of this thread, from 1 on: the calling one is 0. */
  readonly number: number;
}

/** One call of a kernel. */
export type KernelCall = { [K in KernelName]: readonly [name: K, ...args: Parameters<Kernels[K]>] }[KernelName];

/**
 * The number of threads that a host gives to who asks for `asked`. Where it has no shared memory that is 1, which is said once.
 * @throws {ArgumentError} unless it is a count of 1 to 64 or "auto"
 */
export function countThreads(asked: number | 'auto'): number {
  if (asked !== 'auto' && !(Number.isInteger(asked) && asked >= 1 && asked <= MOST_THREADS)) {
    throw new ArgumentError(`threads: expected 1 to ${MOST_THREADS} or "auto", found ${JSON.stringify(asked)}`);
  }
  if (asked === 1) return 1;
  if (!host.threads) {
    warnOnce(`${host.name} gives no threads over shared memory: one thread is used`);
    return 1;
  }
  return asked === 'auto' ? Math.min(host.threads.available, MOST_AUTOMATIC) : asked;
}

/**
 * The threads of an engine, the calling one among them. The others start in the background and join when they are there: until then the calling
 * thread does more of the work, and all of it where none can be started, as when a bundler has left out their script.
 */
export class ThreadPool {
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #names: readonly KernelName[];
  readonly #numbers: ReadonlyMap<KernelName, number>;
  readonly #board = new Board();
  readonly #shares: number;
  #threads: readonly { readonly number: number; readonly thread: Thread; isWatched: boolean }[];
  readonly #patience: number;
  #longest = 0;
  #failure: ThreadError | undefined;

  constructor(
    count: number,
    kernels: Kernels,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    { patience = PATIENCE }: { patience?: number } = {},
  ) {
    this.#patience = patience;
    this.#shares = count;
    this.#kernels = kernels;
    this.#memory = memory;
    this.#names = Object.keys(kernels) as KernelName[];
    this.#numbers = new Map(this.#names.map((name, number) => [name, number]));
    const data = { module, memory, kernels: this.#names, board: this.#board.memory };
    const { start } = host.threads as Threads;
    this.#threads = Array.from({ length: count - 1 }, (_, i) => {
      const number = i + 1;
      return { number, thread: start({ ...data, number } satisfies ThreadData), isWatched: false };
    });
  }

  /** Calls as {@link run} takes them. */
  number(calls: readonly KernelCall[]): NumberedCall[] {
    return calls.map(([name, ...args]) => ({ kernel: this.#numbers.get(name) as number, args }));
  }

  /**
   * Makes calls that do not depend on one another.
   * @throws {ThreadError} when a thread has died
   */
  run(calls: readonly NumberedCall[]): void {
    this.#checkThreads();
    if (this.#failure) throw this.#failure;
    if (calls.length <= MOST_PARTS) this.#share(calls);
    else for (let first = 0; first < calls.length; first += MOST_PARTS) this.#share(calls.slice(first, first + MOST_PARTS));
  }

  #share(calls: readonly NumberedCall[]): void {
    this.#board.post(calls, this.#shares, this.#memory.buffer.byteLength / PAGE);
    this.#board.work((kernel, args) => this.#call(kernel, args));
    const problem = this.#board.finish(Math.max(this.#patience, PATIENCE_FACTOR * this.#longest), () => this.#hasLost());
    if (problem === 'lost') this.#checkThreads();
    if (problem === 'silent') this.#fail('a thread of the engine took a part of the work and did not answer');
    if (problem === 'failed') {
      const { part, why } = this.#board.failure;
      this.#fail(`a kernel failed: ${this.#names[calls[part]?.kernel as number]}: ${why}`);
    }
    if (this.#failure) throw this.#failure;
  }

  #checkThreads(): void {
    for (const each of this.#threads) {
      const { number, thread } = each;
      if (!each.isWatched && this.#board.hasJoined(number)) {
        thread.look?.(); // the end is seen only of what has been seen alive
        each.isWatched = true;
      }
      if (thread.failure) this.#lose(number, thread.failure);
    }
  }

  /** Whether a thread has ended that may have taken a part. */
  #hasLost(): boolean {
    return this.#threads.some(({ number, thread }) => {
      thread.look?.();
      return thread.failure !== undefined && this.#board.hasJoined(number);
    });
  }

  /** A thread that has ended: without it what it did is lost, unless it had not begun. */
  #lose(number: number, why: Error): void {
    if (this.#board.hasJoined(number)) this.#fail(`a thread of the engine has ended: ${why.message}`, why);
    else warnOnce(`${host.name} did not start a thread (${why.message}): fewer are used`);
    this.#threads = this.#threads.filter((other) => other.number !== number);
  }

  /** Ends the other threads. */
  stop(): void {
    for (const { thread } of this.#threads) thread.stop();
  }

  #call(kernel: number, args: readonly number[]): void {
    const start = performance.now();
    (this.#kernels[this.#names[kernel] as KernelName] as (...args: readonly number[]) => void)(...args);
    this.#longest = Math.max(this.#longest, performance.now() - start);
  }

  /** What was computed so far is of no use: the engine stays unusable. */
  #fail(what: string, cause?: Error): void {
    this.#failure ??= new ThreadError(`${what}: dispose of the model and load it again`, { cause });
    this.stop();
  }
}
