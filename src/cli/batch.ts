import { HostError } from '../errors.ts';
import type { KernelBuild } from '../hosts/host.ts';
import { openModel } from '../hub/source.ts';
import { AutoImageProcessor, type BitImageProcessor, EMBEDDED_MODEL, type FromPretrainedOptions, type ModelSource } from '../index.ts';
import type { PosEmbed } from '../nn/positionEmbedding.ts';
import { findImages } from './images.ts';
import { type Progress, showProgress } from './progress.ts';
import { type Format, fileSink, type Result, type Sink, stdoutSink } from './results.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';

/** What every command takes. */
export interface BatchOptions {
  /** The folder of a model, or its name on the hub. Default the embedded one. */
  readonly model?: string;
  /** Of a model on the hub. Default main. */
  readonly revision?: string;
  /** Whether models of the hub are taken from the cache alone. */
  readonly offline?: boolean;
  readonly posEmbed?: PosEmbed;
  readonly build?: KernelBuild | 'auto';
  /** Whether pictures are turned upright as their EXIF orientation says. */
  readonly exifOrientation?: boolean;
  /** Whether stdout gets JSON. */
  readonly json?: boolean;
  /** A file for the results, which then are not on stdout, unless as JSON. */
  readonly output?: string;
}

/** What a command starts from. */
export interface Setup {
  readonly images: readonly string[];
  readonly source: ModelSource;
  readonly loading: FromPretrainedOptions & { readonly signal: AbortSignal };
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

/**
 * Runs a command on images, one after the other. An input that cannot be used is reported on stderr, and the others go on.
 * @returns how many inputs failed
 * @throws what keeps the command from working at all: a wrong model, a place that cannot be written; the reason of `terminal.signal`
 */
export async function runBatch(inputs: readonly string[], options: BatchOptions, terminal: Terminal, command: Command): Promise<number> {
  const { output, json = false, model, revision, offline, posEmbed, build } = options;
  const { stdout, stderr, signal, onDownload } = terminal;
  const toStdout = json || output === undefined;
  const { images, problems } = await findImages(inputs);
  for (const problem of problems) stderr.write(lineOf(problem));
  if (images.length === 0) return problems.length;

  if (model === undefined) stderr.write(DEMONSTRATION);
  const hub = { signal, progress_callback: onDownload, ...(revision && { revision }), ...(offline && { local_files_only: true }) };
  const loading = { signal, ...(posEmbed && { posEmbed }), ...(build && { build }) };
  const sinks: Sink[] = [];
  try {
    const source = await openModel(model ?? EMBEDDED_MODEL, hub);
    if (output !== undefined) sinks.push(await fileSink(output, command.formats));
    if (toStdout) sinks.push(stdoutSink(new Pipe(stdout), { json }));
    const processor = await AutoImageProcessor.from_pretrained(source);
    const job = await command.open({ images, source, loading, processor });
    const bar = stderr.isTTY === true && !(toStdout && stdout.isTTY) && images.length > 1; // results that are seen tell the progress
    const progress = showProgress(images.length, stderr, { bar });
    const failed = await runAll(images, job, sinks, progress, signal).finally(() => {
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

/** @returns how many images failed */
async function runAll(
  images: readonly string[],
  job: Job,
  sinks: readonly Sink[],
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  let failed = 0;
  for (const image of images) {
    signal.throwIfAborted();
    if (!sinks.some((sink) => sink.isOpen)) break;
    const result = await runOne(image, job, sinks).catch((error: unknown) => {
      if (signal.aborted || error instanceof HostError) throw error;
      progress.log(lineOf(error, image));
      failed += 1;
    });
    if (result) for (const sink of sinks) await sink.write(result);
    progress.step();
  }
  return failed;
}

async function runOne(image: string, job: Job, sinks: readonly Sink[]): Promise<Result> {
  const result = await job.run(image);
  for (const sink of sinks) sink.check?.(result);
  return result;
}
