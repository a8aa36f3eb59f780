import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Limits } from '../limits.ts';
import { POS_EMBEDS } from '../nn/positionEmbedding.ts';
import { parseSize } from '../options.ts';
import { COLORMAPS } from '../plot/index.ts';
import { FOREGROUNDS, POOLINGS, type Point } from '../tasks/index.ts';
import { classifyImages } from './classify.ts';
import { findClusters } from './clusters.ts';
import { addConvert } from './convert.ts';
import { estimateDepth } from './depth.ts';
import { addDoctor } from './doctor.ts';
import { embedImages } from './embed.ts';
import { EXPORT_FORMATS, exportIndex } from './exportIndex.ts';
import { extractFeatures } from './features.ts';
import { INSPECT_FORMATS, inspectImages } from './inspect.ts';
import { limitOption } from './limitOption.ts';
import { drawAttention, drawMatches, drawPca, LAYOUTS } from './looks.ts';
import { CLASSIFIERS, fitProbe, testProbe } from './probe.ts';
import { showDownloads } from './progress.ts';
import { addQuantize } from './quantize.ts';
import { FORMATS, type Format } from './results.ts';
import { findDuplicates, indexFolder, searchImages } from './search.ts';
import { segmentImages } from './segment.ts';
import { serveRequests } from './serve.ts';
import { inTime, lineOf, type Terminal } from './terminal.ts';
import { packageVersion } from './version.ts';
import { doJobs } from './worker.ts';

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
    if (error instanceof InvalidArgumentError) {
      terminal.stderr.write(`error: ${error.message}\n(--help tells what there is)\n`); // found by a command, when it had begun
      return USAGE;
    }
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE; // it has written its message
    terminal.stderr.write(terminal.signal.aborted ? 'dinov2: interrupted\n' : lineOf(error));
    return FAILED;
  }
}

interface Argument {
  readonly name: string;
  readonly description: string;
}

interface Subcommand {
  /** One word, or that of a group and its own. */
  readonly name: string;
  readonly description: string;
  /** What stands behind the name: several images, unless it is said here. */
  readonly argument?: Argument | readonly Argument[];
  /** Endings of files that its results can be written to. None: they cannot. Without: there are no results. */
  readonly formats?: readonly Format[];
  /** Whether it works without one, and so takes no options of models. */
  readonly isWithoutModel?: boolean;
  /** Beside those that all have. */
  readonly options: readonly Option[];
  readonly examples: readonly string[];
  /** Given the argument, an array of several, and the options as commander parses them. */
  readonly run: (argument: never, options: never, terminal: Terminal) => Promise<number>;
}

const IMAGES = { name: 'image...', description: 'PNG and JPEG files, folders, patterns like "photos/*.jpg"' };
const FOLDER = { name: 'folder', description: 'a folder with PNG and JPEG files in and below it' };
const CLASSES = { name: 'folder', description: 'a folder with a folder of PNG and JPEG files for each class, named by it' };

