import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeNpy } from '../checkpoint/npy.ts';
import { ArgumentError, Dinov2Error, TimeoutError } from '../errors.ts';
import { shortest } from '../files/json.ts';
import { writeFiles } from '../files/output.ts';
import type { ImageTasks, Pooling } from '../tasks/index.ts';
import { type Float32, Tensor } from '../tensor/index.ts';
import { type Allowed, bytesOf } from './places.ts';
import { type JobRequest, type Place, parseRequest } from './request.ts';

/** A job as queues have it. */
export interface QueueJob {
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
}

export interface AnswerOptions {
  readonly allowed: Allowed;
  /** Seconds for a picture, with its wait for others. */
  readonly timeout: number;
  /** A folder that results are written to as well. */
  readonly output?: string | undefined;
}

/** Of one picture, as it goes into JSON. */
type Outcome =
  | { readonly embedding: readonly number[] | string }
  | { readonly labels: readonly object[] }
  | { readonly error: { readonly name: string; readonly message: string } };

/** Pictures of a batch that are read and embedded at the same time. */
const AT_ONCE = 4;

/**
 * What a job gives: the same for the same job, whoever does it and how often. A batch gets a list, in which a picture that cannot be used has its
 * error. With an output folder the file of a job is written by rename, and left alone where it is there already.
 * @throws what concerns the job or, of a single picture, that
 */
export async function answerJob({ id, name, data }: QueueJob, tasks: ImageTasks, options: AnswerOptions): Promise<object> {
  const request = parseRequest(name, data);
  tasks.check(request.task, request.options);
  const file = options.output === undefined ? undefined : fileOf(options.output, id);
  const answers = await inTurn(request.places, AT_ONCE, (place) => answerPlace(place, request, tasks, options));
  const outcomes = answers.map((answer) => outcomeOf(answer, request));
  const result = request.isBatch ? { results: outcomes } : (outcomes[0] as object);
  if (file === undefined) return result;
  const [path, bytes] =
    request.task === 'embed'
      ? [`${file}.npy`, encodeNpy(stacked(answers, request.isBatch))]
      : [`${file}.json`, new TextEncoder().encode(`${JSON.stringify(result)}\n`)];
  const before = await readFile(path).catch(() => undefined);
  if (!before?.equals(bytes)) await writeFiles([{ path, write: (writer) => writer.write(bytes) }]);
  return { ...result, file: path.slice((options.output as string).length).replace(/^[\\/]+/, '') };
}

/** Whether trying again can not help: it is the job that is wrong. */
export function isFinal(error: unknown): boolean {
  return error instanceof Dinov2Error && ['ArgumentError', 'ImageError', 'LimitError', 'NotFoundError'].includes(error.name);
}

/** Whether no job can be done any more by this process. */
export function isFatal(error: unknown): boolean {
  return error instanceof Dinov2Error && ['DisposedError', 'HostError', 'MemoryError', 'ThreadError'].includes(error.name);
}

/** (hidden) */
type Answer = { readonly embedding: Float32 } | { readonly labels: readonly object[] } | { readonly error: Error };

async function answerPlace(
  place: Place,
  { task, options, isBatch }: JobRequest,
  tasks: ImageTasks,
  { allowed, timeout }: AnswerOptions,
): Promise<Answer> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new TimeoutError(`expected a result within ${timeout} s, found that it takes longer: raise --timeout if this is meant`));
  }, timeout * 1000);
  const { signal } = late;
  try {
    const bytes = await bytesOf(place, allowed, signal);
    if (task === 'classify') return await tasks.run('classify', bytes, options, { signal });
    return { embedding: (await tasks.embed(bytes, options as { pooling?: Pooling }, { signal })).at(0) };
  } catch (error) {
    if (!isBatch || !isFinal(error)) throw error;
    return { error: error as Error };
  } finally {
    clearTimeout(timer);
  }
}

function outcomeOf(answer: Answer, { encoding }: JobRequest): Outcome {
  if ('error' in answer) return { error: { name: answer.error.name, message: answer.error.message } };
  if ('labels' in answer) return { labels: answer.labels };
  const { data } = answer.embedding;
  return { embedding: encoding === 'array' ? Array.from(data, shortest) : base64Of(data) };
}

/** Of the bytes of the numbers, little-endian. */
function base64Of(numbers: Float32Array): string {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [i, x] of numbers.entries()) bytes.writeFloatLE(x, 4 * i);
  return bytes.toString('base64');
}

/** Of a batch (pictures, hidden), where pictures that cannot be used are NaN. */
function stacked(answers: readonly Answer[], isBatch: boolean): Float32 {
  const vectors = answers.map((answer) => ('embedding' in answer ? answer.embedding : undefined));
  const width = vectors.find((vector) => vector)?.size ?? 0;
  if (!isBatch) return vectors[0] as Float32;
  const rows = new Tensor('float32', new Float32Array(vectors.length * width).fill(Number.NaN), [vectors.length, width]);
  for (const [i, vector] of vectors.entries()) if (vector) rows.at(i).data.set(vector.data);
  return rows;
}

/** Without its ending: the id where it can be a name, else its hash. */
function fileOf(folder: string, id: string): string {
  if (id === '') throw new ArgumentError('id of the job: expected one, to name its file, found none');
  const name = /^[\w-][\w.-]{0,127}$/.test(id) ? id : createHash('sha256').update(id).digest('hex');
  return join(folder, name);
}

/** The results of work on items in their order, on a few at the same time. */
async function inTurn<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return results;
}
