import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import * as assert from 'uvu/assert';
import { Dinov2Error } from '../../src/errors.ts';
import { BitImageProcessor, Dinov2ForImageClassification } from '../../src/index.ts';
import { dinov2, withWorkplace } from '../cli/helpers.ts';
import { type Dice, oneOf, pick } from './mutate.ts';

/** Options whose values name what is written. */
const OUTPUTS = ['--output', '--pictures', '--png16', '--export', '--html'];
/** Where a command writes that was told of no place. */
const DEFAULTS = /^(match\.png|[^/]*\.(pca|attention)\.png)$/;
const NAMES = [
  ...['a.png', 'b.png', 'photos', 'pets', 'model', 'head.safetensors', 'photos/*.png', 'a.png', 'b.png'],
  ...[
    'cut.png',
    'text.txt',
    'nope.png',
    'nope',
    'acme/tiny',
    '*',
    '**',
    '[',
    '{a,b}.png',
    '',
    '.',
    '-',
    '--',
    'a.png/b',
    '\0',
    'é\u202e',
    '\n',
  ],
  ...['__proto__', 'constructor', 'model/config.json', 'a b', '$HOME', '~', 'x'.repeat(300), 'x'.repeat(5000), 'CON', 'a.png\0.jpg'],
];
const PLACES = [
  'out.json',
  'out.jsonl',
  'out.npy',
  'out.safetensors',
  'out.png',
  'out',
  'out/x/y.json',
  'model',
  'photos',
  'a.png',
  ...NAMES,
];
const NUMBERS = [
  '0',
  '1',
  '2',
  '3',
  '-1',
  '12',
  '16',
  '1.5',
  '0.5',
  '1e3',
  '1e-9',
  '1e999',
  'NaN',
  '0x10',
  ' 1',
  '',
  '-0',
  '9007199254740993',
  '1e6',
];
const WORDS = [
  'auto',
  'simd',
  'cls',
  'both',
  'offset',
  'float16',
  'int8',
  'inferno',
  'side',
  'linear',
  'knn',
  '1,1',
  '5,5',
  '1e9,1',
  '64MB',
  '1B',
  'main',
];

interface Command {
  readonly words: readonly string[];
  /** With what they take, `<...>`, or nothing. */
  readonly options: ReadonlyMap<string, string>;
  readonly examples: readonly (readonly string[])[];
}

/** What `--help` tells of each command. A service would not end. */
const commands: readonly Command[] = await describeCommands([], ['serve']);

