import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HostError, NetworkError } from '../errors.ts';
import type { QueueJob } from './answers.ts';

export interface WorkerOptions {
  /** Of the queue. */
  readonly queue: string;
  /** Of Redis. */
  readonly url: string;
  /** Of the keys in Redis. */
  readonly prefix: string;
  /** Jobs at the same time. */
  readonly concurrency: number;
  /** Seconds after which a job of a worker that was killed returns to the queue. */
  readonly lockTime: number;
  /** Seconds that jobs are given to be finished at the end. */
  readonly closingTime: number;
  /** What a job gives. */
  answer(job: QueueJob): Promise<unknown>;
  /** Whether a job that fails with this error is not tried again. */
  isFinal(error: unknown): boolean;
  /** Whether no other job can be done either: this worker ends, and leaves its jobs to others. */
  isFatal(error: unknown): boolean;
  onReady(): void;
  onDone(job: QueueJob, seconds: number): void;
  onFailed(job: QueueJob, error: Error): void;
  /** Hears of trouble with Redis, which is tried again. */
  onTrouble(error: Error): void;
}

/** How often a job is given to another worker when one is gone, before it is held to be what ends them. BullMQ's default is once. */
const MOST_STALLS = 10;

/** Milliseconds in which Redis has to answer at the start. */
const PATIENCE = 10_000;

/** What is used of BullMQ 5 and 6. */
interface BullMq {
  readonly Worker: new (queue: string, work: (job: BullJob) => Promise<unknown>, options: object) => BullWorker;
  readonly UnrecoverableError: new (message: string) => Error;
}

interface BullJob {
  readonly id?: string;
  readonly name: string;
  readonly data: unknown;
}

interface BullWorker {
  on(event: 'error', listener: (error: Error) => void): void;
  waitUntilReady(): Promise<unknown>;
  /** Takes no more jobs. */
  pause(doNotWaitActive: boolean): Promise<void>;
  close(force?: boolean): Promise<void>;
}

/**
 * Takes jobs of a BullMQ queue until the signal says to end, and then finishes those it has.
 * @returns how many were not finished in time: they return to the queue
 * @throws {HostError} when BullMQ is not installed; {NetworkError} when Redis does not answer at the start; a fatal error
 */
export async function work(options: WorkerOptions, signal: AbortSignal): Promise<number> {
  const { Worker, UnrecoverableError } = await loadBullMq();
  const { queue, url, prefix, concurrency, lockTime, closingTime, isFinal, isFatal } = options;
  const fatal = new AbortController();
  const jobs = new Jobs();
  const process = async ({ id = '', name, data }: BullJob): Promise<unknown> => {
    const job = { id, name, data };
    const start = performance.now();
    try {
      const result = await jobs.do(() => options.answer(job));
      options.onDone(job, (performance.now() - start) / 1000);
      return result;
    } catch (caught) {
      const error = caught as Error;
      if (isFatal(error)) {
        fatal.abort(error);
        return new Promise(() => {}); // neither done nor failed: the job returns to the queue when its lock has run out
      }
      options.onFailed(job, error);
      throw isFinal(error) ? new UnrecoverableError(`${error.name}: ${error.message}`) : error;
    }
  };
  const worker = await start(() => {
    return new Worker(queue, process, {
      connection: { url, maxRetriesPerRequest: null },
      prefix,
      concurrency,
      lockDuration: lockTime * 1000,
      stalledInterval: lockTime * 1000,
      maxStalledCount: MOST_STALLS,
    });
  });
  let last = '';
  worker.on('error', (error) => {
    if (error.message !== last && !signal.aborted) options.onTrouble(error);
    last = error.message;
  });
  try {
    await within(PATIENCE, worker.waitUntilReady(), () => {
      throw new NetworkError(`${withoutPassword(url)}: expected Redis to answer, found ${last || 'no answer'}: is it running?`);
    });
    options.onReady();
    await aborted(AbortSignal.any([signal, fatal.signal]));
  } catch (error) {
    await worker.close(true).catch(() => {});
    throw error;
  }
  await worker.pause(true); // takes no more
  const isInTime = !fatal.signal.aborted && (await within(closingTime * 1000, jobs.ended(), () => false));
  await worker.close(!isInTime);
  fatal.signal.throwIfAborted();
  return jobs.size;
}

/** Jobs that are being done. */
class Jobs {
  size = 0;
  #resolve: (() => void) | undefined;

  async do<T>(job: () => Promise<T>): Promise<T> {
    this.size += 1;
    try {
      return await job();
    } finally {
      this.size -= 1;
      if (this.size === 0) this.#resolve?.();
    }
  }

  /** Waits until there are none. */
  async ended(): Promise<boolean> {
    if (this.size > 0) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    return true;
  }
}

/** BullMQ where this library is, or where it is run. */
async function loadBullMq(): Promise<BullMq> {
  const here = createRequire(join(process.cwd(), 'package.json'));
  try {
    return await import('bullmq' as string).catch(() => import(pathToFileURL(here.resolve('bullmq')).href));
  } catch (cause) {
    throw new HostError(`expected the packages bullmq and ioredis, found none (${(cause as Error).message}): npm install bullmq ioredis`, {
      cause,
    });
  }
}

/** @throws {HostError} when BullMQ cannot be used, as without ioredis */
async function start(create: () => BullWorker): Promise<BullWorker> {
  try {
    return create();
  } catch (cause) {
    throw new HostError(`expected BullMQ to connect to Redis, found: ${(cause as Error).message}`, { cause });
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

/** What the work gives, or when it takes longer what `otherwise` does. */
async function within<T>(milliseconds: number, work: Promise<T>, otherwise: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), milliseconds);
  });
  const result = await Promise.race([work, late]).finally(() => clearTimeout(timer));
  return result === 'late' ? otherwise() : result;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
