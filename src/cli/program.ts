import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { POS_EMBEDS } from '../nn/positionEmbedding.ts';
import { POOLINGS } from '../tasks/index.ts';
import type { BatchOptions } from './batch.ts';
import { classifyImages } from './classify.ts';
import { addConvert } from './convert.ts';
import { embedImages } from './embed.ts';
import { extractFeatures } from './features.ts';
import { INSPECT_FORMATS, inspectImages } from './inspect.ts';
import { showDownloads } from './progress.ts';
import { FORMATS, type Format, formatOf } from './results.ts';
import { lineOf, type Terminal } from './terminal.ts';

/** Exit codes beside 0. */
const FAILED = 1;
const USAGE = 2;

/**
 * Runs `dinov2` with these arguments.
 * @returns the exit code: 0; 1 when something could not be read, computed or written; 2 when dinov2 takes no such arguments
 */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let failed = 0;
  const downloads = showDownloads(terminal.stderr);
  const program = createProgram({ ...terminal, onDownload: downloads.report }, (count) => {
    failed = count;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return failed > 0 ? FAILED : 0;
  } catch (error) {
    downloads.stop();
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE; // it has written its message
    terminal.stderr.write(terminal.signal.aborted ? 'dinov2: interrupted\n' : lineOf(error));
    return FAILED;
  }
}

interface Subcommand {
  readonly name: string;
  readonly description: string;
  /** Endings of files it can write. */
  readonly formats: readonly Format[];
  /** Beside those that all have. */
  readonly options: readonly Option[];
  readonly examples: readonly string[];
  readonly run: (images: readonly string[], options: BatchOptions, terminal: Terminal) => Promise<number>;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'embed',
    description: 'One vector an image: the class token, the mean of the patch tokens, or both.',
    formats: FORMATS,
    options: [new Option('--pooling <kind>', 'what the vector is').choices(POOLINGS).default('cls')],
    examples: ['embed cat.jpg', 'embed photos --output photos.npy', 'embed "photos/*.png" --pooling both --json'],
    run: embedImages,
  },
  {
    name: 'classify',
    description: 'The labels of each image with the highest scores. A .npy or .safetensors file gets the scores of all.',
    formats: FORMATS,
    options: [new Option('--top <number>', 'labels an image').argParser(integer(1)).default(5)],
    examples: ['classify cat.jpg dog.png', 'classify photos --top 1 --output labels.jsonl'],
    run: classifyImages,
  },
  {
    name: 'features',
    description: 'One vector a patch: (rows, columns, width) an image.',
    formats: FORMATS,
    options: [
      new Option('--layer <number>', 'after how many blocks; -1 is after all').argParser(integer()).default(-1),
      new Option('--size <pixels>', 'take the whole image with its shorter edge scaled to this, not the middle').argParser(integer(1)),
      new Option('--pca <folder>', 'write a picture of the first three principal components of each image, IMAGE.pca.png'),
    ],
    examples: ['features cat.jpg --size 448 --pca pictures', 'features photos --output photos.safetensors'],
    run: extractFeatures,
  },
  {
    name: 'inspect',
    description: 'What the files are, what the model gets of them, and what the model is.',
    formats: INSPECT_FORMATS,
    options: [],
    examples: ['inspect cat.jpg', 'inspect photos --model dinov2-small --json'],
    run: inspectImages,
  },
];

function createProgram(terminal: Terminal, done: (failed: number) => void): Command {
  const program = new Command('dinov2')
    .description('Embeddings, labels and patch features of images, by DINOv2 on WebAssembly.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureOutput({ writeOut: (text) => terminal.stdout.write(text), writeErr: (text) => terminal.stderr.write(text) })
    .showHelpAfterError('(--help tells what there is)')
    .exitOverride()
    .addHelpText('after', examples(SUBCOMMANDS.map((subcommand) => subcommand.examples[0] as string)));
  for (const { name, description, formats, options, examples: lines, run: runSubcommand } of SUBCOMMANDS) {
    const command = program
      .command(name)
      .description(description)
      .argument('<image...>', 'PNG and JPEG files, folders, patterns like "photos/*.jpg"');
    for (const option of [...options, ...commonOptions(formats)]) command.addOption(option);
    command
      .addHelpText('after', examples(lines))
      .action(async (images: string[], given: BatchOptions) => done(await runSubcommand(images, given, terminal)));
  }
  addConvert(program, terminal);
  return program;
}

function commonOptions(formats: readonly Format[]): Option[] {
  return [
    new Option('--json', 'print a JSON array'),
    new Option('--output <file>', `write the results to a file: ${endings(formats)}`).argParser(fileName(formats)),
    new Option('--model <model>', 'a folder, or a name on the Hugging Face hub like facebook/dinov2-small (default: a demonstration)'),
    new Option('--revision <revision>', 'a branch, tag or commit of a model on the hub (default: main)'),
    new Option('--offline', 'take models of the hub from its cache, without network'),
    new Option('--exif-orientation', 'turn images upright as their EXIF orientation says'),
    new Option('--pos-embed <rule>', 'how position embeddings are interpolated (default: offset, as the authors do)').choices(POS_EMBEDS),
    new Option('--build <build>', 'kernels with relaxed SIMD or without (default: auto)').choices(['auto', 'simd', 'relaxed']),
  ];
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8'); // the same place from src/ and from dist/
  return (JSON.parse(manifest) as { version: string }).version;
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  dinov2 ${line}`).join('\n')}`;
}

function endings(formats: readonly Format[]): string {
  return formats.map((format) => `.${format}`).join(', ');
}

/** A parser of file names, which refuses other endings. */
function fileName(formats: readonly Format[]): (text: string) => string {
  return (text) => {
    if (!formatOf(text, formats)) throw new InvalidArgumentError(`Expected a name that ends in ${endings(formats)}.`);
    return text;
  };
}

/** A parser of integers. */
function integer(least = Number.MIN_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`Expected an integer${least > 0 ? ` of at least ${least}` : ''}.`);
  };
}