async function describeCommands(words: readonly string[], left: readonly string[]): Promise<Command[]> {
  const { stdout } = await dinov2([...words, '--help']);
  const names = [...(/\nCommands:\n([\s\S]*?)\n\n/.exec(stdout)?.[1] ?? '').matchAll(/^ {2}([a-z]\w*)/gm)].map(([, name = '']) => name);
  if (names.length > 0) {
    const inner = names.filter((name) => name !== 'help' && !left.includes(name)).map((name) => describeCommands([...words, name], left));
    return (await Promise.all(inner)).flat();
  }
  const options = new Map(
    [...stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)(?: (<[^>]+>))?/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const examples = [...stdout.matchAll(/^ {2}dinov2 (.*)$/gm)].map(([, line = '']) =>
    line.replaceAll('"', '').split(' ').slice(words.length),
  );
  return [{ words, options, examples }];
}

/** A command line as JSON: that of an example with files that there are, options of the command and values of any kind, damaged or not. */
export function makeCommand(roll: Dice): Uint8Array<ArrayBuffer> {
  const command = pick(roll, commands);
  const { words, options } = command.words[0] === 'doctor' && !oneOf(roll, 50) ? (commands[0] as Command) : command; // that takes a second
  const args = oneOf(roll, 3)
    ? Array.from({ length: roll(4) }, () => pick(roll, NAMES))
    : (pick(roll, command.examples) ?? []).map((word) => (oneOf(roll, 6) ? pick(roll, NAMES) : likeOurs(word)));
  for (let n = roll(4); n > 0; n--) {
    const [name, value] = pick(roll, [...options]);
    if (name !== '--threads' || oneOf(roll, 50)) args.push(...(value === '' ? [name] : [name, chosen(name, value, roll)]));
  }
  for (const [name, value] of [
    ['--model', 'model'],
    ['--threads', '1'],
    ['--size', '12'],
  ] as const) {
    if (options.has(name) && !args.includes(name)) args.unshift(name, value); // in front of a "--", behind which it would be a picture
  }
  let all = [...words, ...args];
  for (let n = pick(roll, [0, 1, 1, 2, 3]); n > 0; n--) all = damage(all, roll);
  all = all.map((arg) => (/(^|[=,])\/|\.\./.test(arg) ? 'elsewhere' : arg)); // nothing here may name what is not ours
  all = all.map((arg, i) => (all[i - 1] === '--threads' || arg.startsWith('--threads=') ? arg.replace(/\d{2,}|[4-9]/, '3') : arg)); // each takes 5 MiB
  return new TextEncoder().encode(JSON.stringify(all)) as Uint8Array<ArrayBuffer>;
}

function likeOurs(word: string): string {
  if (/^(cat|dog)\d?\.(jpg|png)$/.test(word)) return word.startsWith('cat') ? 'a.png' : 'b.png';
  if (/^\d{2,}/.test(word)) return '12';
  if (/^(dinov2|depth-anything|facebook)\S*(?<!safetensors)$/.test(word)) return 'model';
  return word === 'more-pets' ? 'pets' : word.endsWith('.safetensors') ? 'head.safetensors' : word;
}

function chosen(name: string, value: string, roll: Dice): string {
  if (oneOf(roll, 6)) return pick(roll, [...NAMES, ...NUMBERS, ...WORDS]);
  if (OUTPUTS.includes(name)) return pick(roll, PLACES);
  return pick(roll, /number|pixels/.test(value) ? NUMBERS : /file|folder|path|model|images/.test(value) ? NAMES : WORDS);
}

function damage(args: readonly string[], roll: Dice): string[] {
  if (args.length === 0) return [];
  const [at, other] = [roll(args.length), roll(args.length)];
  const arg = args[at] as string;
  switch (roll(6)) {
    case 0:
      return args.toSpliced(at, 1);
    case 1:
      return args.toSpliced(at, 0, args[other] as string);
    case 2:
      return args.toSpliced(at, 0, pick(roll, [...NAMES, ...NUMBERS, ...WORDS, '--nope', '-x', '--help', '--version', 'help']));
    case 3:
      return args.with(at, args[other] as string).with(other, arg);
    case 4:
      return args.with(at, arg.slice(0, roll(arg.length + 1)) + String.fromCharCode(roll(256)) + arg.slice(roll(arg.length + 1)));
    default:
      return args.with(at, arg.startsWith('--') ? `${arg}=${args[other]}` : arg.repeat(1 + roll(3)));
  }
}

/** One of the three exit codes, a message where it is not 0, and no file but those named is another, or there, afterwards. */
export async function checkCommand(input: Uint8Array): Promise<void> {
  const args = JSON.parse(new TextDecoder().decode(input)) as string[];
  const place = await workplace();
  const [before, { fetch }] = [process.cwd(), globalThis];
  const environment = { ...process.env };
  process.chdir(place.work);
  Object.assign(process.env, { HOME: place.home, HF_HOME: place.home, HF_ENDPOINT: 'http://hub.invalid', COLUMNS: '80' });
  globalThis.fetch = async () => new Response('', { status: 404 });
  let outcome: Awaited<ReturnType<typeof dinov2>>;
  let changed: string[];
  try {
    outcome = await dinov2(args);
  } finally {
    changed = place.restore();
    globalThis.fetch = fetch;
    process.chdir(before);
    for (const name of ['HOME', 'HF_HOME', 'HF_ENDPOINT', 'COLUMNS']) {
      if (environment[name] === undefined) delete process.env[name];
      else process.env[name] = environment[name];
    }
  }
  const { code, stderr } = outcome;
  assert.ok([0, 1, 2].includes(code), `${code}`);
  assert.not(/unexpected error|\n\s+at /.test(stderr), `${args}: ${stderr}`);
  if (code !== 0) assert.ok(stderr.trim().length > 0, `code ${code} without a message`);
  const named = namedOutputs(args);
  for (const path of changed) assert.ok(isNamed(path, named, args), `wrote ${path}`);
  if (code !== 0) throw new Dinov2Error(stderr);
}

function namedOutputs(args: readonly string[]): string[] {
  const values = args.flatMap((arg, i) => {
    if (OUTPUTS.includes(args[i - 1] as string)) return [arg];
    const option = OUTPUTS.find((name) => arg.startsWith(`${name}=`));
    return option ? [arg.slice(option.length + 1)] : [];
  });
  return values.flatMap((value) => [value, value.replace(/(\.npy)?$/i, '.txt')]);
}

/** Whether a path is one of the places named, below it, or a folder that leads to it. */
function isNamed(path: string, named: readonly string[], args: readonly string[]): boolean {
  const places = named.map((place) => join('.', place));
  if (places.some((place) => place === '.' || `${path}/`.startsWith(`${place}/`) || `${place}/`.startsWith(`${path}/`))) return true;
  if (args.includes('index') && /(^|\/)dinov2-index\.safetensors(\.journal)?$/.test(path))
    return args.some((arg) => dirname(path) === join(arg));
  return DEFAULTS.test(path) && args.some((arg) => ['match', 'pca', 'attention'].includes(arg));
}

interface Place {
  readonly work: string;
  readonly home: string;
  /** Makes everything as it was. @returns what was not, from the folder of work */
  restore(): string[];
}

let made: Promise<Place> | undefined;

function workplace(): Promise<Place> {
  made ??= makeWorkplace();
  return made;
}

/** Pictures, a model, a head, labelled pictures, an index, and files that are none of these. */
async function makeWorkplace(): Promise<Place> {
  const root = mkdtempSync(join(tmpdir(), 'dinov2-fuzz-commands-'));
  process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  const [work, home] = [join(root, 'work'), join(root, 'home')];
  mkdirSync(home);
  await withWorkplace(async ({ folder, picture, path }) => {
    const model = path('model');
    await makeModel(model);
    for (const name of ['photos', 'pets/cats', 'pets/dogs']) mkdirSync(path(name), { recursive: true });
    for (const name of [
      'a.png',
      'b.png',
      'cut.png',
      'photos/c.png',
      'photos/d.png',
      'pets/cats/1.png',
      'pets/cats/2.png',
      'pets/dogs/3.png',
    ])
      picture(name);
    picture('pets/dogs/4.png');
    writeFileSync(path('cut.png'), readFileSync(path('cut.png')).subarray(0, 60));
    writeFileSync(path('text.txt'), 'no picture');
    for (const args of [
      ['probe', 'fit', path('pets'), '--output', path('head.safetensors')],
      ['index', path('photos')],
    ]) {
      const { code, stderr } = await dinov2([...args, '--model', model, '--threads', '1']);
      assert.is(code, 0, stderr);
    }
    cpSync(folder, work, { recursive: true, preserveTimestamps: true });
  });
  const contents = new Map(
    [...walk(root)].map(([path, state]) => [path, { state, bytes: state === 'folder' ? undefined : readFileSync(join(root, path)) }]),
  );
  const restore = (): string[] => {
    const now = walk(root);
    const changed: string[] = [];
    for (const path of [...now.keys()].reverse()) {
      if (contents.has(path)) continue;
      changed.push(path);
      rmSync(join(root, path), { recursive: true, force: true });
    }
    for (const [path, was] of contents) {
      if (now.get(path) === was.state) continue;
      changed.push(path);
      if (was.bytes === undefined) mkdirSync(join(root, path), { recursive: true });
      else writeFileSync(join(root, path), was.bytes);
      was.state = stateOf(join(root, path));
    }
    return changed.map((path) => relative('work', path));
  };
  return { work, home, restore };
}

/** Of patches so large that the sizes which commands have by default are a few. */
async function makeModel(folder: string): Promise<void> {
  const size = { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, image_size: 112, patch_size: 56 };
  const model = new Dinov2ForImageClassification({ ...size, initializer_range: 0.5, id2label: { 0: 'red', 1: 'green', 2: 'blue' } });
  await model.save_pretrained(folder);
  model.dispose();
  await new BitImageProcessor({ size: 112, crop_size: 112 }).save_pretrained(folder);
}

/** All below a folder, with what tells that it is another. */
function walk(root: string): Map<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return new Map(names.map((name) => [name, stateOf(join(root, name))]));
}

function stateOf(path: string): string {
  const found = statSync(path);
  return found.isDirectory() ? 'folder' : `${found.size} ${found.mtimeMs} ${found.ino}`;
}
