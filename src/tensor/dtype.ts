import { DTypeError } from '../errors.ts';

/** The element types, by the names transformers.js gives them. 16-bit floats are held as their bits. */
export const DTYPES = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

export type DType = keyof typeof DTYPES;
export type DataOf<T extends DType> = InstanceType<(typeof DTYPES)[T]>;
export type TensorData = DataOf<DType>;

/** Bytes of one element. */
export function bytesOf(dtype: DType): number {
  return DTYPES[dtype].BYTES_PER_ELEMENT;
}

/** Throws {@link DTypeError} unless `dtype` names an element type. */
export function checkDType(dtype: string): asserts dtype is DType {
  if (!Object.hasOwn(DTYPES, dtype)) {
    throw new DTypeError(`dtype: expected one of ${Object.keys(DTYPES).join(', ')}, found "${dtype}"`);
  }
}
