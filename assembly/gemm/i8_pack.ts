/**
 * The packed form of a right-hand matrix of 8-bit integers, k rows and n columns, as i8_gemm reads it: panels of 8 columns, ceil(n / 8) of them,
 * each 8 scales, 8 biases, the 8 sums of its columns (i32), then ceil(k / 4) times 8 columns of 4 integers. What is beyond n or k is 0. The value
 * of an integer is scale * q. Size: ceil(n / 8) * (96 + ceil(k / 4) * 32) bytes.
 */

import { SMALLEST_SCALE } from '../quantize/i8_form';

/**
 * i8_pack(n, k, q, scales, bias, target): from a matrix (n, k) given by columns, as nn.Linear keeps its weight; scales (n), bias (n) or 0 for
 * none.
 */
export function i8_pack(n: i32, k: i32, q: usize, scales: usize, bias: usize, target: usize): void {
  for (let j = 0; j < n; j += 8, q += <usize>k << 3) {
    const columns = min(8, n - j);
    memory.fill(target, 0, 96);
    for (let column: usize = 0; column < <usize>columns; column++) {
      const at = column << 2;
      const row = q + column * <usize>k;
      store<f32>(target + at, load<f32>(scales + (<usize>j << 2) + at));
      if (bias) store<f32>(target + at, load<f32>(bias + (<usize>j << 2) + at), 32);
      let sum: i32 = 0;
      for (let i = 0; i < k; i++) sum += <i32>load<i8>(row + i);
      store<i32>(target + at, sum, 64);
    }
    target += 96;
    for (let i = 0; i < k; i += 4, target += 32) {
      v128.store(target, i32x4.splat(0));
      v128.store(target, i32x4.splat(0), 16);
      for (let column: usize = 0; column < <usize>columns; column++) {
        const from = q + column * <usize>k + i;
        if (k - i >= 4) store<i32>(target + (column << 2), load<i32>(from));
        else memory.copy(target + (column << 2), from, k - i);
      }
    }
  }
}

/** i8_unpack(n, k, source, q, scales, bias): the inverse of i8_pack, q (n, k), scales (n), bias (n). */
export function i8_unpack(n: i32, k: i32, source: usize, q: usize, scales: usize, bias: usize): void {
  const panel = panelBytes(k);
  for (let j: usize = 0; j < <usize>n; j++) {
    const head = source + (j >> 3) * panel + ((j & 7) << 2);
    store<f32>(scales + (j << 2), load<f32>(head));
    store<f32>(bias + (j << 2), load<f32>(head, 32));
    for (let i: usize = 0; i < <usize>k; i++, q++) store<i8>(q, load<i8>(head + 96 + ((i >> 2) << 5) + (i & 3)));
  }
}

/**
 * i8_quantize_weights(n, k, x, multiplier, q, scales): x (n, k) times multiplier (k; 0 for none) ~ scales (n) * q (n, k), the scale of a row being
 * its largest magnitude / 127, q its nearest integers: |x - scale q| <= 0.5001 scale. A row whose scale would be below 2^-110, as one of zeros, becomes
 * zeros with the scale 1, so that no scale is 0; one with a NaN or an infinity has the scale NaN.
 */
export function i8_quantize_weights(n: i32, k: i32, x: usize, multiplier: usize, q: usize, scales: usize): void {
  for (let j = 0; j < n; j++, x += <usize>k << 2, q += k, scales += 4) {
    let largest: f32 = 0;
    for (let i: usize = 0; i < <usize>k; i++) largest = max(largest, abs(at(x, multiplier, i))); // keeps NaN
    const scale = largest / 127;
    const known = scale >= SMALLEST_SCALE && scale < Infinity;
    const inverse: f32 = known ? <f32>1.0 / scale : 0;
    for (let i: usize = 0; i < <usize>k; i++) {
      store<i8>(q + i, known ? <i8>max<f32>(-127, min<f32>(127, nearest(at(x, multiplier, i) * inverse))) : 0);
    }
    store<f32>(scales, known ? scale : scale < SMALLEST_SCALE ? 1 : NaN);
  }
}

// @ts-ignore: decorator
@inline
function at(x: usize, multiplier: usize, i: usize): f32 {
  const value = load<f32>(x + (i << 2));
  return multiplier ? value * load<f32>(multiplier + (i << 2)) : value;
}

/** Bytes of a panel. */
// @ts-ignore: decorator
@inline
export function panelBytes(k: i32): usize {
  return 96 + (<usize>((k + 3) >> 2) << 5);
}
