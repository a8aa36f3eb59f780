import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/safetensors.ts';
import { openCheckpoint } from '../checkpoint/shards.ts';
import { CheckpointError, NotFoundError } from '../errors.ts';
import { crc32 } from '../files/crc32.ts';
import { isJsonObject, parseJson } from '../files/json.ts';
import { writeFiles } from '../files/output.ts';
import { fileSystem } from '../files/source.ts';
import type { Pooling } from '../tasks/index.ts';
import { POOLINGS } from '../tasks/index.ts';
import { type Float32, Tensor } from '../tensor/index.ts';
import { orHostError } from './results.ts';

/** Which model made an index, and from what. */
export interface IndexModel {
  /** As it was given, for people. */
  readonly name: string;
  readonly pooling: Pooling;
  readonly exifOrientation: boolean;
  /** The feature of one fixed picture: what another model, or another way to see pictures, gives differently. */
  readonly probe: Float32Array;
}

/** A file, and its feature. */
export interface IndexedImage {
  /** Its path from the folder, with "/". */
  readonly name: string;
  readonly size: number;
  /** When it was last changed, in milliseconds since 1970. */
  readonly time: number;
  readonly vector: Float32Array;
}

export interface ImageIndex {
  readonly model: IndexModel;
  /** By name. */
  readonly images: ReadonlyMap<string, IndexedImage>;
  /** Whether some of them are in the journal only. */
  readonly isPending: boolean;
}

export const INDEX_FILE = 'dinov2-index.safetensors';
const VERSION = '1';
/** Length of the JSON, bytes of the feature, CRC-32 of both. */
const RECORD_HEAD = 12;

export const indexPath = (folder: string): string => join(folder, INDEX_FILE);
const journalPath = (folder: string): string => `${indexPath(folder)}.journal`;

/** What is to be done about an index that cannot be used. */
export const rebuildHint = (folder: string): string => `build it anew with: dinov2 index ${folder} --rebuild`;

/**
 * The index of a folder, with what an interrupted run has left in its journal; undefined where there is none.
 * @throws {CheckpointError} on one that is damaged
 */
export async function readIndex(folder: string): Promise<ImageIndex | undefined> {
  const whole = (await fileSystem().kind(indexPath(folder))) === 'file' ? await readWhole(folder) : undefined;
  const journal = await readJournal(folder);
  if (!journal) return whole && { ...whole, isPending: false };
  if (whole && !isSameModel(whole.model, journal.model)) return { ...whole, isPending: false }; // of a rebuild that did not finish
  const images = new Map(whole?.images);
  for (const image of journal.images) images.set(image.name, image);
  return { model: whole?.model ?? journal.model, images, isPending: true };
}

