/**
 * f16_gemm(m, n, k, a, lda, w, c, ldc, activation, room, panels):   c (m, n) = activation(a (m, k) . w (k, n) + bias)
 * f16_gemm_add(m, n, k, a, lda, w, c, ldc, scale, room, panels):    c (m, n) += scale (n) * (a . w + bias)
 *
 * As f32_gemm, to the bit, on weights that stand in memory as 16-bit floats (f16_pack.ts). `panels` panels at a time are widened in room,
 * (k + 1) * 32 bytes each.
 */
import { Activation } from '../activation/f32_activation';
import { f16_widen } from './f16_pack';
import { gemm } from './f32_gemm';

export function f16_gemm(
  m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, activation: Activation, room: usize, panels: i32,
): void {
  each(m, n, k, a, lda, w, c, ldc, activation, 0, room, panels);
}

export function f16_gemm_add(
  m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, scale: usize, room: usize, panels: i32,
): void {
  each(m, n, k, a, lda, w, c, ldc, Activation.None, scale, room, panels);
}

function each(
  m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, activation: Activation, scale: usize, room: usize, panels: i32,
): void {
  const group = panels << 3;
  for (let j = 0; j < n; j += group, c += <usize>group << 2, scale += scale ? <usize>group << 2 : 0) {
    const columns = min(group, n - j);
    f16_widen((columns + 7) >> 3, k, w, room);
    w += <usize>panels * (32 + (<usize>k << 4));
    gemm(m, columns, k, a, lda, room, c, ldc, activation, scale);
  }
}
