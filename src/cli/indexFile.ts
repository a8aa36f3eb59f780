import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/safetensors.ts';
import { openCheckpoint } from '../checkpoint/shards.ts';
import { CheckpointError, HostError, NotFoundError } from '../errors.ts';
import { crc32 } from '../files/crc32.ts';
import { isJsonObject, parseJson } from '../files/json.ts';
import { writeFiles } from '../files/output.ts';
import { fileSystem } from '../files/source.ts';
import type { AtomicWriter } from '../hosts/host.ts';
import type { Pooling } from '../tasks/index.ts';
import { POOLINGS } from '../tasks/index.ts';
import { type Float32, Tensor } from '../tensor/index.ts';
import type { IndexLock } from './indexLock.ts';
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
/** Bytes of a journal that are read at a time: no record is longer. */
const PIECE = 4 * 2 ** 20;
/** Features that are copied at a time to be written. */
const ROWS = 1024;

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

/**
 * Puts the index into its file, in the order of names, so that the same folder gives the same bytes; then the journal is done with.
 * @throws {HostError} when it cannot be written, or another process has come to change it too
 */
export async function writeIndex(lock: IndexLock, model: IndexModel, images: Iterable<IndexedImage>): Promise<void> {
  const sorted = sortedByName(images);
  const integers = (numbers: readonly number[]): BigInt64Array<ArrayBuffer> => BigInt64Array.from(numbers, BigInt);
  const names = new TextEncoder().encode(sorted.map(({ name }) => `${name}\0`).join(''));
  const count = sorted.length;
  const tensors = [
    { name: 'vectors', dtype: 'float32', dims: [count, model.probe.length], data: vectorPieces(sorted, model.probe.length) },
    { name: 'sizes', dtype: 'int64', dims: [count], data: integers(sorted.map(({ size }) => size)) },
    { name: 'times', dtype: 'int64', dims: [count], data: integers(sorted.map(({ time }) => time)) },
    { name: 'names', dtype: 'uint8', dims: [names.length], data: names },
    { name: 'probe', dtype: 'float32', dims: [model.probe.length], data: Float32Array.from(model.probe) },
  ] as const;
  const metadata = { format: 'pt', dinov2_index: VERSION, model: JSON.stringify(settingsOf(model)) };
  const path = indexPath(lock.folder);
  const write = async (writer: AtomicWriter): Promise<void> => {
    await writeSafetensors(writer, tensors, metadata);
    await lock.check();
  };
  await orHostError(path, writeFiles([{ path, write }]));
  await orHostError(journalPath(lock.folder), rm(journalPath(lock.folder), { force: true }));
}

export function sortedByName(images: Iterable<IndexedImage>): IndexedImage[] {
  return [...images].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The features of images as one tensor (images, width), not to be written to: those that are side by side in memory, as from a file, are not copied. */
export function vectorsOf(images: readonly IndexedImage[], width: number): Float32 {
  const dims = [images.length, width];
  const { buffer, byteOffset = 0 } = images[0]?.vector ?? {};
  const isAside = ({ vector }: IndexedImage, i: number): boolean =>
    vector.buffer === buffer && vector.byteOffset === byteOffset + i * width * Float32Array.BYTES_PER_ELEMENT;
  if (buffer instanceof ArrayBuffer && images.every(isAside)) {
    return new Tensor('float32', new Float32Array(buffer, byteOffset, images.length * width), dims);
  }
  const vectors = new Tensor('float32', new Float32Array(images.length * width), dims);
  for (const [i, { vector }] of images.entries()) vectors.data.set(vector, i * width);
  return vectors;
}

/** The features of images one after the other, not to be written to, without a copy of all of them. */
export async function* vectorPieces(images: readonly IndexedImage[], width: number): AsyncGenerator<Float32Array<ArrayBuffer>> {
  for (let i = 0; i < images.length; i += ROWS) yield vectorsOf(images.slice(i, i + ROWS), width).data;
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
  static async open({ folder }: IndexLock, model: IndexModel): Promise<Journal> {
    const path = journalPath(folder);
    const before = await readJournal(folder).catch((error) => {
      if (!(error instanceof CheckpointError)) throw error; // one that is damaged gets here when all begins anew
      return undefined;
    });
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
  const path = journalPath(folder);
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new HostError(`${path}: expected a readable file, found ${cause.message}`, { cause });
  });
  if (!handle) return undefined;
  let model: IndexModel | undefined;
  const images: IndexedImage[] = [];
  let length = 0;
  try {
    for await (const { json, vector, bytes } of recordsOf(handle)) {
      const fields = parseJson(json, (problem) => damaged(folder, problem));
      if (model) images.push(imageOf(folder, fields, vector, model.probe.length));
      else model = modelOf(folder, fields, vector);
      length += bytes;
    }
  } finally {
    await handle.close();
  }
  return model && { model, images, length };
}

interface JournalRecord {
  readonly json: Uint8Array;
  readonly vector: Float32Array;
  /** How long it is in the file. */
  readonly bytes: number;
}

/** Records from the first on, up to one that was cut off while it was written. */
async function* recordsOf(handle: FileHandle): AsyncGenerator<JournalRecord> {
  const buffer = new Uint8Array(PIECE);
  const view = new DataView(buffer.buffer);
  for (let [kept, isEnd] = [0, false]; !isEnd; ) {
    const { bytesRead } = await handle.read(buffer, kept, PIECE - kept);
    isEnd = bytesRead === 0;
    const filled = kept + bytesRead;
    let at = 0;
    while (at + RECORD_HEAD <= filled) {
      const json = at + RECORD_HEAD + view.getUint32(at, true);
      const end = json + view.getUint32(at + 4, true);
      if (end > filled) break;
      const isWhole = crc32(buffer.subarray(at + RECORD_HEAD, end)) === view.getUint32(at + 8, true);
      if (!isWhole || (end - json) % Float32Array.BYTES_PER_ELEMENT !== 0) return;
      yield {
        json: buffer.subarray(at + RECORD_HEAD, json),
        vector: new Float32Array(buffer.slice(json, end).buffer),
        bytes: end - at,
      };
      at = end;
    }
    buffer.copyWithin(0, at, filled);
    kept = filled - at;
  }
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
      if (vectors.dims.length !== 2 || width !== probe.length || ![sizes, times, names].every(({ length }) => length === count)) {
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

function imageOf(folder: string, fields: unknown, vector: Float32Array, width: number): IndexedImage {
  const { name, size, time } = isJsonObject(fields) ? fields : {};
  if (typeof name !== 'string' || typeof size !== 'number' || typeof time !== 'number' || vector.length !== width) {
    throw damaged(folder, 'its journal is of another kind');
  }
  return { name, size, time, vector };
}

function settingsOf({ name, pooling, exifOrientation }: IndexModel): object {
  return { name, pooling, exifOrientation };
}

function damaged(folder: string, problem: string): CheckpointError {
  return new CheckpointError(
    `${indexPath(folder)}: expected an index of dinov2, found a damaged or foreign file: ${problem}: ${rebuildHint(folder)}`,
  );
}
