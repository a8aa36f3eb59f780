import { host } from '#host';
import { ArgumentError, DisposedError, ThreadError } from '../errors.ts';
import type { Helper, Helpers } from '../hosts/host.ts';
import { receivedError } from '../sentErrors.ts';
import { Tensor } from '../tensor/tensor.ts';
import { warnOnce } from '../warn.ts';
import type { Decoder } from './decoder.ts';
import { PixelGate } from './pixelGate.ts';
import type { ImageProcessor, ProcessorConfig, ProcessorOptions, ProcessorOutput } from './processing.ts';
import { type ImageInput, isPixels, type PixelsInput, RawImage, type ReadOptions } from './rawImage.ts';
import type { Question, Reply } from './reading.ts';

export interface ImageReaderOptions extends Omit<ReadOptions, 'decode'> {
  decoder?: Decoder | undefined;
  /** Threads that read: 0 reads in line. Default auto: as many as there are processors, at most 4. */
  threads?: number | 'auto';
}

export interface CallOptions {
  /** Gives up, and ends the thread that reads. */
  signal?: AbortSignal | undefined;
}

const MOST_AUTOMATIC = 4;
/** Processed pictures that are asked for ahead of their use, for each thread: enough that one large among small ones is there in time. */
const AHEAD = 4;

/** A picture that is asked for. */
interface Task {
  readonly question: Omit<Question, 'gate' | 'thread'>;
  /** Without threads. */
  readonly inLine: () => Promise<RawImage | ProcessorOutput>;
  resolve(value: RawImage | ProcessorOutput): void;
  reject(reason: unknown): void;
  /** Whether nobody waits for it any more. */
  isAbandoned: boolean;
}

/**
 * Reads, decodes and processes pictures in threads of its own, while the caller does something else: the same pictures to the bit as without. A
 * picture whose thread dies is refused with a ThreadError, and the next get another thread. On hosts without such threads it works in line.
 */
export class ImageReader {
  /** Sums over all threads, of pictures that could be read; in line all is decoding. */
  readonly seconds = { reading: 0, decoding: 0 };
  readonly #reading: Omit<ReadOptions, 'decode'>;
  readonly #decoder: Decoder | undefined;
  readonly #gate: PixelGate;
  /** By number in the gate. */
  #helpers: (Helper | undefined)[];
  readonly #working = new Map<number, Task>();
  #waiting: Task[] = [];
  #isDisposed = false;

  /** @throws {ArgumentError} on an impossible number of threads */
  constructor({ threads = 'auto', decoder, ...reading }: ImageReaderOptions = {}) {
    if (threads !== 'auto' && !(Number.isSafeInteger(threads) && threads >= 0 && threads <= 64))
      throw new ArgumentError(`reader: threads: expected 0 to 64 or "auto", found ${threads}`);
    const count = threads === 'auto' ? Math.min(host.threads?.available ?? 0, MOST_AUTOMATIC) : threads;
    this.#helpers = new Array<undefined>(host.helpers ? count : 0).fill(undefined);
    this.#gate = new PixelGate(this.#helpers.length);
    this.#decoder = decoder;
    this.#reading = reading;
  }

  /** Pictures that are worth asking for beyond the one that is waited for: 0 when they are read in line. */
  get ahead(): number {
    return AHEAD * this.#helpers.length;
  }

  /** The same for whole pictures, which take more memory. */
  get wholeAhead(): number {
    return this.#helpers.length;
  }

