import { ArgumentError, DTypeError, ShapeError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';
import { convert, fromFloat32, toFloat32 } from './convert.ts';
import { bytesOf, checkDType, type DataOf, DTYPES, type DType, type TensorData } from './dtype.ts';

/** Where the elements are: in an array that the tensor owns, or at a place in an engine's memory. */
interface Place {
  readonly engine: Engine;
  readonly address: Address;
}

/**
 * An array of numbers with dimensions, in row-major order. Tensors that users make and get own their data. Inside a model tensors are
 * places in the memory of its engine, valid until the end of the scope in which they were made.
 */
export class Tensor<T extends DType = DType> {
  readonly dtype: T;
  /** The dimensions, outermost first; none for a scalar. */
  readonly dims: readonly number[];
  readonly #storage: DataOf<T> | Place;

  /**
   * @param data the elements, row-major, not copied if they are of the dtype's array type; 16-bit floats as their bits, or as numbers to be rounded
   * @throws {DTypeError} on an unknown dtype or an array of another type
   * @throws {ArgumentError} on an element that is no number, or for int64 no integer
   * @throws {ShapeError} when `dims` and the number of elements disagree
   */
  constructor(dtype: T, data: DataOf<T> | readonly number[] | readonly bigint[] | readonly boolean[], dims: readonly number[]);
  constructor(dtype: T, data: Place, dims: readonly number[]);
  constructor(dtype: T, data: DataOf<T> | readonly unknown[] | Place, dims: readonly number[]) {
    checkDType(dtype);
    checkDims(dims);
    this.dtype = dtype;
    this.dims = [...dims];
    if (isPlace(data)) {
      this.#storage = data;
      return;
    }
    const array = Array.isArray(data) ? arrayOf(dtype, data) : (data as DataOf<T>);
    if (!(array instanceof DTYPES[dtype])) {
      throw new DTypeError(
        `data: expected ${DTYPES[dtype].name} for dtype ${dtype}, found ${Object.prototype.toString.call(data).slice(8, -1)}`,
      );
    }
    if (array.length !== this.size) {
      throw new ShapeError(`dims [${dims}]: expected ${this.size} elements, found ${array.length}`);
    }
    this.#storage = array as DataOf<T>;
  }

  /** The name transformers.js gives to {@link dtype}. */
  get type(): T {
    return this.dtype;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.dims);
  }

  /** Size in bytes. */
  get bytes(): number {
    return this.size * bytesOf(this.dtype);
  }

  /** The place in engine memory, or undefined where the tensor owns its data. */
  get place(): Place | undefined {
    return isPlace(this.#storage) ? this.#storage : undefined;
  }

  /** The elements: the tensor's own array, or a copy of what is in engine memory. */
  get data(): DataOf<T> {
    const { place } = this;
    if (!place) return this.#storage as DataOf<T>;
    const copy = new DTYPES[this.dtype](this.size) as DataOf<T>;
    place.engine.read(place.address, copy);
    return copy;
  }

  /** The same elements in memory of their own. */
  clone(): Tensor<T> {
    return new Tensor(this.dtype, this.place ? this.data : (this.data.slice() as DataOf<T>), this.dims);
  }

  /** The same elements under other dimensions; one of them may be -1. Shares the storage. */
  reshape(...dims: number[]): Tensor<T> {
    const known = dims.filter((d) => d !== -1);
    const filled = dims.map((d) => (d === -1 ? this.size / sizeOf(known) : d));
    if (dims.length - known.length > 1 || sizeOf(filled) !== this.size || !filled.every(isCount)) {
      throw new ShapeError(`reshape: expected dimensions of ${this.size} elements in all, as of [${this.dims}], found [${dims}]`);
    }
    return this.#over(filled, 0);
  }

  /** Element `index` of the first dimension, without that dimension. Shares the storage. */
  at(index: number): Tensor<T> {
    const count = this.dims[0] ?? 0;
    const i = index < 0 ? index + count : index;
    return this.slice(i, i + 1).reshape(...this.dims.slice(1));
  }

  /** Elements `begin` to `end` (exclusive) of the first dimension. Shares the storage. */
  slice(begin: number, end: number = this.dims[0] ?? 0): Tensor<T> {
    const [count = 0, ...rest] = this.dims;
    if (this.dims.length === 0 || !Number.isInteger(begin) || !Number.isInteger(end) || begin < 0 || end > count || begin > end) {
      throw new ShapeError(`slice: expected 0 <= begin <= end <= ${count} on [${this.dims}], found ${begin} to ${end}`);
    }
    return this.#over([end - begin, ...rest], begin * sizeOf(rest));
  }

  /** As another dtype: to floats rounded to nearest even, from floats to integers truncated, between integers modulo the narrower range. */
  to<U extends DType>(dtype: U): Tensor<U> {
    checkDType(dtype);
    if ((dtype as DType) === this.dtype) return this as unknown as Tensor<U>;
    return new Tensor<U>(dtype, convert(this.dtype, dtype, this.data) as DataOf<U>, this.dims);
  }

  /** The only element, as a number. */
  item(): number {
    if (this.size !== 1) throw new ShapeError(`item: expected one element, found ${this.size} in [${this.dims}]`);
    return Number(this.#values()[0]);
  }

  /** The elements as nested arrays; int64 as bigint. */
  tolist(): unknown {
    const values = this.#values();
    const nest = (axis: number, from: number): unknown => {
      const count = this.dims[axis];
      if (count === undefined) return values[from];
      const step = sizeOf(this.dims.slice(axis + 1));
      return Array.from({ length: count }, (_, i) => nest(axis + 1, from + i * step));
    };
    return nest(0, 0);
  }

  /** The elements as JavaScript has them: 16-bit floats widened. */
  #values(): TensorData {
    return this.dtype === 'float16' || this.dtype === 'bfloat16' ? toFloat32(this.dtype, this.data) : this.data;
  }

  #over(dims: readonly number[], offset: number): Tensor<T> {
    const { place } = this;
    if (place) return new Tensor(this.dtype, { engine: place.engine, address: place.address + offset * bytesOf(this.dtype) }, dims);
    return new Tensor(this.dtype, this.data.subarray(offset, offset + sizeOf(dims)) as DataOf<T>, dims);
  }
}

