/**
 * f32_resample(outer, size, to, inner, taps, x, indices, weights, y): resampling along one axis,
 *   y[o, j, :] = sum over t of weights[j, t] * x[o, indices[j, t], :], in the order of the taps
 *
 * x (outer, size, inner), y (outer, to, inner), indices (to, taps) int32 and weights (to, taps) float32. Two calls make a bilinear or
 * bicubic resampling; which filter, which edges and which corners is all in the tables (src/tensor/resample.ts).
 */
import { loadTail, madd, storeTail } from '../simd';

export function f32_resample(
  outer: i32, size: i32, to: i32, inner: i32, taps: i32, x: usize, indices: usize, weights: usize, y: usize,
): void {
  const bytes = <usize>inner << 2;
  const blocks = bytes & ~63;
  const whole = bytes & ~15;
  const tail = inner & 3;
  for (let o = 0; o < outer; o++, x += <usize>size * bytes) {
    for (let j = 0; j < to; j++, y += bytes) {
      const index = indices + (<usize>(j * taps) << 2);
      const weight = weights + (<usize>(j * taps) << 2);
      let i: usize = 0;
      for (; i < blocks; i += 64) {
        let sum0 = f32x4.splat(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
        for (let t: usize = 0; t < <usize>taps << 2; t += 4) {
          const p = x + <usize>load<i32>(index + t) * bytes + i;
          const w = v128.load32_splat(weight + t);
          sum0 = madd(w, v128.load(p), sum0);
          sum1 = madd(w, v128.load(p, 16), sum1);
          sum2 = madd(w, v128.load(p, 32), sum2);
          sum3 = madd(w, v128.load(p, 48), sum3);
        }
        v128.store(y + i, sum0);
        v128.store(y + i, sum1, 16);
        v128.store(y + i, sum2, 32);
        v128.store(y + i, sum3, 48);
      }
      for (; i < bytes; i += 16) {
        let sum = f32x4.splat(0);
        for (let t: usize = 0; t < <usize>taps << 2; t += 4) {
          const p = x + <usize>load<i32>(index + t) * bytes + i;
          sum = madd(v128.load32_splat(weight + t), i < whole ? v128.load(p) : loadTail(p, tail), sum);
        }
        if (i < whole) v128.store(y + i, sum);
        else storeTail(y + i, sum, tail);
      }
    }
  }
}
