import { CheckpointError, DisposedError, DTypeError, MemoryError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { RandomAccess } from '../hosts/host.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { type DataOf, DTYPES, type DType } from '../tensor/dtype.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';

/** Bytes that are held at a time while something large is read; a multiple of every element size. */
export const PIECE = 4 * 2 ** 20;

/** Where an {@link Extent} lies: a file, or what is made out of one as it is read. */
export interface ByteSource {
  /** Calls `visit` with the bytes, which are valid until it returns. */
  read(offset: number, bytes: number, visit: (bytes: Uint8Array) => void): Promise<void>;
}

/** A file of tensors. Reads wait for each other, because a {@link RandomAccess} may give the same array to the next reader. */
export class TensorFile implements ByteSource {
  readonly file: RandomAccess;
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(file: RandomAccess) {
    this.file = file;
  }

  read(offset: number, bytes: number, visit: (bytes: Uint8Array) => void): Promise<void> {
    const turn = this.#last.then(async () => {
      if (this.#closed) throw new DisposedError(`${this.file.name}: read after it was closed`);
      visit(await this.file.read(offset, bytes));
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.file.close();
  }
}

/** @throws {LimitError} on a file that is larger than a checkpoint may be */
export function checkFileSize({ name, size }: RandomAccess, limits: Limits): void {
  checkLimit(name, 'checkpointBytes', limits, 'a file of * bytes', size);
}

/** @throws {LimitError} on a file with more tensors than a checkpoint may have */
export function checkTensorCount({ name }: RandomAccess, limits: Limits, count: number): void {
  checkLimit(name, 'tensors', limits, '* tensors', count);
}

/** A stretch of a file: `bytes` bytes from `offset` on. */
export interface Extent {
  readonly file: ByteSource;
  readonly offset: number;
  readonly bytes: number;
}

/** A tensor that is still in its file, or in several. */
export interface Entry<T extends string = string> {
  /** The element type; where this library has none of the kind, the file's own word for it, such as "F64". */
  readonly dtype: T;
  readonly dims: readonly number[];
  /** Where the elements are: row-major, little-endian, whole elements in each extent, one extent after the other. */
  readonly extents: readonly Extent[];
}

export interface CheckpointParts {
  /** For messages: the path of the file or folder. */
  readonly name: string;
  readonly entries: ReadonlyMap<string, Entry>;
  /** What the file says about itself. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly files: readonly TensorFile[];
}

/** Tensors by name, in files that stay open until {@link close}. Nothing of them is in memory before it is read. */
export class Checkpoint implements CheckpointParts {
  readonly name: string;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly files: readonly TensorFile[];

  constructor({ name, entries, metadata, files }: CheckpointParts) {
    this.name = name;
    this.entries = entries;
    this.metadata = metadata;
    this.files = files;
  }

  /**
   * What is known of a tensor without reading it.
   * @throws {CheckpointError} when there is none of that name
   * @throws {DTypeError} when its element type is none of this library's
   */
  get(name: string): Entry<DType> {
    const entry = this.entries.get(name);
    if (!entry) throw new CheckpointError(`${this.name}: expected a tensor ${describe(name)}, found none of that name`);
    if (!isReadable(entry)) {
      const known = Object.keys(DTYPES).join(', ');
      throw new DTypeError(
        `${this.name}: tensor ${describe(name)}: expected elements of ${known}, found ${entry.dtype}: convert the checkpoint`,
      );
    }
    return entry;
  }

  /**
   * Reads a tensor piece by piece: `visit` gets at most 4 MiB at a time, whole elements, in order, with their byte offset within the
   * tensor. The bytes are valid until `visit` returns.
   * @throws as {@link get}
   */
  async stream(name: string, visit: (bytes: Uint8Array, offset: number) => void): Promise<void> {
    let done = 0;
    for (const { file, offset, bytes } of this.get(name).extents) {
      for (let at = 0; at < bytes; at += PIECE) {
        const length = Math.min(PIECE, bytes - at);
        await file.read(offset + at, length, (piece) => visit(piece, done));
        done += length;
      }
    }
  }

  /**
   * A tensor with data of its own.
   * @throws as {@link get}, and {MemoryError} for more elements than an array can have
   */
  async read(name: string): Promise<Tensor> {
    const { dtype, dims } = this.get(name);
    const data = this.#allocate(name, dtype, sizeOf(dims));
    const target = new Uint8Array(data.buffer);
    await this.stream(name, (bytes, offset) => target.set(bytes, offset));
    return new Tensor(dtype, data, dims);
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.close();
  }

  #allocate(name: string, dtype: DType, size: number): DataOf<DType> {
    try {
      return new DTYPES[dtype](size);
    } catch (cause) {
      throw new MemoryError(`${this.name}: tensor ${describe(name)}: the host has no array of ${size} elements: read it piece by piece`, {
        cause,
      });
    }
  }
}

function isReadable(entry: Entry): entry is Entry<DType> {
  return Object.hasOwn(DTYPES, entry.dtype);
}