/** The default of several numbers. */
const ONE: readonly number[] = [1];
const LABELS = 'names of the labels, one a line or as JSON, where the model has none';

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
    options: [
      new Option('--top <number>', 'labels an image').argParser(integer(1)).default(5),
      new Option(
        '--head <file>',
        "in place of the model's: a classifier from dinov2 probe fit, or a linear head of facebookresearch/dinov2",
      ),
      new Option('--labels <file>', LABELS),
    ],
    examples: [
      'classify cat.jpg dog.png',
      'classify photos --top 1 --output labels.jsonl',
      'classify cat.jpg --model dinov2-small --head pets.safetensors',
    ],
    run: classifyImages,
  },
  {
    name: 'features',
    description: 'One vector a patch: (rows, columns, width) an image.',
    formats: FORMATS,
    options: [
      new Option('--layer <number>', 'after how many blocks; -1 is after all').argParser(integer()).default(-1),
      new Option('--size <pixels>', 'take the whole image with its shorter edge scaled to this, not the middle').argParser(integer(1)),
    ],
    examples: ['features cat.jpg --size 448 --json', 'features photos --output photos.safetensors'],
    run: extractFeatures,
  },
  {
    name: 'pca',
    description: 'Pictures of the patch features: the foreground in the colours of its principal components, shared by the images.',
    formats: [],
    options: [
      ...lookOptions('.pca.png'),
      new Option('--layout <kind>', 'the colours beside the photograph, over it, or alone').choices(LAYOUTS).default('side'),
      new Option('--foreground <side>', 'the side of the first component that is foreground (auto: that which is less at the edges)')
        .choices(FOREGROUNDS)
        .default('auto'),
      new Option(
        '--threshold <number>',
        'where it begins, in standard deviations of what all images share; 0 in the paper (default: in each image by Otsu)',
      ).argParser(finite),
    ],
    examples: ['pca cat.jpg', 'pca cats --output cats.png', 'pca cat.jpg dog.jpg --layout overlay --output pictures'],
    run: drawPca,
  },
  {
    name: 'attention',
    description: 'Pictures of what each head of a layer looks at, from the class token or from a patch.',
    formats: [],
    options: [
      ...lookOptions('.attention.png'),
      new Option('--layer <number>', 'which block: 1 is the first, -1 the last (default: -1)').argParser(integer()),
      new Option('--head <number>', 'one head, from 1, at the size of the photograph (default: all)').argParser(integer(1)),
      new Option('--rollout', 'through all layers (Abnar and Zuidema 2020)'),
      new Option('--point <x,y>', 'the attention of the patch at this pixel, not of the class token').argParser(point),
      new Option('--colormap <name>', 'colours').choices(COLORMAPS).default('inferno'),
    ],
    examples: [
      'attention cat.jpg',
      'attention cat.jpg --head 3 --point 120,80 --output head3.png',
      'attention photos --rollout --output pictures',
    ],
    run: drawAttention,
  },
  {
    name: 'match',
    description: 'Places of two images that look alike: lines between them, or for a point the likeness of all of the other image.',
    argument: [
      { name: 'a', description: 'a PNG or JPEG file' },
      { name: 'b', description: 'another' },
    ],
    formats: [],
    options: [
      new Option('--output <file>', 'the picture, a .png file').default('match.png'),
      sizeOption(),
      new Option('--point <x,y>', 'a pixel of a, whose likeness in b is shown').argParser(point),
      new Option('--lines <number>', 'how many matches are drawn; JSON has all').argParser(integer(1)).default(40),
      new Option('--foreground', 'matches in the foreground alone, as dinov2 pca finds it'),
      new Option('--no-refine', 'whole patches, without the places between them'),
      new Option('--colormap <name>', 'colours of the likeness').choices(COLORMAPS).default('inferno'),
    ],
    examples: ['match cat1.jpg cat2.jpg', 'match cat1.jpg cat2.jpg --point 120,80 --output ear.png', 'match a.png b.png --json'],
    run: drawMatches,
  },
  {
    name: 'depth',
    description: 'The depth of each pixel: pictures, and (height, width) an image in .npy and .safetensors files.',
    formats: FORMATS,
    options: [
      new Option('--head <file>', 'a depth head of facebookresearch/dinov2, for a model that is an encoder'),
      new Option('--pictures <folder>', 'write a coloured picture of each image, with a legend, IMAGE.depth.png'),
      new Option('--colormap <name>', 'its colours, from far to near; with _r from near to far').choices(COLORMAPS).default('inferno'),
      new Option(
        '--png16 <folder>',
        'write a grey picture of 16 bits of each image: metres times 256, or relative depth; IMAGE.depth16.png',
      ),
    ],
    examples: [
      'depth cat.jpg --model depth-anything-v2-small-hf --pictures pictures',
      'depth photos --model depth-anything-v2-small-hf --colormap spectral_r --pictures pictures --output depth.safetensors',
    ],
    run: estimateDepth,
  },
  {
    name: 'segment',
    description: 'The label of each pixel: pictures, and (height, width) label numbers an image in .npy and .safetensors files.',
    formats: FORMATS,
    options: [
      new Option('--head <file>', 'a segmentation head of facebookresearch/dinov2, for a model that is an encoder'),
      new Option('--labels <file>', LABELS),
      new Option('--pictures <folder>', 'write each image with the labels as colours, and a legend, IMAGE.segments.png'),
      new Option('--scales <numbers...>', 'sizes at which images are seen; the authors: 1 1.32 1.73 2.28 3')
        .argParser(numbers)
        .default(ONE, '1'),
      new Option('--flip', 'average the mirror image in, as the authors do'),
    ],
    examples: ['segment cat.jpg --model dinov2_vits14_pretrain.pth --head dinov2_vits14_ade20k_linear_head.pth --pictures pictures'],
    run: segmentImages,
  },
  {
    name: 'probe fit',
    description: 'A classifier of your own from labelled images: a linear layer on the features of the model, or their nearest neighbours.',
    argument: CLASSES,
    formats: [],
    options: [
      new Option('--output <path>', 'write the classifier to a .safetensors file, or with the model to a folder').makeOptionMandatory(),
      new Option('--classifier <kind>', 'what it is').choices(CLASSIFIERS).default('linear'),
      new Option('--regularization <number>', 'what holds the weights of a linear layer back (default: by cross-validation)').argParser(
        number,
      ),
      new Option('--seed <number>', 'how images are dealt out for cross-validation').argParser(integer()).default(0),
      new Option('--k <number>', 'how many nearest neighbours vote').argParser(integer(1)).default(20),
    ],
    examples: [
      'probe fit pets --model dinov2-small --output pets.safetensors',
      'probe fit pets --model dinov2-small --output pets-model',
      'probe fit pets --model dinov2-small --classifier knn --output neighbours.safetensors',
    ],
    run: fitProbe,
  },
  {
    name: 'probe test',
    description: 'How well a classifier from dinov2 probe fit does: what is right, class by class, and what is taken for what.',
    argument: CLASSES,
    formats: ['json'],
    options: [new Option('--head <file>', 'the classifier').makeOptionMandatory()],
    examples: ['probe test more-pets --model dinov2-small --head pets.safetensors'],
    run: testProbe,
  },
  {
    name: 'index',
    description: 'The features of all images of a folder, kept in a file in it and brought up to date, for dinov2 search and duplicates.',
    argument: FOLDER,
    formats: [],
    options: [
      new Option('--pooling <kind>', 'what the vector of an image is (default: cls, or as in the index)').choices(POOLINGS),
      new Option('--rebuild', 'begin anew, whatever is there'),
    ],
    examples: ['index photos --model dinov2-small', 'index photos --model dinov2-small --rebuild --json'],
    run: indexFolder,
  },
  {
    name: 'search',
    description: 'The images of a folder with an index that are most like each of others.',
    formats: [],
    options: [
      new Option('--index <folder>', 'the folder that was indexed').default('.'),
      new Option('--top <number>', 'how many').argParser(integer(1)).default(10),
      htmlOption(),
    ],
    examples: [
      'search cat.jpg --index photos --model dinov2-small',
      'search cat.jpg dog.jpg --index photos --model dinov2-small --html alike.html',
    ],
    run: searchImages,
  },
  {
    name: 'duplicates',
    description: 'Groups of images of a folder with an index that are nearly the same.',
    argument: FOLDER,
    formats: [],
    isWithoutModel: true,
    options: [
      new Option('--threshold <number>', 'cosine similarity from which on two are alike').argParser(number).default(0.95),
      htmlOption(),
    ],
    examples: ['duplicates photos', 'duplicates photos --threshold 0.9 --json', 'duplicates photos --html duplicates.html'],
    run: findDuplicates,
  },
  {
    name: 'serve',
    description: 'Answers over HTTP: POST an image to /embed, /classify or /search. Ctrl-C finishes what was accepted.',
    argument: [],
    options: [
      new Option('--host <address>', 'the interface; 0.0.0.0 lets all machines in, without any password').default('127.0.0.1'),
      new Option('--port <number>', '0 takes one that is free').argParser(integer(0)).default(8080),
      new Option('--index <folder>', 'a folder that was indexed, for /search'),
      new Option('--head <file>', "a classifier in place of the model's, as of dinov2 classify"),
      new Option('--max-body <size>', 'the largest body').argParser(size).default(10 * 2 ** 20, '10MiB'),
      new Option('--max-pixels <number>', 'pixels of the largest image').argParser(integer(1)).default(25_000_000),
      new Option('--concurrency <number>', 'images at work at the same time').argParser(integer(1)).default(1),
      new Option('--queue <number>', 'requests that may wait; others are refused (503)').argParser(integer(0)).default(32),
      new Option('--max-connections <number>', 'further ones are closed').argParser(integer(1)).default(256),
      new Option('--request-time <seconds>', 'from the header of a request to its answer').argParser(number).default(30),
      new Option('--body-time <seconds>', 'from the header of a request to the end of its body').argParser(number).default(10),
      new Option('--header-time <seconds>', 'for the header of a request').argParser(number).default(10),
      new Option('--closing-time <seconds>', 'at the end, for what was accepted').argParser(number).default(30),
    ],
    examples: ['serve --model dinov2-small', 'serve --model dinov2-small --index photos --port 9000 --queue 100'],
    run: serveRequests,
  },
  {
    name: 'clusters',
    description: 'Groups of like images of a folder with an index, the largest first, in each the most typical image first.',
    argument: FOLDER,
    formats: [],
    isWithoutModel: true,
    options: [
      new Option('--count <number>', 'how many groups (default: up to 50, by the best mean silhouette)').argParser(integer(1)),
      new Option('--seed <number>', 'of the random numbers that the search for groups begins with').argParser(integer()).default(0),
      htmlOption(),
    ],
    examples: ['clusters photos', 'clusters photos --count 12 --html clusters.html'],
    run: findClusters,
  },
  {
    name: 'export',
    description: 'The index of a folder for other programs: DuckDB, LanceDB, FAISS. A .npy file comes with a .txt file, a name a line.',
    argument: FOLDER,
    formats: [],
    isWithoutModel: true,
    options: [
      new Option('--output <file>', `the file: ${endings(EXPORT_FORMATS)}`).argParser(fileName(EXPORT_FORMATS)).makeOptionMandatory(),
    ],
    examples: ['export photos --output photos.parquet', 'export photos --output photos.npy'],
    run: exportIndex,
  },
  {
    name: 'worker',
    description:
      'Does jobs of a BullMQ queue on Redis, named embed and classify. Ctrl-C finishes those it has; those of one that is killed return.',
    argument: { name: 'queue', description: 'its name' },
    formats: [],
    options: [
      new Option('--redis <url>', 'where Redis is').env('REDIS_URL').default('redis://127.0.0.1:6379'),
      new Option('--prefix <prefix>', 'of the keys in Redis, as the producer has it').default('bull'),
      new Option('--head <file>', "a classifier in place of the model's, as of dinov2 classify"),
      new Option('--root <folder>', 'the folder in which paths of jobs are; without, jobs cannot name files'),
      new Option('--allow-url <origins...>', 'where URLs of jobs may lead, like https://images.example.com; * lets them lead anywhere'),
      new Option('--output <folder>', 'write results to files as well: ID.npy, or of classify ID.json'),
      new Option('--concurrency <number>', 'jobs at the same time, of which one is in the model').argParser(integer(1)).default(4),
      new Option('--max-pixels <number>', 'pixels of the largest image').argParser(integer(1)).default(25_000_000),
      new Option('--max-bytes <size>', 'the largest file of an image').argParser(size).default(32 * 2 ** 20, '32MiB'),
      new Option('--timeout <seconds>', 'for an image, with its wait for others').argParser(number).default(60),
      new Option('--lock-time <seconds>', 'until a job of a worker that was killed returns to the queue').argParser(number).default(30),
      new Option('--closing-time <seconds>', 'at the end, for jobs that were begun').argParser(number).default(30),
    ],
    examples: [
      'worker photos --model dinov2-small --root /srv/photos',
      'worker photos --redis redis://10.0.0.5:6379 --allow-url https://cdn.example.com',
    ],
    run: doJobs,
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
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureOutput({ writeOut: (text) => terminal.stdout.write(text), writeErr: (text) => terminal.stderr.write(text) })
    .showHelpAfterError('(--help tells what there is)')
    .exitOverride()
    .addHelpText('after', examples(SUBCOMMANDS.map((subcommand) => subcommand.examples[0] as string)));
  for (const subcommand of SUBCOMMANDS) {
    const { name, description, argument = IMAGES, options, examples: lines, run: runSubcommand } = subcommand;
    const command = parentOf(name, program)
      .command(name.split(' ').at(-1) as string)
      .description(description);
    const wanted = [argument].flat();
    for (const { name: word, description: meaning } of wanted) command.argument(`<${word}>`, meaning);
    for (const option of [...options, ...resultOptions(subcommand), ...(subcommand.isWithoutModel ? [] : modelOptions())])
      command.addOption(option);
    command.addHelpText('after', examples(lines)).action(async (...given: unknown[]) => {
      const values = given[wanted.length] as { limit?: Limits };
      const named = wanted.length === 1 ? given[0] : given.slice(0, wanted.length);
      done(await inTime(terminal, values.limit, (own) => runSubcommand(named as never, values as never, own)));
    });
  }
  addConvert(program, terminal);
  addQuantize(program, terminal);
  addDoctor(program, terminal);
  return program;
}

