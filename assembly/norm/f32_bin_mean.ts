/**
 * f32_bin_mean(rows, columns, x, values, y): y (rows) = the mean of `values` (columns) under the weights max(x, 0) + 0.1 of each row of x
 * (rows, columns). The two sums are of four parts each, added up in the order of the columns: relative error below columns / 4 * 2^-24 for
 * values from 0. 0.1 is that of AdaBins (Bhat et al. 2021) and of facebookresearch/dinov2, hub/depth/decode_heads.py, `depth_pred`.
 */
import { madd, sumLanes } from '../simd';

const LEAST: f32 = 0.1;

export function f32_bin_mean(rows: i32, columns: i32, x: usize, values: usize, y: usize): void {
  const bytes = <usize>columns << 2;
  const whole = (<usize>columns & ~3) << 2;
  const zero = f32x4.splat(0);
  const least = f32x4.splat(LEAST);
  for (let row = 0; row < rows; row++, x += bytes, y += 4) {
    let weights = zero;
    let sums = zero;
    for (let i: usize = 0; i < whole; i += 16) {
      const weight = f32x4.add(f32x4.max(v128.load(x + i), zero), least);
      weights = f32x4.add(weights, weight);
      sums = madd(weight, v128.load(values + i), sums);
    }
    let weight = sumLanes(weights);
    let sum = sumLanes(sums);
    for (let i = whole; i < bytes; i += 4) {
      const last = max<f32>(load<f32>(x + i), 0) + LEAST;
      weight += last;
      sum += last * load<f32>(values + i);
    }
    store<f32>(y, sum / weight + (weight - weight)); // NaN where the weights are too large for their sum, which would make 0 of any mean
  }
}
