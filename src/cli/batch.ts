import { HostError } from '../errors.ts';
import type { KernelBuild } from '../hosts/host.ts';
import { openModel } from '../hub/source.ts';
import { AutoImageProcessor, type BitImageProcessor, EMBEDDED_MODEL, type FromPretrainedOptions, type ModelSource } from '../index.ts';
import type { Limits } from '../limits.ts';
import type { PosEmbed } from '../nn/positionEmbedding.ts';
import { findImages } from './images.ts';
import { showProgress } from './progress.ts';
import { type Format, fileSink, type Result, type Sink, stdoutSink } from './results.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';

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
}

/** What every command on images takes. */
export interface BatchOptions extends ModelChoice {
  /** Whether stdout gets JSON. */
  readonly json?: boolean;
  /** A file for the results, which then are not on stdout, unless as JSON. */
  readonly output?: string;
}

/** Where the model comes from, and how it is loaded. */
export interface ModelSetup {
  readonly source: ModelSource;
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

export interface Job {
  run(image: string): Promise<Result>;
  /** Gives back the memory of the model. */
  dispose(): void;
}

const DEMONSTRATION = 'dinov2: the embedded model is a demonstration, for trying out only: for real work, --model MODEL\n';

/** The model that was chosen; that it is but the demonstration is said on stderr. */
export async function setUpModel(choice: ModelChoice, { stderr, signal, onDownload }: Terminal): Promise<ModelSetup> {
  const { model, revision, offline, posEmbed, build, dtype, threads = 'auto', memoryLimit, limit: limits } = choice;
  if (model === undefined) stderr.write(DEMONSTRATION);
  const hub = { signal, limits, progress_callback: onDownload, ...(revision && { revision }), ...(offline && { local_files_only: true }) };
  return {
    source: await openModel(model ?? EMBEDDED_MODEL, hub),
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
 * Runs a command on images, one after the other. An input that cannot be used is reported on stderr, and the others go on.
 * @returns how many inputs failed
 * @throws what keeps the command from working at all: a wrong model, a place that cannot be written; the reason of `terminal.signal`
 */
export async function runBatch(inputs: readonly string[], options: BatchOptions, terminal: Terminal, command: Command): Promise<number> {
  const { output, json = false } = options;
  const { stdout, stderr } = terminal;
  const toStdout = json || output === undefined;
  const { images, problems } = await findImages(inputs);
  for (const problem of problems) stderr.write(lineOf(problem));
  if (images.length === 0) return problems.length;

  const { source, loading } = await setUpModel(options, terminal);
  const sinks: Sink[] = [];
  try {
    if (output !== undefined) sinks.push(await fileSink(output, command.formats));
    if (toStdout) sinks.push(stdoutSink(new Pipe(stdout), { json }));
    const processor = await AutoImageProcessor.from_pretrained(source);
    const job = await command.open({ images, source, loading, processor });
    const bar = stderr.isTTY === true && !(toStdout && stdout.isTTY) && images.length > 1; // results that are seen tell the progress
    const progress = showProgress(images.length, stderr, { bar });
    const work = async (image: string): Promise<void> => {
      const result = await job.run(image);
      for (const sink of sinks) sink.check?.(result);
      for (const sink of sinks) await sink.write(result);
    };
    const failed = await forEachImage(images, work, {
      signal: terminal.signal,
      isWanted: () => sinks.some((sink) => sink.isOpen),
      onFailure: (image, error) => progress.log(lineOf(error, image)),
      onDone: () => progress.step(),
    }).finally(() => {
      progress.stop();
      job.dispose();
    });
    for (const sink of sinks) await sink.close();
    const done = images.length - failed;
    if (output !== undefined)
      stderr.write(`dinov2: ${done} of ${images.length} images, ${done > 0 ? `written to ${output}` : 'nothing written'}\n`);
    return problems.length + failed;
  } catch (error) {
    for (const sink of sinks) await sink.abort();
    throw error;
  }
}

export interface ForEachOptions {
  readonly signal: AbortSignal;
  /** Whether anybody waits for more. Default always. */
  isWanted?(): boolean;
  /** Hears of each image that cannot be used; the others go on. */
  onFailure(image: string, error: unknown): void;
  /** After each image. */
  onDone(): void;
}

/**
 * Does the work on images one after the other.
 * @returns how many failed
 * @throws {HostError} what concerns more than one image; the signal's reason
 */
export async function forEachImage(
  images: readonly string[],
  work: (image: string) => Promise<void>,
  { signal, isWanted = () => true, onFailure, onDone }: ForEachOptions,
): Promise<number> {
  let failed = 0;
  for (const image of images) {
    signal.throwIfAborted();
    if (!isWanted()) break;
    await work(image).catch((error: unknown) => {
      if (signal.aborted || error instanceof HostError) throw error;
      onFailure(image, error);
      failed += 1;
    });
    onDone();
  }
  return failed;
}
