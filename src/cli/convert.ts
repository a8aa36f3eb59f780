import { SingleBar } from 'cli-progress';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ProgressInfo } from '../hub/progress.ts';
import { openModel } from '../hub/source.ts';
import type { Limits } from '../limits.ts';
import { convertCheckpoint } from '../models/converting.ts';
import { limitOption } from './limitOption.ts';
import { inTime, type Terminal } from './terminal.ts';

const DTYPES = ['float32', 'float16', 'bfloat16'] as const;

interface Options {
  readonly output: string;
  readonly head?: string;
  readonly dtype: (typeof DTYPES)[number];
  readonly attentionHeads?: number;
  readonly overwrite?: boolean;
  readonly limit?: Limits;
}

/** `dinov2 convert`: a checkpoint of any known layout as a folder that transformers reads. */
export function addConvert(program: Command, terminal: Terminal): Command {
  return program
    .command('convert')
    .description(
      'A checkpoint in any layout (facebookresearch .pth, Depth Anything, timm, transformers) as a folder that transformers reads.',
    )
    .argument('<source>', 'a .pth file, or the folder of a model')
    .requiredOption('--output <folder>', 'where config.json, model.safetensors and preprocessor_config.json are written')
    .option('--head <file>', 'a classifier on one layer or a DPT depth head in a file of its own, to go on the encoder')
    .addOption(
      new Option('--dtype <type>', `kind of numbers: ${DTYPES.join(', ')}; dinov2 quantize makes int8`).argParser(dtype).default('float32'),
    )
    .addOption(new Option('--attention-heads <number>', 'where they are not 64 wide, which tensors do not tell').argParser(positive))
    .addOption(limitOption())
    .option('--overwrite', 'replace files that are there already')
    .addHelpText(
      'after',
      `
Examples:
  dinov2 convert dinov2_vits14_pretrain.pth --output dinov2-small --dtype float16
  dinov2 convert dinov2_vits14_pretrain.pth --head dinov2_vits14_nyu_dpt_head.pth --output dpt-small-nyu
  dinov2 convert depth_anything_v2_vits.pth --output depth-anything-v2-small`,
    )
    .action((source: string, options: Options) => inTime(terminal, options.limit, (own) => convert(source, options, own)));
}

async function convert(source: string, options: Options, { stdout, stderr, signal, onDownload }: Terminal): Promise<void> {
  const { output, head, dtype, attentionHeads, overwrite = false, limit: limits } = options;
  const bar = showBytes(stderr);
  try {
    const opening = { signal, limits, progress_callback: onDownload };
    const architecture = await convertCheckpoint(await openModel(source, opening), output, {
      dtype,
      overwrite,
      signal,
      progress_callback: (info) => bar?.(info),
      ...(head !== undefined && { head: await openModel(head, opening) }),
      ...(attentionHeads !== undefined && { config: { num_attention_heads: attentionHeads } }),
    });
    bar?.(undefined);
    stdout.write(`${output}: ${architecture}, ${dtype}\n`);
  } finally {
    bar?.(undefined);
  }
}

/** A bar of megabytes, for people; told the progress, or undefined at the end. */
function showBytes(stderr: Terminal['stderr']): ((info: ProgressInfo | undefined) => void) | undefined {
  if (!stderr.isTTY) return undefined;
  const bar = new SingleBar({
    stream: stderr,
    format: '{bar} {value} of {total} MB, {eta_formatted} left',
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    gracefulExit: false, // a signal stops the work, and that the bar
  });
  return (info) => {
    if (!info) return bar.stop();
    if (info.status !== 'progress') return;
    const [value, total] = [info.loaded, info.total].map((bytes) => Math.ceil(bytes / 1e6)) as [number, number];
    if (bar.isActive) bar.update(value);
    else bar.start(total, value);
  };
}

function dtype(text: string): Options['dtype'] {
  const found = DTYPES.find((name) => name === text);
  if (found) return found;
  const other = text === 'int8' ? ' Weights of 8 bits are what dinov2 quantize writes.' : '';
  throw new InvalidArgumentError(`Expected one of ${DTYPES.join(', ')}.${other}`);
}

function positive(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1) return value;
  throw new InvalidArgumentError('Expected an integer of at least 1.');
}
