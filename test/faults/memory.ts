import type { Worker } from 'node:worker_threads';
import { MemoryError, ThreadError } from '../../src/errors.ts';
import { Dinov2Model, Tensor } from '../../src/index.ts';
import { randomFloats } from '../reference/random.ts';
import type { Report } from './report.ts';

const SIZES = { hidden_size: 64, num_attention_heads: 2, num_hidden_layers: 4, patch_size: 14, image_size: 70 };
const PIXELS = new Tensor('float32', randomFloats(3 * 140 * 140, 1), [1, 3, 140, 140]);

async function featuresOf(threads: number, before?: () => void): Promise<Float32Array> {
  using model = new Dinov2Model(SIZES, { threads, seed: 1 });
  before?.();
  const traced = await model.trace({ height: 140, width: 140 });
  await model(PIXELS);
  return (await traced(PIXELS)).last_hidden_state.data;
}

/** A host that refuses memory, each time that it is asked for more: a named error, and afterwards all is as ever. */
export async function refuseMemory(report: Report, { threads: counts = [1, 2] }: { threads?: readonly number[] } = {}): Promise<void> {
  const expected = await featuresOf(1);
  for (const threads of counts) {
    const requests = await countRequests(() => featuresOf(threads));
    for (let at = 0; at < requests; at++) {
      const losses: string[] = [];
      const found = await withMemory(at, () => featuresOf(threads)).catch((error: unknown) => error);
      if (!(found instanceof MemoryError)) losses.push(`expected a MemoryError, found ${found}`);
      if (!isSame(await featuresOf(threads), expected)) losses.push('other features afterwards');
      report.add('the host refuses memory', `request ${at} of ${requests}, threads: ${threads}`, losses);
    }
  }
}

/** Runs `body` on a host that refuses the request number `at` for WebAssembly memory, be it the first or for more. */
async function withMemory<T>(at: number, body: () => Promise<T>, count: { requests: number } = { requests: 0 }): Promise<T> {
  const { Memory } = WebAssembly;
  const { grow } = Memory.prototype;
  const ask = (): void => {
    if (count.requests++ === at) throw new RangeError('WebAssembly.Memory: refused by a test');
  };
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      if (descriptor.initial > 0) ask();
      super(descriptor);
    }
  };
  Memory.prototype.grow = function (pages) {
    ask();
    return grow.call(this, pages);
  };
  try {
    return await body();
  } finally {
    Memory.prototype.grow = grow;
    WebAssembly.Memory = Memory;
  }
}

async function countRequests(body: () => Promise<unknown>): Promise<number> {
  const count = { requests: 0 };
  await withMemory(-1, body, count);
  return count.requests;
}

/** Beyond it an error about a thread is no prompt one, on a machine with a lot to do. In milliseconds. */
const PROMPT = 6000;

/** A thread that is ended while a model runs: the right features, or soon a named error, and a model that is loaded again gives them. */
export async function endThreads(report: Report, times: number, next: () => number): Promise<void> {
  const expected = await featuresOf(1);
  for (let i = 0; i < times; i++) {
    const losses: string[] = [];
    const workers: Worker[] = [];
    const see = (worker: Worker): void => void workers.push(worker);
    process.on('worker', see);
    let start = 0;
    const moment = next() * 30;
    const end = (): void => {
      setTimeout(() => {
        start = performance.now();
        void workers[i % workers.length]?.terminate();
      }, moment);
    };
    try {
      for (let round = 0; round < 3; round++) {
        if (!isSame(await featuresOf(3, round === 0 ? end : undefined), expected)) losses.push('other features');
      }
    } catch (error) {
      if (!(error instanceof ThreadError)) losses.push(`expected a ThreadError, found ${error}`);
      if (performance.now() - start > PROMPT) losses.push(`it took ${(performance.now() - start).toFixed(0)} ms`);
    }
    process.off('worker', see);
    if (!isSame(await featuresOf(2), expected)) losses.push('other features afterwards');
    report.add('a thread is ended while a model runs', `after ${moment.toFixed(1)} ms`, losses);
  }
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => Object.is(x, b[i]));
}
