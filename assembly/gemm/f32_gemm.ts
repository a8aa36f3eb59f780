/**
 * f32_gemm(m, n, k, a, lda, w, c, ldc, activation):   c (m, n) = activation(a (m, k) . w (k, n) + bias)
 * f32_gemm_add(m, n, k, a, lda, w, c, ldc, scale):    c (m, n) += scale (n) * (a . w + bias), layer scale and residual in one
 *
 * a and c are row-major with rows lda and ldc elements apart; w and its bias are packed (pack.ts).
 *
 * Each element is summed over k in ascending order starting at the bias, in float32, whatever the tile it falls into: a row's result does
 * not depend on the other rows, so that batches and threads may cut the rows, and the panels, as they like.
 */
import { Activation, f32_activation } from '../activation/f32_activation';
import { f32_tile } from './f32_tile';

/**
 * Rows that one pass over the panels is for, a multiple of the tile rows of both builds: a picture of 257 tokens in one. Fewer would fit a second-level
 * cache, but weights, which come from further away, would be read more often.
 */
const BLOCK_ROWS: i32 = 264;

export function f32_gemm(m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, activation: Activation): void {
  gemm(m, n, k, a, lda, w, c, ldc, activation, 0);
}

export function f32_gemm_add(m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, scale: usize): void {
  gemm(m, n, k, a, lda, w, c, ldc, Activation.None, scale);
}

export function gemm(m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, activation: Activation, scale: usize): void {
  const panel = (<usize>k + 1) << 5;
  for (let i = 0; i < m; i += BLOCK_ROWS) {
    const rows = min(BLOCK_ROWS, m - i);
    const ai = a + ((<usize>i * <usize>lda) << 2);
    const ci = c + ((<usize>i * <usize>ldc) << 2);
    for (let j = 0, p = w; j < n; j += 8, p += panel) {
      const at = <usize>j << 2;
      f32_tile(rows, min(8, n - j), k, ai, lda, p, ci + at, ldc, scale ? scale + at : 0);
    }
    if (activation != Activation.None) {
      for (let row = 0; row < rows; row++) {
        const r = ci + ((<usize>row * <usize>ldc) << 2);
        f32_activation(n, activation, r, r);
      }
    }
  }
}