/** The command of the group that the name begins with, or the program. */
function parentOf(name: string, program: Command): Command {
  const [group, ...rest] = name.split(' ') as [string, ...string[]];
  if (rest.length === 0) return program;
  const own = SUBCOMMANDS.filter((subcommand) => subcommand.name.startsWith(`${group} `));
  return (
    program.commands.find((command) => command.name() === group) ??
    program
      .command(group)
      .description(own.map((subcommand) => subcommand.description).join(' '))
      .addHelpText('after', examples(own.flatMap((subcommand) => subcommand.examples.slice(0, 1))))
  );
}

function sizeOption(): Option {
  return new Option('--size <pixels>', 'the shorter edge of the image as the model sees it').argParser(integer(1)).default(448);
}

function htmlOption(): Option {
  return new Option('--html <file>', 'write a contact sheet, a web page in one file: .html').argParser(fileName(['html']));
}

function lookOptions(ending: string): Option[] {
  return [new Option('--output <path>', `a .png file, or a folder for IMAGE${ending} (default: here)`), sizeOption()];
}

function resultOptions({ formats }: Subcommand): Option[] {
  if (!formats) return [];
  const output = new Option('--output <file>', `write the results to a file: ${endings(formats)}`).argParser(fileName(formats));
  return [new Option('--json', 'print JSON'), ...(formats.length > 0 ? [output] : [])];
}

