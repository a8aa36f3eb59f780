import { ArgumentError, DisposedError } from '../errors.ts';
import type { KernelBuild } from '../hosts/host.ts';
import { chooseBuild, kernelModule } from './builds.ts';
import { type IntegerForm, integerForm, multipliesBytes } from './features.ts';
import { instantiate, type KernelName, type Kernels } from './kernels.ts';
import { type Address, Memory, PAGE } from './memory.ts';
import { countThreads, type KernelCall, ThreadPool } from './threads.ts';

export interface EngineOptions {
  /** Which build of the kernels: `auto` takes relaxed SIMD where the host has it. Default `auto`. */
  build?: KernelBuild | 'auto';
  /**
   * Threads that share the work, the calling one included: a count of 1 to 64, or `auto` for as many as there are processors, up to 8. The results
   * are the same to the bit. Where the host has no shared memory it is one thread, which a warning says once. Default 1.
   */
  threads?: number | 'auto';
  /** Bytes the engine's memory may take; at most and by default 4 GiB. */
  memoryLimit?: number;
}

/** Each but the last is half of what is left of a thread's share, so that who is done first finds small ones to take over, and all end almost together. */
const PARTS_OF_A_SHARE = 5;

type Step = () => void;

/** Kernel calls and copies in the order in which they were made, to be made again on the same places. */
export interface Recording<T> {
  /** What the recorded function returned. @throws {DisposedError} */
  readonly result: T;
  /** @throws {DisposedError} */
  replay(): void;
  /** Gives back the memory on which the recording works, and its result with it. */
  dispose(): void;
}

/**
 * One memory and the kernels that work on it. Each model has an engine of its own, so that disposing of the model gives back all its
 * memory. The engine knows addresses and sizes; shapes are the tensors' business.
 */
export class Engine {
  /** The build of the kernels in use. */
  readonly build: KernelBuild;
  /** How this host multiplies integers. */
  readonly integerForm: IntegerForm;
  /** Whether it multiplies signed bytes by bytes of 0 to 127 as they are. */
  readonly multipliesBytes: boolean;
  /** How many threads share the work. */
  readonly threads: number;
  readonly #memory: Memory;
  readonly #pool: ThreadPool | undefined;
  #kernels: Kernels | undefined;
  #bytes: Uint8Array<ArrayBuffer>;
  /** What is written down, and whether it is done at once or only when it is repeated. */
  #steps: Step[] | undefined;
  #isPutOff = false;

