/**
 * What the kernels share: multiply-add, horizontal sums, tails. The one place where the two builds differ:
 * the relaxed build fuses multiply and add where the machine can, the other rounds in between.
 */

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Sum of the four lanes, as (0 + 2) + (1 + 3). */
// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f32 {
  const pairs = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Largest of the four lanes; NaN if one is NaN. */
// @ts-ignore: decorator
@inline
export function maxLanes(x: v128): f32 {
  const pairs = f32x4.max(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.max(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2)), 0);
}

/** The integers nearest to x * factor, of magnitudes below 2^22, ties to even: added to 1.5 2^23 they stand in its lowest bits. Others have no meaning. */
// @ts-ignore: decorator
@inline
export function nearestIntegers(x: v128, factor: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, factor), f32x4.splat(12582912)), i32x4.splat(0x4b400000));
}

/** The first `count` (1 to 3) floats at `p`, the other lanes zero. Reads nothing behind them. */
export function loadTail(p: usize, count: i32): v128 {
  let x = v128.load32_zero(p);
  if (count > 1) x = v128.load_lane<f32>(p, x, 1, 4);
  if (count > 2) x = v128.load_lane<f32>(p, x, 2, 8);
  return x;
}

/** Stores the first `count` (1 to 3) lanes. */
export function storeTail(p: usize, x: v128, count: i32): void {
  v128.store_lane<f32>(p, x, 0);
  if (count > 1) v128.store_lane<f32>(p, x, 1, 4);
  if (count > 2) v128.store_lane<f32>(p, x, 2, 8);
}
