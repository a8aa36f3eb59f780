import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { type NamedTensor, writeSafetensors } from '../checkpoint/safetensors.ts';
import { openCheckpoint } from '../checkpoint/shards.ts';
import { ArgumentError, CheckpointError, ShapeError } from '../errors.ts';
import { describe, parseJson } from '../files/json.ts';
import { writeFiles } from '../files/output.ts';
import type { ModelSource } from '../files/source.ts';
import type { Float32, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import type { Pooling } from './embed.ts';

/** A classifier on the features of a frozen encoder, fitted to pictures of one's own. */
export interface FeatureClassifier {
  /** What the features are: see {@link embed}. */
  readonly pooling: Pooling;
  /** How many numbers a feature has. */
  readonly width: number;
  /** The names of the classes. */
  readonly labels: readonly string[];
  /** Features (batch, width) -> (batch, labels), each row of sum 1. @throws {ShapeError} {DTypeError} */
  scores(features: Tensor): Float32;
  /** Writes it into a .safetensors file, which is there when it is complete. */
  save(path: string): Promise<void>;
}

/** Features and classes to fit a classifier to, after all checks. */
export interface LabelledFeatures {
  /** (pictures, width) */
  readonly features: Float32;
  /** (pictures), from 0. */
  readonly classes: readonly number[];
  readonly labels: readonly string[];
}

/**
 * Checks features (pictures, width), the class of each and the names of the classes.
 * @throws {ShapeError} {DTypeError} {ArgumentError} naming what is wrong
 */
export function checkLabelled(features: Tensor, classes: ArrayLike<number>, labels: readonly string[]): LabelledFeatures {
  checkDims('features', [-1, -1], features.dims);
  const rows = features.to('float32');
  const wrong = rows.data.findIndex((x) => !Number.isFinite(x));
  if (wrong !== -1) {
    const width = features.dims[1] as number;
    throw new ArgumentError(`features[${Math.floor(wrong / width)}]: expected finite numbers, found ${rows.data[wrong]}`);
  }
  if (classes.length !== rows.dims[0]) throw new ShapeError(`classes: expected ${rows.dims[0]}, one a feature, found ${classes.length}`);
  checkLabels(labels, (problem) => new ArgumentError(problem));
  const numbers = Array.from(classes);
  const bad = numbers.findIndex((number) => !Number.isInteger(number) || number < 0 || number >= labels.length);
  if (bad !== -1) throw new ArgumentError(`classes[${bad}]: expected an integer from 0 to ${labels.length - 1}, found ${numbers[bad]}`);
  return { features: rows, classes: numbers, labels: [...labels] };
}

/** The names of the classes, and further fields, to be kept beside the tensors. */
type Fields = Readonly<Record<string, unknown>> & { readonly labels: readonly string[] };

/** Writes a classifier as a .safetensors file. */
export async function saveFeatureClassifier(path: string, tensors: readonly NamedTensor[], fields: Fields): Promise<void> {
  await writeFiles([{ path, write: (writer) => writeSafetensors(writer, tensors, metadataOf(fields)) }]);
}

/** The bytes of such a file. */
export async function encodeFeatureClassifier(tensors: readonly NamedTensor[], fields: Fields): Promise<Uint8Array> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const writer = { write: async (bytes: Uint8Array) => void pieces.push(bytes.slice()), commit: async () => {}, abort: async () => {} };
  await writeSafetensors(writer, tensors, metadataOf(fields));
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function metadataOf(fields: Fields): Record<string, string> {
  return { format: 'pt', ...Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, JSON.stringify(value)])) };
}

/** What {@link saveFeatureClassifier} has written, to be read. */
export interface SavedClassifier {
  readonly name: string;
  /** The names of the classes, or undefined where the file has none. */
  readonly labels: readonly string[] | undefined;
  has(tensor: string): boolean;
  /** @throws {CheckpointError} unless there is a tensor of that name and these dimensions, in which -1 stands for any */
  read(tensor: string, dims: readonly number[]): Promise<Tensor>;
  /** A further field, or undefined. @throws {CheckpointError} unless it is a number above 0 */
  number(field: string): number | undefined;
}

/** Opens the file of a classifier, lets `body` read it, and closes it. */
export async function withSavedClassifier<T>(source: ModelSource, body: (saved: SavedClassifier) => Promise<T>): Promise<T> {
  const file = await openCheckpoint(source);
  try {
    return await body({
      name: file.name,
      labels: labelsOf(file),
      has: (tensor) => file.entries.has(tensor),
      read: (tensor, dims) => readTensor(file, tensor, dims),
      number: (field) => numberOf(file, field),
    });
  } finally {
    await file.close();
  }
}

async function readTensor(file: Checkpoint, name: string, expected: readonly number[]): Promise<Tensor> {
  const { dims } = file.get(name);
  if (dims.length !== expected.length || dims.some((d, i) => expected[i] !== -1 && expected[i] !== d)) {
    throw new CheckpointError(
      `${file.name}: tensor ${describe(name)}: expected [${expected.map((d) => (d === -1 ? '*' : d))}], found [${dims}]`,
    );
  }
  return file.read(name);
}

function labelsOf(file: Checkpoint): readonly string[] | undefined {
  if (!file.metadata.has('labels')) return undefined;
  const labels = fieldOf(file, 'labels');
  checkLabels(labels, (problem) => new CheckpointError(`${file.name}: ${problem}`));
  return labels;
}

function numberOf(file: Checkpoint, field: string): number | undefined {
  if (!file.metadata.has(field)) return undefined;
  const value = fieldOf(file, field);
  if (typeof value === 'number' && value > 0) return value;
  throw new CheckpointError(`${file.name}: ${field}: expected a number above 0, found ${describe(value)}`);
}

function fieldOf(file: Checkpoint, field: string): unknown {
  const text = new TextEncoder().encode(file.metadata.get(field));
  return parseJson(text, (problem) => new CheckpointError(`${file.name}: ${field}: ${problem}`));
}

function checkLabels(labels: unknown, refuse: (problem: string) => Error): asserts labels is readonly string[] {
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every((label) => typeof label === 'string')) {
    throw refuse(`labels: expected an array of names, found ${describe(labels)}`);
  }
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined) throw refuse(`labels: expected each name once, found ${describe(twice)} again`);
}
