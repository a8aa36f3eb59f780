import { ArgumentError, ImageError, ThreadError } from '../errors.ts';
import { fileSystem } from '../files/source.ts';
import type { ImageReader } from '../image/reader.ts';
import { answerJob, isFatal, isFinal, type QueueJob } from '../queue/answers.ts';
import { work } from '../queue/bullmq.ts';
import { ImageTasks } from '../tasks/index.ts';
import { type ModelChoice, setUpModel } from './batch.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';

export interface WorkerCommandOptions extends ModelChoice {
  /** Of Redis. */
  readonly redis: string;
  readonly prefix: string;
  /** A classifier in place of the model's. */
  readonly head?: string;
  /** The folder in which paths of jobs are. */
  readonly root?: string;
  /** Origins of URLs, or `*`. */
  readonly allowUrl?: readonly string[];
  /** A folder for results. */
  readonly output?: string;
  readonly concurrency: number;
  readonly maxPixels: number;
  /** Of the file of an image. */
  readonly maxBytes: number;
  /** Seconds, as the two below: for an image. */
  readonly timeout: number;
  /** Until a job of a worker that was killed returns to the queue. */
  readonly lockTime: number;
  readonly closingTime: number;
  readonly json?: boolean;
}

/** `dinov2 worker`: does the jobs of a BullMQ queue until the signal says to end. @returns how many of those it had it could not finish */
export async function doJobs(queue: string, options: WorkerCommandOptions, terminal: Terminal): Promise<number> {
  const { head, root, allowUrl: origins = [], maxPixels, maxBytes, timeout, output, json = false } = options;
  const { stdout, stderr, signal } = terminal;
  if (root !== undefined && (await fileSystem().kind(root)) !== 'folder')
    throw new ArgumentError(`${root}: expected a folder for --root, found none`);
  const { source, loading, reader } = await setUpModel({ ...options, limit: { pixels: maxPixels, ...options.limit } }, terminal);
  const tasks = await ImageTasks.open(source, { ...loading, reader: surviving(reader), ...(head !== undefined && { head }) });
  const pipe = new Pipe(stdout);
  const tell = (job: QueueJob, text: string, fields: object): void => {
    const record = JSON.stringify({ job: job.id, name: job.name, ...fields });
    void pipe.write(json ? `${record}\n` : `${job.name} ${job.id}: ${text}\n`);
  };
  try {
    const left = await work(
      {
        ...options,
        queue,
        url: options.redis,
        answer: (job) => answerJob(job, tasks, { allowed: { root, origins, maxBytes }, timeout, output }),
        isFinal,
        isFatal,
        onReady: () => stderr.write(`dinov2: waiting for jobs of ${queue}: ${tasks.available.join(', ')}\n`),
        onDone: (job, seconds) => tell(job, `done in ${seconds.toFixed(2)} s`, { seconds }),
        onFailed(job, error) {
          tell(job, 'failed', { error: { name: error.name, message: error.message } });
          stderr.write(lineOf(error, `job ${job.id}`));
        },
        onTrouble: (error) => stderr.write(`dinov2: Redis: ${error.message}\n`),
      },
      signal,
    );
    if (left > 0) stderr.write(`dinov2: ${left} job(s) not done within ${options.closingTime} s: returned to the queue\n`);
    return left;
  } finally {
    await reader.dispose();
    tasks.dispose();
  }
}

/** A thread that ends while it reads an image is about this image, and not the end of this process. */
function surviving(reader: ImageReader): Pick<ImageReader, 'process'> {
  return {
    process: (processor, input, options) =>
      reader.process(processor, input, options).catch((cause: unknown) => {
        throw cause instanceof ThreadError ? new ImageError(cause.message, { cause }) : cause;
      }),
  };
}
