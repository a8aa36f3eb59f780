import { type Command, InvalidArgumentError } from 'commander';
import { openModel } from '../hub/source.ts';
import { AutoImageProcessor, type ModelInputs } from '../index.ts';
import type { Limits } from '../limits.ts';
import { quantizeCheckpoint } from '../models/quantizing.ts';
import { findImages } from './images.ts';
import { limitOption } from './limitOption.ts';
import { inTime, lineOf, type Terminal } from './terminal.ts';

/** Photographs that calibration looks at: more change little. */
const MOST_IMAGES = 32;

interface Options {
  readonly output: string;
  readonly calibrate?: readonly string[];
  readonly overwrite?: boolean;
  readonly limit?: Limits;
}

/** `dinov2 quantize`: a model with weights of 8 bits. */
export function addQuantize(program: Command, terminal: Terminal): Command {
  return program
    .command('quantize')
    .description('A model with weights of 8 bits, a quarter of the size, which loads without the original.')
    .argument('<model>', 'the folder of a model, a .pth file, or a name on the Hugging Face hub')
    .requiredOption('--output <folder>', 'where config.json, model.safetensors and preprocessor_config.json are written')
    .option(
      '--calibrate <images...>',
      `photographs of the kind that the model will see, of which up to ${MOST_IMAGES} are looked at: more exact`,
    )
    .addOption(limitOption())
    .option('--overwrite', 'replace files that are there already')
    .addHelpText(
      'after',
      `
Examples:
  dinov2 quantize facebook/dinov2-small --output dinov2-small-int8
  dinov2 quantize dinov2-small --calibrate photos --output dinov2-small-int8`,
    )
    .action((model: string, options: Options) => inTime(terminal, options.limit, (own) => quantize(model, options, own)));
}

async function quantize(
  model: string,
  { output, calibrate, overwrite = false, limit: limits }: Options,
  terminal: Terminal,
): Promise<void> {
  const { stdout, stderr, signal, onDownload } = terminal;
  const source = await openModel(model, { signal, limits, progress_callback: onDownload });
  const images = calibrate ? await calibrationImages(calibrate, terminal) : undefined;
  async function* pixels(files: readonly string[]): AsyncGenerator<ModelInputs> {
    const processor = await AutoImageProcessor.from_pretrained(source);
    for (const [i, image] of files.entries()) {
      stderr.write(`dinov2: looking at ${image} (${i + 1} of ${files.length})\n`);
      yield { pixel_values: (await processor(image)).pixel_values };
    }
  }
  const architecture = await quantizeCheckpoint(source, output, {
    signal,
    overwrite,
    threads: 'auto',
    ...(images && { calibration: pixels(images) }),
  });
  stdout.write(`${output}: ${architecture}, int8${images ? `, calibrated on ${images.length} images` : ''}\n`);
}

/** @throws {InvalidArgumentError} when there is none */
async function calibrationImages(inputs: readonly string[], { stderr }: Terminal): Promise<readonly string[]> {
  const { images, problems } = await findImages(inputs);
  for (const problem of problems) stderr.write(lineOf(problem));
  if (images.length === 0) throw new InvalidArgumentError('--calibrate: expected images, found none.');
  const step = Math.max(1, images.length / MOST_IMAGES);
  return Array.from({ length: Math.min(images.length, MOST_IMAGES) }, (_, i) => images[Math.floor(i * step)] as string);
}
