import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { KernelBuild } from '../../src/hosts/host.ts';
import { compileLimits } from '../kernels/limit.ts';
import type { Candidate } from '../measure.ts';

/** Steps of multiply-adds that the threads share: some 100 milliseconds of one. */
const STEPS = 40_000_000;

/** What a worker runs: its share whenever the word is another. */
const SCRIPT = `
const { workerData: { module, memory, share } } = require('node:worker_threads');
const { floats } = new WebAssembly.Instance(module).exports;
const words = new Int32Array(memory);
for (let turn = 0; ; turn++) {
  while (Atomics.load(words, 0) === turn) Atomics.wait(words, 0, turn);
  floats(share, 1);
  Atomics.add(words, 1, 1);
}`;

/** What a worker runs: it takes a word back as soon as it sees it. */
const ECHO = `
const { workerData } = require('node:worker_threads');
const words = new Int32Array(workerData);
for (;;) if (Atomics.load(words, 0) === 1) Atomics.store(words, 0, 0);`;

/** Milliseconds for which words are sent. */
const SENDING = 100;

/**
 * Nanoseconds in which a word goes from one processor to another and back: some 100 where they share a cache, several times that where they do not,
 * and what one thread makes for another is dear.
 */
export async function roundTrip(): Promise<number> {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(ECHO, { eval: true, workerData: words.buffer });
  await once(worker, 'online');
  const send = (): void => {
    Atomics.store(words, 0, 1);
    while (Atomics.load(words, 0) === 1);
  };
  send(); // it has begun
  const start = performance.now();
  let trips = 0;
  for (; performance.now() - start < SENDING; trips += 100) for (let i = 0; i < 100; i++) send();
  const nanoseconds = ((performance.now() - start) / trips) * 1e6;
  await worker.terminate();
  return nanoseconds;
}

/** Bare multiply-adds shared by threads: how much faster they get with more of them is what this machine has to give at the time. */
export class Machine implements Candidate {
  readonly threads: number;
  readonly #words = new Int32Array(new SharedArrayBuffer(8));
  readonly #workers: readonly Worker[];
  readonly #run: (steps: number, start: number) => number;

  private constructor(module: WebAssembly.Module, threads: number) {
    this.threads = threads;
    this.#run = new WebAssembly.Instance(module).exports.floats as (steps: number, start: number) => number;
    const workerData = { module, memory: this.#words.buffer, share: STEPS / threads };
    this.#workers = Array.from({ length: threads - 1 }, () => new Worker(SCRIPT, { eval: true, workerData }));
  }

  static async of(build: KernelBuild, threads: readonly number[]): Promise<Machine[]> {
    const module = await compileLimits(build);
    return threads.map((count) => new Machine(module, count));
  }

  time(): number {
    const start = performance.now();
    this.#words[1] = 0;
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
    this.#run(STEPS / this.threads, 1);
    while (Atomics.load(this.#words, 1) < this.threads - 1);
    return performance.now() - start;
  }

  async stop(): Promise<void> {
    for (const worker of this.#workers) await worker.terminate();
  }
}
