import { ArgumentError, DTypeError, ShapeError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';
import { scratchEngine } from '../runtime/scratch.ts';
import { bytesOf, type DType } from './dtype.ts';
import { sizeOf, Tensor } from './tensor.ts';

/** A float32 tensor, the kind that the kernels compute with. */
export type Float32 = Tensor<'float32'>;

/** A new place for a tensor in an engine's memory; what is there before it is written is undefined. */
export function place<T extends DType>(engine: Engine, dtype: T, dims: readonly number[]): Tensor<T> {
  return new Tensor(dtype, { engine, address: engine.allocate(sizeOf(dims) * bytesOf(dtype)) }, dims);
}

/** The tensor in the engine's memory: itself if it is there, else a copy. */
export function placed<T extends DType>(engine: Engine, tensor: Tensor<T>): Tensor<T> {
  if (tensor.place) {
    if (tensor.place.engine !== engine)
      throw new ArgumentError('tensor: expected one of this engine, found one of another: use its clone()');
    return tensor;
  }
  const copy = place(engine, tensor.dtype, tensor.dims);
  engine.write(addressOf(copy), tensor.data);
  return copy;
}

/** Where a placed tensor is. */
export function addressOf(tensor: Tensor): Address {
  if (!tensor.place) throw new ArgumentError('tensor: expected one in engine memory, found one that owns its data');
  return tensor.place.address;
}

/** Copies a placed tensor to another place. */
export function copyTo(to: Float32, from: Float32): void {
  from.place?.engine.copy(addressOf(to), addressOf(from), from.bytes);
}

/** Runs `body` and releases what it allocated, all but its result, which moves to the front. */
export function keep(engine: Engine, body: () => Float32): Float32 {
  const made = engine.scope(body);
  const kept = place(engine, 'float32', made.dims);
  copyTo(kept, made); // what the scope released is there until something else is allocated; that the places may overlap is no matter
  return kept;
}

/** A tensor that owns its data, to be filled by {@link fetch}. */
export function owned(dims: readonly number[]): Float32 {
  return new Tensor('float32', new Float32Array(sizeOf(dims)), dims);
}

/** Copies a placed tensor into one that owns its data: `fetch(x.at(i), y.at(i))`. Within a recording, at each replay. */
export function fetch(from: Float32, to: Float32): void {
  from.place?.engine.read(from.place.address, to.data);
}

/**
 * Runs an operation where its operands are: on places it makes a place, on tensors that own their data (through the scratch engine) one
 * that owns its data.
 * @throws {DTypeError} unless all operands are float32
 */
export function operate<const Operands extends readonly (Tensor | undefined)[]>(
  name: string,
  operands: Operands,
  compute: (engine: Engine, operands: { [K in keyof Operands]: undefined extends Operands[K] ? Float32 | undefined : Float32 }) => Float32,
): Float32 {
  for (const tensor of operands) {
    if (tensor && tensor.dtype !== 'float32') {
      throw new DTypeError(`${name}: expected float32, found ${tensor.dtype}: convert it with to('float32')`);
    }
  }
  const engine = operands.find((tensor) => tensor?.place)?.place?.engine;
  const on = (e: Engine): Float32 => compute(e, operands.map((tensor) => tensor && placed(e, tensor)) as never);
  if (engine) return on(engine);
  const scratch = scratchEngine();
  return scratch.scope(() => on(scratch).clone());
}

/** Throws {@link ShapeError} unless `found` has the dimensions `expected`, in which -1 stands for any. */
export function checkDims(name: string, expected: readonly number[], found: readonly number[]): void {
  if (expected.length !== found.length || expected.some((d, i) => d !== -1 && d !== found[i])) {
    throw new ShapeError(`${name}: expected [${expected.map((d) => (d === -1 ? '*' : d)).join(', ')}], found [${found.join(', ')}]`);
  }
}