  /**
   * @throws {HostError} on a host without WebAssembly SIMD, or without relaxed SIMD where `build: 'relaxed'` is asked for.
   * @throws {ArgumentError} on an unknown build, or a limit below the 64 KiB that the smallest memory has.
   */
  constructor({ build = 'auto', threads = 1, memoryLimit }: EngineOptions = {}) {
    this.build = chooseBuild(build);
    this.threads = countThreads(threads);
    if (memoryLimit !== undefined && !(typeof memoryLimit === 'number' && memoryLimit >= PAGE)) {
      throw new ArgumentError(`memoryLimit: expected ${PAGE} bytes or more, found ${JSON.stringify(String(memoryLimit))}`);
    }
    const shared = this.threads > 1;
    const module = kernelModule(this.build, shared ? 'shared' : 'own');
    this.#memory = new Memory({ shared, ...(memoryLimit !== undefined && { limit: memoryLimit }) });
    this.#kernels = instantiate(module, this.#memory.wasm);
    this.integerForm = integerForm(this.#kernels);
    this.multipliesBytes = multipliesBytes(this.#kernels);
    if (shared) this.#pool = new ThreadPool(this.threads, this.#kernels, module, this.#memory.wasm);
    this.#bytes = new Uint8Array(this.#memory.wasm.buffer as ArrayBuffer);
  }

  /** Bytes taken from the host; never shrinks before {@link dispose}. */
  get reserved(): number {
    return this.#memory.reserved;
  }

  allocate(bytes: number): Address {
    this.#live();
    return this.#memory.allocate(bytes);
  }

  free(address: Address, bytes: number): void {
    this.#memory.free(address, bytes);
  }

  /** Bytes that it may take at most. */
  get limit(): number {
    return this.#memory.limit;
  }

  /** Where the next block begins that is allocated outside any scope, unless it fits where one was freed. */
  get end(): Address {
    return this.#memory.used;
  }

  /** Runs `body`, which allocates anew what was allocated from `address` on: a place for things of the same size that take turns. */
  within(address: Address, body: () => void): void {
    const mark = this.#memory.enter(address);
    try {
      body();
    } finally {
      this.#memory.leave(mark);
    }
  }

  /** Runs `body`; what it allocates is released when it returns. */
  scope<T>(body: () => T): T {
    const mark = this.#memory.enter();
    try {
      return body();
    } finally {
      this.#memory.leave(mark);
    }
  }

  /** The same for a `body` that takes its time. One at a time: scopes end in the order opposite to that in which they began. */
  async scopeAsync<T>(body: () => Promise<T>): Promise<T> {
    const mark = this.#memory.enter();
    try {
      return await body();
    } finally {
      this.#memory.leave(mark);
    }
  }

  /** Calls one kernel. */
  call<K extends KernelName>(name: K, ...args: Parameters<Kernels[K]>): void {
    const kernel = this.#live()[name] as (...args: number[]) => void;
    this.#do(() => kernel(...(args as number[])));
  }

  /** How many parts {@link parallel} makes of `count` items, which it cuts at multiples of `grain` only. */
  parts(count: number, grain: number): number {
    const grains = Math.ceil(count / grain);
    return Math.min(grains, this.threads === 1 ? 1 : PARTS_OF_A_SHARE * this.threads);
  }

  /**
   * Calls kernels on `count` items that do not depend on one another, the threads sharing them: `cut` gives the call for `items` items from `first`
   * on, which are part number `part`.
   */
  parallel(count: number, grain: number, cut: (first: number, items: number, part: number) => KernelCall): void {
    const parts = this.parts(count, grain);
    const grains = Math.ceil(count / grain);
    const calls: KernelCall[] = [];
    for (let part = 0, first = 0; part < parts; part++) {
      const end = Math.min(count, Math.floor(grains * this.#before(part + 1, parts)) * grain);
      if (end > first) calls.push(cut(first, end - first, part));
      first = end;
    }
    this.together(calls);
  }

  /** How much of a job comes before a part of it: a thread's parts are neighbours, each but the last half of what is left of its share. */
  #before(part: number, parts: number): number {
    const { threads } = this;
    if (parts < PARTS_OF_A_SHARE * threads) return part / parts;
    const own = part % PARTS_OF_A_SHARE;
    return ((part - own) / PARTS_OF_A_SHARE + 1 - 2 ** -own) / threads;
  }

  /** Makes calls that do not depend on one another, the threads sharing them. */
  together(calls: readonly KernelCall[]): void {
    const kernels = this.#live();
    const pool = this.#pool;
    if (pool && calls.length > 1) {
      const numbered = pool.number(calls);
      this.#do(() => pool.run(numbered));
    } else {
      const made = calls.map(([name, ...args]) => ({ kernel: kernels[name] as (...args: readonly number[]) => void, args }));
      this.#do(() => {
        for (const { kernel, args } of made) kernel(...args);
      });
    }
  }

  /** The memory as bytes, from `address` on; stale after the next allocation. */
  view(address: Address, length: number): Uint8Array<ArrayBuffer> {
    this.#live();
    if (this.#bytes.buffer !== this.#memory.wasm.buffer) this.#bytes = new Uint8Array(this.#memory.wasm.buffer as ArrayBuffer);
    return this.#bytes.subarray(address, address + length);
  }

  /** Copies bytes into engine memory. */
  write(address: Address, source: ArrayBufferView): void {
    const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    const kept = this.#steps ? bytes.slice() : bytes;
    this.#do(() => this.view(address, kept.length).set(kept));
  }

  /** Copies bytes from one place to another. */
  copy(to: Address, from: Address, length: number): void {
    this.#do(() => this.view(to, length).set(this.view(from, length)));
  }

  /** Copies bytes out of engine memory into `target`, at each replay as well. */
  read(address: Address, target: ArrayBufferView): void {
    this.#do(() => new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(this.view(address, target.byteLength)));
  }

  /** Does something with the memory, and writes it down where that is asked for. */
  #do(step: Step): void {
    this.#steps?.push(step);
    if (!this.#isPutOff) step();
  }

  /**
   * Runs `body`, which is none of what is written down at the time: what reads weights while a run waits.
   * @throws {ArgumentError} while a recording is made, whose memory is not set aside yet
   */
  apart<T>(body: () => T): T {
    if (this.#isPutOff) throw new ArgumentError('weights: expected no trace in the making, found one: await it before weights are read');
    const steps = this.#steps;
    this.#steps = undefined;
    try {
      return body();
    } finally {
      this.#steps = steps;
    }
  }

  /**
   * Runs `body`, and gives with its result what makes the same kernel calls and copies again: on the same places, so that these must be free, as in
   * a scope that begins where this one does.
   */
  async follow<T>(body: () => Promise<T>): Promise<{ result: T; again: () => void }> {
    const { result, steps } = await this.#writeDown(body);
    return {
      result,
      again: () => {
        this.#live();
        for (const step of steps) step();
      },
    };
  }

  /**
   * Runs `body` without executing its kernels: they are written down, with the memory they need set aside, to be replayed at will.
   * Runs it twice, first to learn how much memory that is.
   */
  async record<T>(body: () => Promise<T>): Promise<Recording<T>> {
    this.#live();
    const { bytes } = await this.#rehearse(body);
    const block = this.#memory.allocate(bytes);
    try {
      const { result, steps } = await this.#rehearse(body, block);
      return this.#recording(result, steps, block, bytes);
    } catch (error) {
      this.#memory.free(block, bytes);
      throw error;
    }
  }

  /** Runs `body` in a scope, in a block if one is given, and gives what it would have done and the memory that takes. */
  async #rehearse<T>(body: () => Promise<T>, block?: Address): Promise<{ result: T; steps: readonly Step[]; bytes: number }> {
    const memory = this.#memory;
    const mark = memory.enter(block);
    try {
      return { ...(await this.#writeDown(body, true)), bytes: memory.highest - (block ?? mark) };
    } finally {
      memory.leave(mark);
    }
  }

  /** Runs `body` and gives what it did, or would have done. */
  async #writeDown<T>(body: () => Promise<T>, isPutOff = false): Promise<{ result: T; steps: readonly Step[] }> {
    if (this.#steps) throw new ArgumentError('engine: a recording cannot be made inside another');
    const steps: Step[] = [];
    this.#steps = steps;
    this.#isPutOff = isPutOff;
    try {
      return { result: await body(), steps };
    } finally {
      this.#steps = undefined;
      this.#isPutOff = false;
    }
  }

  #recording<T>(result: T, steps: readonly Step[], block: Address, bytes: number): Recording<T> {
    let disposed = false;
    const check = (): void => {
      this.#live();
      if (disposed) throw new DisposedError('recording: used after dispose()');
    };
    return {
      get result() {
        check();
        return result;
      },
      replay: () => {
        check();
        for (const step of steps) step();
      },
      dispose: () => {
        if (!disposed) this.#memory.free(block, bytes);
        disposed = true;
      },
    };
  }

  /** Gives back all memory. Everything on this engine is unusable from then on. */
  dispose(): void {
    this.#kernels = undefined;
    this.#pool?.stop();
    this.#memory.dispose();
    this.#bytes = new Uint8Array(0);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #live(): Kernels {
    if (!this.#kernels) throw new DisposedError('engine: used after dispose()');
    return this.#kernels;
  }
}
