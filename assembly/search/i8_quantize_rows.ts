/**
 * i8_quantize_rows(n, k, x, q, heads, errors): rows x (n, k) ~ scale * q, for i8_dot_rows: integers q (n, k) of -127 to 127, the nearest; heads (n), of
 * each row the scale (f32), its largest magnitude / 127, and the sum of the integers (i32); errors (n), the length of what is left, x - scale * q.
 *
 * A row whose scale would be below 2^-110 becomes zeros with the scale 0; one with a NaN or an infinity zeros with NaN as scale and error. An error
 * has at most (k / 4 + 8) roundings of itself and one of the length of the row; the square of what is below 2^-75 is nothing, above 2^64 infinite.
 */
import { magnitude, narrow } from '../gemm/i8_pack';
import { SMALLEST_SCALE } from '../quantize/i8_form';
import { loadTail, madd, sumLanes } from '../simd';

export function i8_quantize_rows(n: i32, k: i32, x: usize, q: usize, heads: usize, errors: usize): void {
  const tail = k & 3;
  for (; n > 0; n--, heads += 8, errors += 4) {
    const scale = magnitude(k, x) / 127;
    const known = scale >= SMALLEST_SCALE && scale < Infinity;
    const step = f32x4.splat(known ? scale : 0);
    const inverse = f32x4.splat(known ? <f32>1.0 / scale : 0);
    let sum = i32x4.splat(0);
    let square = f32x4.splat(0);
    for (let i = k >> 2; i > 0; i--, x += 16, q += 4) {
      const v = v128.load(x);
      const nearest = f32x4.nearest(f32x4.mul(v, inverse));
      const integers = i32x4.trunc_sat_f32x4_s(nearest);
      const left = f32x4.sub(v, f32x4.mul(nearest, step));
      sum = i32x4.add(sum, integers);
      square = madd(left, left, square);
      store<i32>(q, narrow(integers));
    }
    if (tail) {
      const v = loadTail(x, tail);
      const nearest = f32x4.nearest(f32x4.mul(v, inverse));
      const integers = i32x4.trunc_sat_f32x4_s(nearest);
      const left = f32x4.sub(v, f32x4.mul(nearest, step));
      sum = i32x4.add(sum, integers);
      square = madd(left, left, square);
      for (let i = tail, last = narrow(integers); i > 0; i--, last >>= 8, x += 4, q++) store<i8>(q, last);
    }
    store<f32>(heads, known || scale < SMALLEST_SCALE ? f32x4.extract_lane(step, 0) : NaN);
    store<i32>(heads, i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3), 4);
    store<f32>(errors, sqrt(sumLanes(square)));
  }
}
