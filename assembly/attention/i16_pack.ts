/**
 * The packed form of a matrix of 16-bit integers with one scale, as i16_attention reads its keys and values: 16 bytes of which the first 4 are the
 * scale (f32), then panels of 8 columns, ceil(n / 8) of them, each ceil(k / 2) times 8 columns of 2 integers. What is beyond n or k is 0. Size:
 * 16 + ceil(n / 8) * ceil(k / 2) * 32 bytes.
 *
 * i16_pack(n, k, source, stride, most, target):      from a matrix given by columns, column j the k numbers at source + j * stride (in elements)
 * i16_pack_rows(n, k, source, stride, most, target): from a matrix given by rows, row i the n numbers at source + i * stride
 *
 * scale = largest magnitude / most, integers = round(number / scale), ties to even; with a NaN or an infinity among the numbers the scale is NaN,
 * and zeros have the scale 0.
 */
import { loadTail } from '../simd';

export function i16_pack(n: i32, k: i32, source: usize, stride: i32, most: i32, target: usize): void {
  const inverse = begin(n, k, source, stride, most, target);
  target += 16;
  const row = <usize>stride << 2;
  const steps = (k + 1) >> 1;
  memory.fill(target, 0, (<usize>((n + 7) >> 3) * <usize>steps) << 5);
  for (let j = 0; j < n; j++, source += row) {
    let to = target + ((<usize>(j >> 3) * <usize>steps) << 5) + (<usize>(j & 7) << 2);
    for (let i = 0; i < k; i += 4, to += 64) {
      const pairs = integers(i + 4 <= k ? v128.load(source + (<usize>i << 2)) : loadTail(source + (<usize>i << 2), k - i), inverse);
      v128.store_lane<i32>(to, pairs, 0);
      if (i + 2 < k) v128.store_lane<i32>(to, pairs, 1, 32);
    }
  }
}

export function i16_pack_rows(n: i32, k: i32, source: usize, stride: i32, most: i32, target: usize): void {
  const inverse = begin(k, n, source, stride, most, target);
  target += 16;
  const row = <usize>stride << 2;
  const panel = <usize>((k + 1) >> 1) << 5;
  for (let i = 0; i < k; i += 2, source += 2 * row, target += 32) {
    for (let j = 0, to = target; j < n; j += 8, to += panel) {
      const at = source + (<usize>j << 2);
      v128.store(to, rowPair(min(4, n - j), at, i + 1 < k ? at + row : 0, inverse));
      v128.store(to, n - j > 4 ? rowPair(min(4, n - j - 4), at + 16, i + 1 < k ? at + row + 16 : 0, inverse) : i32x4.splat(0), 16);
    }
  }
}

/** Four columns of two rows, the second of which may be missing. */
// @ts-ignore: decorator
@inline
function rowPair(columns: i32, first: usize, second: usize, inverse: v128): v128 {
  const a = integers(columns == 4 ? v128.load(first) : loadTail(first, columns), inverse);
  const b = second ? integers(columns == 4 ? v128.load(second) : loadTail(second, columns), inverse) : i32x4.splat(0);
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

const ROUND: f32 = 12582912; // 1.5 2^23: added to a small number, it leaves its nearest integer in the lowest bits

/** Four numbers as 16-bit integers, in the lower half and again in the upper. */
// @ts-ignore: decorator
@inline
export function integers(x: v128, inverse: v128): v128 {
  const words = i32x4.sub(f32x4.add(f32x4.mul(x, inverse), f32x4.splat(ROUND)), i32x4.splat(0x4b400000));
  return i16x8.narrow_i32x4_s(words, words);
}

/** The largest magnitude of a row, as bits: NaN above infinity above all numbers. */
export function largestBits(count: i32, x: usize): i32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let largest = i32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) largest = i32x4.max_s(largest, v128.and(v128.load(x + (<usize>i << 2)), magnitude));
  if (i < count) largest = i32x4.max_s(largest, v128.and(loadTail(x + (<usize>i << 2), count - i), magnitude));
  largest = i32x4.max_s(largest, v128.shuffle<i32>(largest, largest, 2, 3, 0, 1));
  return max(i32x4.extract_lane(largest, 0), i32x4.extract_lane(largest, 1));
}

/** The scale for a largest magnitude: NaN where it is no number, 0 where it is too small to have one. */
export function scaleOf(largest: i32, most: i32): f32 {
  if (largest >= 0x7f800000) return NaN;
  const scale = reinterpret<f32>(largest) / <f32>most;
  return scale < 7.703719777548943e-34 ? 0 : scale; // 2^-110
}

/** Writes the scale of a matrix that has rows of so many columns in memory; returns one over it, 0 where there is none. */
function begin(rows: i32, columns: i32, source: usize, stride: i32, most: i32, target: usize): v128 {
  let largest: i32 = 0;
  for (let i: usize = 0; i < <usize>rows; i++) largest = max(largest, largestBits(columns, source + ((i * <usize>stride) << 2)));
  const scale = scaleOf(largest, most);
  store<f32>(target, scale);
  return f32x4.splat(scale > 0 ? <f32>1.0 / scale : 0);
}
