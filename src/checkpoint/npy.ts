import { DTypeError, ShapeError } from '../errors.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Tensor } from '../tensor/tensor.ts';

const DESCR: Readonly<Partial<Record<DType, string>>> = {
  float32: '<f4',
  float16: '<f2',
  int64: '<i8',
  int32: '<i4',
  int8: '|i1',
  uint8: '|u1',
  bool: '|b1',
};

/** numpy's NPY_MAXDIMS. */
const MAX_DIMS = 64;
/** Digits for which numpy leaves room, so that the first dimension can grow in place. */
const GROWTH_DIGITS = 21;

/**
 * A tensor as a .npy file, version 1.0, byte for byte as numpy.save writes it (numpy/lib/format.py).
 * @throws {DTypeError} on bfloat16, which numpy does not have
 * @throws {ShapeError} beyond 64 dimensions
 */
export function encodeNpy({ dtype, dims, data }: Tensor): Uint8Array {
  const header = npyHeader({ dtype, dims });
  const file = new Uint8Array(header.length + data.byteLength);
  file.set(header);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return file;
}

/** What stands before the elements of a .npy file, which are in the order of their indices, little-endian. @throws as {@link encodeNpy} */
export function npyHeader({ dtype, dims }: Pick<Tensor, 'dtype' | 'dims'>): Uint8Array {
  const descr = DESCR[dtype];
  if (!descr)
    throw new DTypeError(
      `npy: expected an element type of numpy, ${Object.keys(DESCR).join(', ')}, found ${dtype}: convert with .to('float32')`,
    );
  if (dims.length > MAX_DIMS) throw new ShapeError(`npy: expected at most ${MAX_DIMS} dimensions, found ${dims.length}`);

  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(', ');
  const growth = dims.length > 0 ? GROWTH_DIGITS - String(dims[0]).length : 0;
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }${' '.repeat(growth)}`;
  const length = (Math.floor((10 + header.length + 1) / 64) + 1) * 64 - 10; // so that the data start at a multiple of 64
  const file = new Uint8Array(10 + length);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]); // "\x93NUMPY", version 1.0
  file.set(new TextEncoder().encode(`${header.padEnd(length - 1)}\n`), 10);
  return file;
}
