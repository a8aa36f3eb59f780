/**
 * f32_resample(outer, size, to, inner, taps, x, indices, weights, y): resampling along one axis, y[o, j, :] = sum over t of weights[j, t] * x[o, indices[j, t], :]
 * x (outer, size, inner), y (outer, to, inner), indices (to, taps) int32 and weights (to, taps) float32. Two calls make a bilinear or bicubic
 * resampling; which filter, which edges and which corners is all in the tables (src/tensor/resample.ts). Summed in the order of the taps.
 */
import { loadTail, madd, storeTail } from '../simd';

export function f32_resample(outer: i32, size: i32, to: i32, inner: i32, taps: i32, x: usize, indices: usize, weights: usize, y: usize): void {
  const bytes = <usize>inner << 2;
  const whole = (<usize>inner & ~3) << 2;
  const tail = inner & 3;
  for (let o = 0; o < outer; o++, x += <usize>size * bytes) {
    for (let j = 0; j < to; j++, y += bytes) {
      const table = <usize>(j * taps) << 2;
      for (let i: usize = 0; i < bytes; i += 16) {
        let sum = f32x4.splat(0);
        for (let t: usize = 0; t < <usize>taps << 2; t += 4) {
          const p = x + <usize>load<i32>(indices + table + t) * bytes + i;
          sum = madd(v128.load32_splat(weights + table + t), i < whole ? v128.load(p) : loadTail(p, tail), sum);
        }
        if (i < whole) v128.store(y + i, sum);
        else storeTail(y + i, sum, tail);
      }
    }
  }
}
