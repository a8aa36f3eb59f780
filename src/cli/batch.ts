import { HostError } from '../errors.ts';
import type { KernelBuild } from '../hosts/host.ts';
import { type HubOptions, openModel } from '../hub/source.ts';
import { ImageReader } from '../image/reader.ts';
import { AutoImageProcessor, type BitImageProcessor, EMBEDDED_MODEL, type FromPretrainedOptions, type ModelSource } from '../index.ts';
import type { Limits } from '../limits.ts';
import type { PosEmbed } from '../nn/positionEmbedding.ts';
import { openDecoder } from './decoder.ts';
import { findImages } from './images.ts';
import { showProgress } from './progress.ts';
import { type Format, fileSink, type Result, type Sink, stdoutSink } from './results.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';
import { Stopwatch, textOfTimes } from './times.ts';

/** Which model a command works with, and how it sees images. */
export interface ModelChoice {
  /** The folder of a model, or its name on the hub. Default the embedded one. */
  readonly model?: string;
  /** Of a model on the hub. Default main. */
  readonly revision?: string;
  /** Whether models of the hub are taken from the cache alone. */
  readonly offline?: boolean;
  readonly posEmbed?: PosEmbed;
  readonly build?: KernelBuild | 'auto';
  readonly dtype?: NonNullable<FromPretrainedOptions['dtype']>;
  /** Default `auto`. */
  readonly threads?: number | 'auto';
  /** Bytes. */
  readonly memoryLimit?: number;
  /** What is taken at most of pictures, of the files of the model, and of time. */
  readonly limit?: Limits;
  /** Whether pictures are turned upright as their EXIF orientation says. */
  readonly exifOrientation?: boolean;
  /** A JavaScript file that exports `decode`, which reads images in place of the decoder for PNG and JPEG. */
  readonly decoder?: string;
}

/** What every command on images takes. */
export interface BatchOptions extends ModelChoice {
  /** Whether stdout gets JSON. */
  readonly json?: boolean;
  /** A file for the results, which then are not on stdout, unless as JSON. */
  readonly output?: string;
}

/** Where the model comes from and how it is loaded, and what reads images for it. */
export interface ModelSetup {
  readonly source: ModelSource;
  /** Has to be disposed of. */
  readonly reader: ImageReader;
  readonly loading: FromPretrainedOptions & { readonly signal: AbortSignal };
}

/** What a command starts from. */
export interface Setup extends ModelSetup {
  readonly images: readonly string[];
  readonly processor: BitImageProcessor;
}

export interface Command {
  /** Formats of the files it can write. */
  readonly formats: readonly Format[];
  /** Gets ready, above all loads the model. */
  open(setup: Setup): Promise<Job>;
}

export interface Job<Prepared = unknown> {
  /** Images that are got ready before their turn, while the model works on others. */
  readonly ahead: number;
  /** Gets an image ready: all that can be done without the model. */
  prepare(image: string): Promise<Prepared>;
  run(image: string, prepared: Prepared): Promise<Result>;
  /** Gives back the memory of the model. */
  dispose(): void;
}

const DEMONSTRATION = 'dinov2: the embedded model is a demonstration, for trying out only: for real work, --model MODEL\n';

/**
 * The model that was chosen, opened; that it is but the demonstration is said on stderr.
 * @param options `images`: how many will be read, as far as it is known; one alone needs no threads
 */
export async function setUpModel(
  choice: ModelChoice,
  terminal: Terminal,
  { images = Number.POSITIVE_INFINITY }: { images?: number } = {},
): Promise<ModelSetup> {
  const { exifOrientation, limit: limits } = choice;
  const decoder = choice.decoder === undefined ? undefined : await openDecoder(choice.decoder);
  const { source, hub, loading } = chooseModel(choice, terminal);
  const reader = new ImageReader({ exifOrientation, decoder, limits, threads: images > 1 ? 'auto' : 0 });
  return { source: await openModel(source, hub), reader, loading };
}

/** The same, to be opened elsewhere. */
export function chooseModel(
  choice: ModelChoice,
  { stderr, signal, onDownload }: Terminal,
): { source: string | URL; hub: HubOptions; loading: ModelSetup['loading'] } {
  const { model, revision, offline, posEmbed, build, dtype, threads = 'auto', memoryLimit, limit: limits } = choice;
  if (model === undefined) stderr.write(DEMONSTRATION);
  return {
    source: model ?? (EMBEDDED_MODEL as string | URL),
    hub: { signal, limits, progress_callback: onDownload, ...(revision && { revision }), ...(offline && { local_files_only: true }) },
    loading: {
      signal,
      threads,
      ...(posEmbed && { posEmbed }),
      ...(build && { build }),
      ...(dtype && { dtype }),
      ...(memoryLimit !== undefined && { memoryLimit }),
    },
  };
}

