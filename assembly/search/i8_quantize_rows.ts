/**
 * i8_quantize_rows(n, k, x, q, heads): rows x (n, k) ~ scale * (q - 63), for i8_dot_rows: q (n, k padded with zeros to a multiple of 32), integers of 0
 * to 126, the nearest; heads (n), of each row the scale, its largest magnitude / 63, and the error, the length of what is left, rounded up: at least
 * that but for two roundings of the length of the row.
 *
 * A row whose scale would be below 2^-110 becomes zeros with the scale 0; one with a NaN or an infinity zeros with NaN as scale and error. The square of
 * what is below 2^-75 is nothing, above 2^64 infinite.
 */
import { magnitude, narrow } from '../gemm/i8_pack';
import { SMALLEST_SCALE } from '../quantize/i8_form';
import { loadTail, madd, sumLanes } from '../simd';

/** What stands for 0. Integers of seven bits have no sign, which relaxed SIMD asks for. */
// @ts-ignore: decorator
@inline
export const BIAS: i32 = 63;

const UNIT: f32 = 5.9604644775390625e-8; // 2^-24

export function i8_quantize_rows(n: i32, k: i32, x: usize, q: usize, heads: usize): void {
  const tail = k & 3;
  const padding = -k & 31;
  for (; n > 0; n--, heads += 8) {
    const scale = magnitude(k, x) / <f32>BIAS;
    const known = scale >= SMALLEST_SCALE && scale < Infinity;
    const step = f32x4.splat(known ? scale : 0);
    const inverse = f32x4.splat(known ? <f32>1.0 / scale : 0);
    let square = f32x4.splat(0);
    for (let i = k >> 2; i > 0; i--, x += 16, q += 4) {
      const v = v128.load(x);
      const nearest = f32x4.nearest(f32x4.mul(v, inverse));
      const left = f32x4.sub(v, f32x4.mul(nearest, step));
      square = madd(left, left, square);
      store<i32>(q, biased(nearest));
    }
    if (tail) {
      const v = loadTail(x, tail);
      const nearest = f32x4.nearest(f32x4.mul(v, inverse));
      const left = f32x4.sub(v, f32x4.mul(nearest, step));
      square = madd(left, left, square);
      for (let i = tail, last = biased(nearest); i > 0; i--, last >>= 8, x += 4, q++) store<i8>(q, last);
    }
    memory.fill(q, 0, padding);
    q += padding;
    store<f32>(heads, known || scale < SMALLEST_SCALE ? f32x4.extract_lane(step, 0) : NaN);
    store<f32>(heads, sqrt(sumLanes(square)) * (1 + <f32>(k + 8) * UNIT), 4);
  }
}

// @ts-ignore: decorator
@inline
function biased(nearest: v128): i32 {
  return narrow(i32x4.add(i32x4.trunc_sat_f32x4_s(nearest), i32x4.splat(BIAS)));
}