function modelOptions(): Option[] {
  return [
    new Option('--model <model>', 'a folder, or a name on the Hugging Face hub like facebook/dinov2-small (default: a demonstration)'),
    new Option('--revision <revision>', 'a branch, tag or commit of a model on the hub (default: main)'),
    new Option('--offline', 'take models of the hub from its cache, without network'),
    new Option('--dtype <kind>', 'the kind of number of the weights (default: float32, or int8 where the checkpoint is)').choices([
      'float32',
      'float16',
      'int8',
    ]),
    new Option('--threads <number>', 'threads that share the work (default: auto)').argParser(threads),
    new Option(
      '--memory-limit <size>',
      'memory the model may take, like 500MB or 2GiB: blocks that do not fit stay in their file',
    ).argParser(size),
    limitOption(),
    new Option('--exif-orientation', 'turn images upright as their EXIF orientation says'),
    new Option(
      '--decoder <file>',
      'a JavaScript module that exports decode(bytes), which reads the images: { data, width, height, channels }',
    ),
    new Option('--pos-embed <rule>', 'how position embeddings are interpolated (default: offset, as the authors do)').choices(POS_EMBEDS),
    new Option('--build <build>', 'kernels with relaxed SIMD or without (default: auto)').choices(['auto', 'simd', 'relaxed']),
  ];
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  dinov2 ${line}`).join('\n')}`;
}