/** Whether two models give the same features but for rounding. */
export function isSameModel(a: IndexModel, b: IndexModel): boolean {
  if (a.pooling !== b.pooling || a.exifOrientation !== b.exifOrientation || a.probe.length !== b.probe.length) return false;
  let [dot, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.probe.entries()) {
    const y = b.probe[i] as number;
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot >= 0.9999 * Math.sqrt(aa * bb);
}

/** Puts the index into its file, in the order of names, so that the same folder gives the same bytes; then the journal is done with. */
export async function writeIndex(folder: string, model: IndexModel, images: Iterable<IndexedImage>): Promise<void> {
  const sorted = [...images].sort((a, b) => (a.name < b.name ? -1 : 1));
  const integers = (numbers: readonly number[]): BigInt64Array<ArrayBuffer> => BigInt64Array.from(numbers, BigInt);
  const names = new TextEncoder().encode(sorted.map(({ name }) => `${name}\0`).join(''));
  const count = sorted.length;
  const tensors = [
    { name: 'vectors', dtype: 'float32', dims: [count, model.probe.length], data: vectorsOf(sorted, model.probe.length).data },
    { name: 'sizes', dtype: 'int64', dims: [count], data: integers(sorted.map(({ size }) => size)) },
    { name: 'times', dtype: 'int64', dims: [count], data: integers(sorted.map(({ time }) => time)) },
    { name: 'names', dtype: 'uint8', dims: [names.length], data: names },
    { name: 'probe', dtype: 'float32', dims: [model.probe.length], data: Float32Array.from(model.probe) },
  ] as const;
  const metadata = { format: 'pt', dinov2_index: VERSION, model: JSON.stringify(settingsOf(model)) };
  const path = indexPath(folder);
  await orHostError(path, writeFiles([{ path, write: (writer) => writeSafetensors(writer, tensors, metadata) }]));
  await orHostError(journalPath(folder), rm(journalPath(folder), { force: true }));
}

/** The features of images as one tensor: (images, width). */
export function vectorsOf(images: readonly IndexedImage[], width: number): Float32 {
  const vectors = new Tensor('float32', new Float32Array(images.length * width), [images.length, width]);
  for (const [i, { vector }] of images.entries()) vectors.data.set(vector, i * width);
  return vectors;
}

/** Takes features as they come, each at once in a file, where they outlast the process. */
export class Journal {
  readonly #handle: FileHandle;
  readonly #path: string;

  private constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** Goes on with the journal that is there if it is of this model, behind its last whole record. */
  static async open(folder: string, model: IndexModel): Promise<Journal> {
    const path = journalPath(folder);
    const before = await readJournal(folder);
    const length = before && isSameModel(before.model, model) ? before.length : 0;
    const handle = await orHostError(path, open(path, 'a'));
    const journal = new Journal(handle, path);
    try {
      await orHostError(path, handle.truncate(length));
      if (length === 0) await journal.#append({ dinov2_index: VERSION, ...settingsOf(model) }, model.probe);
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  async add({ vector, ...file }: IndexedImage): Promise<void> {
    await this.#append(file, vector);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #append(fields: object, vector: Float32Array): Promise<void> {
    const json = new TextEncoder().encode(JSON.stringify(fields));
    const record = new Uint8Array(RECORD_HEAD + json.length + vector.byteLength);
    record.set(json, RECORD_HEAD);
    record.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), RECORD_HEAD + json.length);
    const view = new DataView(record.buffer);
    view.setUint32(0, json.length, true);
    view.setUint32(4, vector.byteLength, true);
    view.setUint32(8, crc32(record.subarray(RECORD_HEAD)), true);
    await orHostError(this.#path, this.#handle.appendFile(record));
  }
}

interface JournalContent {
  readonly model: IndexModel;
  readonly images: readonly IndexedImage[];
  /** Bytes of whole records. */
  readonly length: number;
}

/** The whole records of the journal; undefined where there is none that says of which model it is. */
async function readJournal(folder: string): Promise<JournalContent | undefined> {
  const bytes = await readFile(journalPath(folder)).catch(() => undefined);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: { fields: Record<string, unknown>; vector: Float32Array }[] = [];
  let at = 0;
  while (at + RECORD_HEAD <= bytes.length) {
    const json = at + RECORD_HEAD + view.getUint32(at, true);
    const end = json + view.getUint32(at + 4, true);
    if (end > bytes.length || crc32(bytes.subarray(at + RECORD_HEAD, end)) !== view.getUint32(at + 8, true)) break; // cut off while it was written
    const fields = parseJson(bytes.subarray(at + RECORD_HEAD, json), (problem) => damaged(folder, problem));
    records.push({
      fields: fields as Record<string, unknown>,
      vector: new Float32Array(Uint8Array.from(bytes.subarray(json, end)).buffer),
    });
    at = end;
  }
  const [first, ...rest] = records;
  if (!first) return undefined;
  const model = modelOf(folder, first.fields, first.vector);
  return { model, images: rest.map(({ fields, vector }) => ({ ...fields, vector }) as IndexedImage), length: at };
}

async function readWhole(folder: string): Promise<Pick<ImageIndex, 'model' | 'images'>> {
  try {
    const file = await openCheckpoint(indexPath(folder));
    try {
      if (file.metadata.get('dinov2_index') !== VERSION) throw damaged(folder, `it is no index of version ${VERSION}`);
      const fields = parseJson(new TextEncoder().encode(file.metadata.get('model') ?? ''), (problem) => damaged(folder, problem));
      const probe = (await file.read('probe')).to('float32').data;
      const model = modelOf(folder, fields, probe);
      const vectors = (await file.read('vectors')).to('float32');
      const numbers = async (name: string): Promise<number[]> => Array.from((await file.read(name)).to('int64').data, Number);
      const [sizes, times] = [await numbers('sizes'), await numbers('times')];
      const names = new TextDecoder()
        .decode((await file.read('names')).to('uint8').data)
        .split('\0')
        .slice(0, -1);
      const [count, width] = vectors.dims;
      if (width !== probe.length || ![sizes, times, names].every(({ length }) => length === count)) {
        throw damaged(folder, `it has ${count} features of ${width} numbers, ${names.length} names`);
      }
      const images = names.map((name, i) => {
        return { name, size: sizes[i] as number, time: times[i] as number, vector: vectors.at(i).data };
      });
      return { model, images: new Map(images.map((image) => [image.name, image])) };
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (!(cause instanceof CheckpointError || cause instanceof NotFoundError)) throw cause;
    if (cause.message.endsWith(rebuildHint(folder))) throw cause;
    throw new CheckpointError(`${cause.message}: ${rebuildHint(folder)}`, { cause });
  }
}

function modelOf(folder: string, fields: unknown, probe: Float32Array): IndexModel {
  const { name, pooling, exifOrientation } = isJsonObject(fields) ? fields : {};
  if (typeof name !== 'string' || !POOLINGS.includes(pooling as Pooling) || typeof exifOrientation !== 'boolean') {
    throw damaged(folder, 'it does not say which model made it');
  }
  return { name, pooling: pooling as Pooling, exifOrientation, probe };
}

function settingsOf({ name, pooling, exifOrientation }: IndexModel): object {
  return { name, pooling, exifOrientation };
}

function damaged(folder: string, problem: string): CheckpointError {
  return new CheckpointError(
    `${indexPath(folder)}: expected an index of dinov2, found a damaged or foreign file: ${problem}: ${rebuildHint(folder)}`,
  );
}
