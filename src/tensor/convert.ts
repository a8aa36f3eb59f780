import type { DType, TensorData } from './dtype.ts';
import { DTYPES } from './dtype.ts';

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);

/** The value of an IEEE 754 binary16 number given by its bits. */
export function float16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** The bits of the binary16 number nearest to a float32, ties to even; beyond 65504 infinity. */
export function numberToFloat16(x: number): number {
  value[0] = x;
  const word = bits[0] as number;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 rounds to infinity
  if (magnitude < 0x38800000) {
    // below the smallest normal number a half counts units of 2^-24
    const units = Math.abs(x) * 2 ** 24;
    const floor = Math.floor(units);
    const rest = units - floor;
    return sign | (floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0));
  }
  const rebased = magnitude - 0x38000000; // exponent bias 127 to 15
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

function numberToBfloat16(x: number): number {
  value[0] = x;
  const word = bits[0] as number;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

/** Elements of any dtype as float32. */
export function toFloat32(dtype: DType, data: TensorData): Float32Array<ArrayBuffer> {
  if (dtype === 'float32') return data as Float32Array<ArrayBuffer>;
  if (dtype === 'float16') return Float32Array.from(data as Uint16Array, float16ToNumber);
  if (dtype === 'bfloat16') {
    const words = Uint32Array.from(data as Uint16Array, (half) => half << 16);
    return new Float32Array(words.buffer);
  }
  return Float32Array.from(data as Int32Array, Number);
}

/** float32 elements as another dtype. */
export function fromFloat32(dtype: DType, data: Float32Array<ArrayBuffer>): TensorData {
  switch (dtype) {
    case 'float32':
      return data;
    case 'float16':
      return Uint16Array.from(data, numberToFloat16);
    case 'bfloat16':
      return Uint16Array.from(data, numberToBfloat16);
    case 'int64':
      return BigInt64Array.from(Array.from(data, (x) => (Number.isFinite(x) ? BigInt(Math.trunc(x)) : 0n)));
    case 'bool':
      return Uint8Array.from(data, (x) => (x === 0 ? 0 : 1));
    default:
      return DTYPES[dtype].from(data as unknown as number[]) as TensorData;
  }
}

/**
 * Elements as another dtype: to floats rounded to nearest even, from floats to integers truncated, between integers modulo the narrower
 * range.
 */
export function convert(from: DType, to: DType, data: TensorData): TensorData {
  if (isFloat(from) || isFloat(to)) return fromFloat32(to, toFloat32(from, data));
  const integers = data as Iterable<number | bigint>;
  if (to === 'bool') return Uint8Array.from(integers as Iterable<number>, (x) => (Number(x) === 0 ? 0 : 1));
  if (to === 'int64') return BigInt64Array.from(Array.from(integers, BigInt));
  return DTYPES[to].from(Array.from(integers, (x) => Number(BigInt.asIntN(32, BigInt(x)))));
}

function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';
}