  /** As {@link RawImage.read} with the options of this reader. @throws {ThreadError} when its thread ended; the signal's reason */
  async read(input: ImageInput, options: CallOptions = {}): Promise<RawImage> {
    return (await this.#do(input, undefined, () => RawImage.read(input, this.#options), options)) as RawImage;
  }

  /** As a call of the processor with the options of this reader. @throws {ThreadError} when its thread ended; the signal's reason */
  async process<Config extends ProcessorConfig>(
    processor: ImageProcessor<Config>,
    input: ImageInput,
    options: CallOptions = {},
  ): Promise<ProcessorOutput> {
    return (await this.#do(
      input,
      processor.to_dict(),
      () => processor(input, this.#options as ProcessorOptions<Config>),
      options,
    )) as ProcessorOutput;
  }

  /** Ends the threads. What is asked for is refused with a DisposedError. Resolves when nothing runs, and no file is open, any more. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    const disposed = new DisposedError('reader: expected one in use, found one that was disposed of');
    for (const task of [...this.#waiting, ...this.#working.values()]) this.#abandon(task, disposed);
    await Promise.all(this.#helpers.map((helper) => helper?.stop()));
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  get #options(): ReadOptions {
    return { ...this.#reading, decode: this.#decoder?.decode };
  }

  async #do(
    input: ImageInput,
    processor: Question['processor'],
    inLine: Task['inLine'],
    { signal }: CallOptions,
  ): Promise<RawImage | ProcessorOutput> {
    if (this.#isDisposed) throw new DisposedError('reader: expected one in use, found one that was disposed of');
    signal?.throwIfAborted();
    if (isPixels(input)) return inLine();
    if (this.#helpers.length === 0) return this.#inLine(inLine);
    const question = { input: sendable(input), reading: this.#reading, decoder: this.#decoder?.module, processor };
    let abort = (): void => {};
    try {
      return await new Promise((resolve, reject) => {
        const task: Task = { question, inLine, resolve, reject, isAbandoned: false };
        abort = () => this.#abandon(task, signal?.reason);
        signal?.addEventListener('abort', abort);
        this.#waiting.push(task);
        this.#assign();
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Gives pictures that wait to threads that do not work, and starts threads. */
  #assign(): void {
    while (this.#waiting.length > 0 && !this.#isDisposed) {
      const free = this.#helpers.flatMap((_, thread) => (this.#working.has(thread) ? [] : [thread]));
      const thread = free.find((one) => this.#helpers[one]) ?? free[0];
      if (thread === undefined && this.#helpers.length > 0) return;
      const task = this.#waiting.shift() as Task;
      if (thread === undefined) this.#inLine(task.inLine).then(task.resolve, task.reject);
      else void this.#run(task, thread);
    }
  }

  async #inLine(work: Task['inLine']): Promise<RawImage | ProcessorOutput> {
    const start = performance.now();
    const result = await work();
    this.seconds.decoding += (performance.now() - start) / 1000;
    return result;
  }

  async #run(task: Task, thread: number): Promise<void> {
    this.#working.set(thread, task);
    let helper = this.#helpers[thread];
    if (!helper || helper.failure) helper = (host.helpers as Helpers).start('image/readerThread.js');
    this.#helpers[thread] = helper;
    try {
      this.#settle(task, (await helper.ask({ ...task.question, gate: this.#gate.memory, thread } satisfies Question)) as Reply);
    } catch (error) {
      if (!helper.failure)
        task.reject(error); // the question cannot be sent
      else await this.#lose(helper, thread, task);
    }
    this.#working.delete(thread);
    this.#assign();
  }

  #settle({ resolve, reject }: Task, reply: Reply): void {
    if ('error' in reply) {
      reject(receivedError(reply.error));
      return;
    }
    this.seconds.reading += reply.seconds.reading;
    this.seconds.decoding += reply.seconds.decoding;
    if ('pixels' in reply) {
      const { data, width, height, channels } = reply.pixels;
      resolve(new RawImage(data, width, height, channels));
      return;
    }
    const { pixel_values, ...rest } = reply.processed;
    resolve({ pixel_values: new Tensor('float32', pixel_values.data as Float32Array<ArrayBuffer>, pixel_values.dims), ...rest });
  }

  /** A thread has ended at its work, or did not start at all: then there are none to be had. */
  async #lose(helper: Helper, thread: number, task: Task): Promise<void> {
    const { message } = helper.failure as Error;
    await helper.stop();
    this.#gate.leave(thread);
    if (this.#helpers[thread]) this.#helpers[thread] = undefined;
    if (task.isAbandoned) return;
    if (helper.hasStarted) {
      task.reject(new ThreadError(`expected a thread to read the picture, found that it ended (${message}): it may be too large`));
    } else {
      warnOnce(`${host.name} did not start a thread (${message}): pictures are read in line`);
      this.#helpers = [];
      this.#waiting.unshift(task);
    }
  }

  /** Nobody waits for a picture any more. */
  #abandon(task: Task, reason: unknown): void {
    task.isAbandoned = true;
    task.reject(reason);
    this.#waiting = this.#waiting.filter((other) => other !== task);
    for (const [thread, other] of this.#working) if (other === task) void this.#helpers[thread]?.stop();
  }
}

/** What can be cloned, and no more of it than is meant. */
function sendable(input: Exclude<ImageInput, PixelsInput>): Question['input'] {
  if (input instanceof URL) return input.href;
  return input instanceof Uint8Array && input.byteLength < input.buffer.byteLength ? new Uint8Array(input) : input;
}
