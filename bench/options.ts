import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import type { Dtype, Engine } from './engines/engine.ts';
import { ENGINES } from './engines/index.ts';
import { MODELS, type ModelName } from './models/configs.ts';

export const SECTIONS = ['accuracy', 'kernels', 'models', 'heads', 'fresh'] as const;
export type Section = (typeof SECTIONS)[number];

/** Sections that the chart shows. */
const DRAWN: readonly Section[] = ['models', 'fresh'];

const DTYPES: readonly Dtype[] = ['f32', 'f16', 'int8'];
const NAMES = Object.keys(MODELS) as ModelName[];

/** A model, and the side of the pictures it is given, in pixels. */
export interface Input {
  readonly model: ModelName;
  readonly size: number;
}

export interface Options {
  readonly sections: readonly Section[];
  readonly engines: readonly Engine[];
  readonly inputs: readonly Input[];
  readonly dtypes: readonly Dtype[];
  readonly threads: readonly number[];
  /** For which each model at each size is measured; the kernels half as long. */
  readonly seconds: number;
  readonly quick: boolean;
  /** Folder of a full-size model with references. */
  readonly real: string | undefined;
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly help: boolean;
}

const DEFAULT_INPUTS: readonly Input[] = [
  { model: 'S', size: 224 },
  { model: 'S', size: 518 },
  { model: 'B', size: 224 },
];

export const USAGE = `usage: npm run bench -- [options] [SECTION ...]

Measures dinov2-wasm beside other engines on this machine and prints Markdown. What stands in one table was measured in turn, on the same
weights and pixels. Takes about a quarter of an hour; bench/README.md says how to read it.

Sections, all of them if none is named:
  accuracy             differences from PyTorch
  kernels              single kernels, as a share of what the machine can do
  models               milliseconds a picture
  heads                encoder and heads apart
  fresh                from the start of a process to the first result, and memory

Options:
  --quick              less than two minutes: ViT-S at 224 in f32 and int8 alone, fewer rounds
  --all                every model at every size; takes more than an hour and 20 GB of memory
  --models S,B,L       by default S at 224 and 518, and B at 224
  --sizes 224,518      pixels
  --dtypes f32,f16,int8
  --threads 1,2
  --engines NAMES      of ${ENGINES.map(({ name }) => name).join(', ')}
  --seconds N          for each model at each size; default 60
  --real FOLDER        a full-size model for accuracy, see README.md; default $DINOV2_REAL
  --json FILE          writes the figures
  --svg FILE           writes a chart
  --help
`;

/** @throws {Error} saying which argument is wrong */
export function readOptions(args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      models: { type: 'string' },
      sizes: { type: 'string' },
      dtypes: { type: 'string' },
      threads: { type: 'string', default: '1,2' },
      engines: { type: 'string' },
      seconds: { type: 'string' },
      real: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { quick, all, real, json, svg, help } = values;
  if (quick && all) throw new Error('expected --quick or --all, found both');
  const sections = positionals.length > 0 ? among('section', positionals, SECTIONS) : SECTIONS;
  if (svg && !sections.some((section) => DRAWN.includes(section)))
    throw new Error(`--svg: expected a section ${DRAWN.join(' or ')}, found none`);
  const every = ENGINES.filter(({ optional }) => !optional).map(({ name }) => name);
  const names = among(
    '--engines',
    split(values.engines ?? every.join()),
    ENGINES.map(({ name }) => name),
  );
  return {
    sections,
    engines: ENGINES.filter(({ name }) => names.includes(name)),
    inputs: readInputs(values),
    dtypes: among('--dtypes', split(values.dtypes ?? (quick ? 'f32,int8' : DTYPES.join())), DTYPES),
    threads: split(values.threads).map((count) => whole('--threads', count, 1)),
    seconds: whole('--seconds', values.seconds ?? (quick ? '10' : '60'), 1),
    quick,
    real: real ?? env.DINOV2_REAL,
    json: writable('--json', json),
    svg: writable('--svg', svg),
    help,
  };
}

/** Better refused now than after the measurements. */
function writable(what: string, file: string | undefined): string | undefined {
  const folder = file === undefined ? undefined : dirname(file);
  try {
    if (folder !== undefined) accessSync(folder, constants.W_OK);
  } catch (cause) {
    throw new Error(`${what}: expected a file in a folder that can be written to, found ${JSON.stringify(file)}`, { cause });
  }
  return file;
}

function readInputs({
  quick,
  all,
  models,
  sizes,
}: {
  quick: boolean;
  all: boolean;
  models?: string | undefined;
  sizes?: string | undefined;
}): readonly Input[] {
  if (!quick && !all && models === undefined && sizes === undefined) return DEFAULT_INPUTS;
  const names = among('--models', split(models ?? (all ? NAMES.join() : 'S')), NAMES);
  const pixels = split(sizes ?? (all ? '224,518' : '224')).map((size) => whole('--sizes', size, 14));
  return names.flatMap((model) => pixels.map((size) => ({ model, size })));
}

function split(list: string): string[] {
  return list.split(',').map((part) => part.trim());
}

function among<T extends string>(what: string, found: readonly string[], known: readonly T[]): T[] {
  const unknown = found.find((name) => !known.includes(name as T));
  if (unknown !== undefined) throw new Error(`${what}: expected one of ${known.join(', ')}, found ${JSON.stringify(unknown)}`);
  return known.filter((name) => found.includes(name));
}

function whole(what: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`${what}: expected whole numbers from ${least} on, found ${JSON.stringify(text)}`);
  return value;
}
