import { ArgumentError, LimitError } from './errors.ts';
import { checkOptions } from './options.ts';

/**
 * What is taken at most of files and answers that may come from anybody: option `limits` of processors, `RawImage.read`, pipelines and
 * `from_pretrained`; on the command line `--limit NAME=VALUE`. Each is checked before the memory is taken, and is Infinity for none. What a
 * model itself takes has the options `memoryLimit` and `threads`.
 */
export interface Limits {
  /** Width times height of the largest picture that is read or made. Default 100 million. */
  readonly pixels?: number | undefined;
  /** Bytes of the file of a picture. Default 256 MiB. */
  readonly imageBytes?: number | undefined;
  /**
   * Bytes of memory that decoding a picture may take, as its header lets expect. Default 1.5 GiB: JPEGs of 46 million pixels, or of 85 million
   * with colours at a quarter of the resolution (4:2:0), and PNGs of 100 million.
   */
  readonly decodeBytes?: number | undefined;
  /** Bytes of a checkpoint file, or of each of its shards. Default 64 GiB. */
  readonly checkpointBytes?: number | undefined;
  /** Bytes of what tells what is in a file: the header of safetensors, a pickle, the list of a zip archive, a file of JSON. Default 16 MiB. */
  readonly headerBytes?: number | undefined;
  /** Tensors of a checkpoint. Default 100 thousand. */
  readonly tensors?: number | undefined;
  /**
   * Seconds for one picture: to read it and, in a pipeline, to run the model on it; on the command line for the whole command. Work ends at its next
   * pause: between two pieces of an answer or two blocks of a model, not within a decoder. Default 60 to read from a server, else Infinity.
   */
  readonly seconds?: number | undefined;
}

export type LimitName = keyof Limits;

export const DEFAULT_LIMITS: { readonly [Name in LimitName]-?: number } = {
  pixels: 100_000_000,
  imageBytes: 256 * 2 ** 20,
  decodeBytes: 1.5 * 2 ** 30,
  checkpointBytes: 64 * 2 ** 30,
  headerBytes: 16 * 2 ** 20,
  tensors: 100_000,
  seconds: Number.POSITIVE_INFINITY,
};

/** @throws {ArgumentError} naming a limit that there is not, or that is no number above 0 */
export function limitOf(name: LimitName, limits: Limits = {}): number {
  checkOptions('limits', limits, Object.keys(DEFAULT_LIMITS));
  const value: unknown = limits[name] ?? DEFAULT_LIMITS[name];
  if (typeof value === 'number' && value > 0) return value;
  throw new ArgumentError(`limits.${name}: expected a number above 0, found ${JSON.stringify(String(value))}`);
}

/**
 * @param where what the message begins with: a file, or an argument
 * @param what is counted: "a header of * bytes", where the star stands for the number
 * @param found how much there is, and how the message shows it
 * @throws {LimitError} when it is more than the limit; {ArgumentError} as {@link limitOf}
 */
export function checkLimit(
  where: string,
  name: LimitName,
  limits: Limits | undefined,
  what: string,
  found: number | bigint,
  shown: string = String(found),
): void {
  const most = limitOf(name, limits);
  if (found <= most) return;
  throw new LimitError(`${where}: expected ${what.replace('*', `at most ${most}`)}, found ${shown}: raise limits.${name} if this is meant`);
}

/**
 * Does work that is to be done within `limits.seconds`, given a signal that says so, or that the caller's own `signal` gives.
 * @throws {LimitError} naming `where`; the signal's reason; what the work throws
 */
export async function within<T>(
  where: string,
  { limits, signal }: { limits?: Limits | undefined; signal?: AbortSignal | undefined },
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const seconds = limitOf('seconds', limits);
  if (seconds === Number.POSITIVE_INFINITY) return work(signal);
  signal?.throwIfAborted();
  const both = new AbortController();
  const abort = (): void => both.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  const late = new LimitError(`${where}: expected to be done within ${seconds} s, found that it takes longer: raise limits.seconds`);
  const timer = setTimeout(() => both.abort(late), Math.min(seconds * 1000, LONGEST));
  try {
    return await work(both.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** Milliseconds of the longest timer: 25 days. */
const LONGEST = 2 ** 31 - 1;