function endings(formats: readonly string[]): string {
  return formats.map((format) => `.${format}`).join(', ');
}

/** A parser of file names, which refuses other endings. */
function fileName(formats: readonly string[]): (text: string) => string {
  return (text) => {
    if (!formats.some((format) => text.toLowerCase().endsWith(`.${format}`)))
      throw new InvalidArgumentError(`Expected a name that ends in ${endings(formats)}.`);
    return text;
  };
}

/** A parser of numbers above 0. */
function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** A parser of numbers. */
function finite(text: string): number {
  if (text.trim() !== '' && Number.isFinite(Number(text))) return Number(text);
  throw new InvalidArgumentError('Expected a number.');
}

/** A parser of points. */
function point(text: string): Point {
  const [, x, y] = /^(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (x === undefined) throw new InvalidArgumentError('Expected pixels from the left and from the top, like 120,80.');
  return { x: Number(x), y: Number(y) };
}

/** A parser of several numbers above 0, which come one by one. */
function numbers(text: string, before: readonly number[] | undefined): number[] {
  return [...(before === ONE ? [] : (before ?? [])), number(text)];
}

/** A parser of integers. */
function integer(least = Number.MIN_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`Expected an integer${least > 0 ? ` of at least ${least}` : ''}.`);
  };
}

function threads(text: string): number | 'auto' {
  return text === 'auto' ? text : integer(1)(text);
}

/** A parser of sizes in memory. */
function size(text: string): number {
  try {
    return parseSize('size', text);
  } catch {
    throw new InvalidArgumentError('Expected a size like 500MB or 2GiB.');
  }
}
