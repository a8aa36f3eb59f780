import { Worker } from 'node:worker_threads';
import { ThreadError } from '../errors.ts';
import type { ImageInput } from '../image/rawImage.ts';
import { receivedError } from '../sentErrors.ts';
import {
  checkTask,
  type ImageTask,
  type ImageTaskRequests,
  type ImageTaskResults,
  type ImageTasksOptions,
  type RunOptions,
} from '../tasks/index.ts';
import { type Float32, Tensor } from '../tensor/index.ts';
import type { Message, Question, ThreadStart } from './protocol.ts';
import type { Answerer } from './routes.ts';

/** Those of {@link ImageTasks.open}, but for functions: they cannot be sent to a thread. */
export type ThreadedTasksOptions = ThreadStart['options'] &
  Pick<ThreadStart, 'decoder'> &
  Pick<ImageTasksOptions, 'progress_callback' | 'signal'>;

interface Waiting {
  resolve(result: ImageTaskResults[ImageTask] | Float32Array): void;
  reject(error: Error): void;
}

/** The message without its number, which {@link ThreadedTasks} gives it. */
type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never;

/**
 * {@link ImageTasks} in a thread of its own, for Node and hosts that have `node:worker_threads`: while it decodes or computes, connections are
 * read and answered, and limits of time kept.
 */
export class ThreadedTasks implements Answerer {
  readonly available: readonly ImageTask[];
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #memory: number;
  #last = 0;
  /** Why it answers no more. */
  #failure: Error | undefined;

  private constructor(thread: Worker, { available, memory }: { available: readonly ImageTask[]; memory: number }) {
    this.available = available;
    this.#thread = thread;
    this.#memory = memory;
    thread.on('message', (message: Message) => this.#hear(message));
    thread.once('error', (error) => this.#fail(error.message));
    thread.once('exit', (code) => this.#fail(`it exited with code ${code}`));
  }

  /**
   * @param source the path or the name on the hub of a model
   * @throws as {@link ImageTasks.open}; {ThreadError} when the thread cannot be had
   */
  static async open(
    source: string | URL,
    { progress_callback, signal, decoder, ...options }: ThreadedTasksOptions = {},
  ): Promise<ThreadedTasks> {
    const url = new URL('../../dist/serve/thread.js', import.meta.url); // from src/ and from dist/: threads have no TypeScript loader
    const thread = new Worker(url, { workerData: { source, options, decoder } satisfies ThreadStart, execArgv: [] });
    const stop = (): void => void thread.terminate();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await new Promise<ThreadedTasks>((resolve, reject) => {
        thread.on('message', (message: Message) => {
          if ('progress' in message) progress_callback?.(message.progress);
          else if ('available' in message) resolve(new ThreadedTasks(thread, message));
          else if ('error' in message) reject(receivedError(message.error));
        });
        const fail = (found: string): void => reject(signal?.aborted ? signal.reason : threadError(found));
        thread.once('error', ({ message }) => fail(message));
        thread.once('exit', (code) => fail(`it exited with code ${code}`));
      });
    } catch (error) {
      await thread.terminate();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  get memory(): number {
    return this.#memory;
  }

  check(task: ImageTask, request: object = {}): void {
    checkTask(task, request, this.available);
  }

  async run<Task extends ImageTask>(
    task: Task,
    image: ImageInput,
    request: ImageTaskRequests[Task] = {},
    { signal }: RunOptions = {},
  ): Promise<ImageTaskResults[Task]> {
    this.check(task, request);
    return (await this.#ask({ task, image, request }, signal)) as ImageTaskResults[Task];
  }

  async embed(image: ImageInput, { pooling = 'cls' }: ImageTaskRequests['embed'] = {}, { signal }: RunOptions = {}): Promise<Float32> {
    const vector = (await this.#ask({ image, vector: pooling }, signal)) as Float32Array;
    return new Tensor('float32', vector as Float32Array<ArrayBuffer>, [1, vector.length]);
  }

  /** Ends the thread. */
  async dispose(): Promise<void> {
    this.#failure ??= threadError('it was disposed of');
    await this.#thread.terminate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #ask(question: Unnumbered<Question>, signal: AbortSignal | undefined): Promise<unknown> {
    signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    this.#last += 1;
    const id = this.#last;
    const abort = (): void => this.#thread.postMessage({ id, abort: true } satisfies Question);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        this.#thread.postMessage({ ...question, id } as Question);
      });
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  #hear(message: Message): void {
    if (!('id' in message) || message.id === undefined) return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('error' in message) waiting?.reject(receivedError(message.error));
    else {
      this.#memory = message.memory;
      waiting?.resolve(message.result);
    }
  }

  #fail(found: string): void {
    this.#failure ??= threadError(found);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

function threadError(found: string): ThreadError {
  return new ThreadError(`the thread of the model: expected it to work, found that it does not (${found}): start the service anew`);
}