/** Number of elements of a tensor with these dimensions. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, d) => product * d, 1);
}

function checkDims(dims: readonly number[]): void {
  if (!Array.isArray(dims) || !dims.every(isCount)) {
    throw new ShapeError(`dims: expected an array of integers of at least 0, found ${JSON.stringify(dims)}`);
  }
}

function isCount(d: unknown): boolean {
  return Number.isSafeInteger(d) && (d as number) >= 0;
}

function isPlace(data: unknown): data is Place {
  return typeof data === 'object' && data !== null && 'engine' in data;
}

function arrayOf<T extends DType>(dtype: T, values: readonly unknown[]): TensorData {
  const fits = dtype === 'int64' ? isInteger : isNumber;
  const wrong = values.findIndex((value) => !fits(value));
  if (wrong !== -1) {
    const value = values[wrong];
    const found = typeof value === 'number' ? value : typeof value;
    throw new ArgumentError(`data[${wrong}]: expected ${dtype === 'int64' ? 'integers' : 'numbers'} for dtype ${dtype}, found ${found}`);
  }
  if (dtype === 'int64') return BigInt64Array.from(values as number[], BigInt);
  if (dtype === 'float16' || dtype === 'bfloat16') return fromFloat32(dtype, Float32Array.from(values as number[]));
  const Data = DTYPES[dtype] as { from(values: ArrayLike<number>): TensorData };
  return Data.from(values as number[]);
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function isInteger(value: unknown): boolean {
  return typeof value === 'bigint' || typeof value === 'boolean' || Number.isInteger(value);
}