/**
 * Runs a command on images, one after the other, the next being read meanwhile. An input that cannot be used is reported on stderr, and the others go on.
 * @returns how many inputs failed
 * @throws what keeps the command from working at all: a wrong model, a place that cannot be written; the reason of `terminal.signal`
 */
export async function runBatch(inputs: readonly string[], options: BatchOptions, terminal: Terminal, command: Command): Promise<number> {
  const { output, json = false } = options;
  const { stdout, stderr } = terminal;
  const toStdout = json || output === undefined;
  const { images, problems } = await findImages(inputs, options);
  for (const problem of problems) stderr.write(lineOf(problem));
  if (images.length === 0) return problems.length;

  const setup = await setUpModel(options, terminal, { images: images.length });
  const sinks: Sink[] = [];
  try {
    if (output !== undefined) sinks.push(await fileSink(output, command.formats));
    if (toStdout) sinks.push(stdoutSink(new Pipe(stdout), { json }));
    const processor = await AutoImageProcessor.from_pretrained(setup.source);
    const job = await command.open({ ...setup, images, processor });
    const bar = stderr.isTTY === true && !(toStdout && stdout.isTTY) && images.length > 1; // results that are seen tell the progress
    const progress = showProgress(images.length, stderr, { bar });
    const watch = new Stopwatch();
    const work = async (image: string, prepared: unknown): Promise<void> => {
      const result = await watch.model(job.run(image, prepared));
      for (const sink of sinks) sink.check?.(result);
      for (const sink of sinks) await sink.write(result);
    };
    const failed = await forEachImage(images, {
      ahead: job.ahead,
      prepare: (image) => job.prepare(image),
      work,
      watch,
      signal: terminal.signal,
      isWanted: () => sinks.some((sink) => sink.isOpen),
      onFailure: (image, error) => progress.log(lineOf(error, image)),
      onDone: () => progress.step(),
    }).finally(() => {
      progress.stop();
      job.dispose();
    });
    const times = watch.times(setup.reader);
    for (const sink of sinks) await sink.close();
    const done = images.length - failed;
    if (output !== undefined) {
      stderr.write(`dinov2: ${done} of ${images.length} images, ${done > 0 ? `written to ${output}` : 'nothing written'}\n`);
      if (done > 1) stderr.write(`dinov2: ${textOfTimes(times)}\n`);
    }
    return problems.length + failed;
  } catch (error) {
    for (const sink of sinks) await sink.abort();
    throw error;
  } finally {
    await setup.reader.dispose();
  }
}

export interface ForEachOptions<Prepared> {
  /** Images that are got ready before their turn, while there is work on others. */
  readonly ahead: number;
  prepare(image: string): Promise<Prepared>;
  work(image: string, prepared: Prepared): Promise<void>;
  /** Is told the time that `work` has waited for. */
  readonly watch?: Stopwatch;
  readonly signal: AbortSignal;
  /** Whether anybody waits for more. Default always. */
  isWanted?(): boolean;
  /** Hears of each image that cannot be used; the others go on. */
  onFailure(image: string, error: unknown): void;
  /** After each image. */
  onDone(): void;
}

/**
 * Does the work on images one after the other, in their order.
 * @returns how many failed
 * @throws {HostError} what concerns more than one image; the signal's reason
 */
export async function forEachImage<Prepared>(images: readonly string[], options: ForEachOptions<Prepared>): Promise<number> {
  const { ahead, prepare, work, watch = new Stopwatch(), signal, isWanted = () => true, onFailure, onDone } = options;
  let failed = 0;
  for (const [image, prepared] of preparedAhead(images, prepare, ahead)) {
    signal.throwIfAborted();
    if (!isWanted()) break;
    let isPrepared = false;
    try {
      const ready = await watch.waiting(prepared);
      isPrepared = true;
      await work(image, ready);
    } catch (error) {
      if (signal.aborted || (isPrepared && error instanceof HostError)) throw error;
      onFailure(image, error);
      failed += 1;
    }
    onDone();
  }
  return failed;
}

/** Images in their order, each with what is prepared of it; `ahead` of them are begun before their turn. */
function* preparedAhead<Prepared>(
  images: readonly string[],
  prepare: (image: string) => Promise<Prepared>,
  ahead: number,
): Generator<[image: string, prepared: Promise<Prepared>]> {
  const begun: Promise<Prepared>[] = [];
  let next = 0;
  for (const image of images) {
    while (next < images.length && begun.length <= ahead) {
      const prepared = prepare(images[next++] as string);
      prepared.catch(() => {}); // it is heard of when its turn comes
      begun.push(prepared);
    }
    yield [image, begun.shift() as Promise<Prepared>];
  }
}
