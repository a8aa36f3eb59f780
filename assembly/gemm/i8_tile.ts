/**
 * i8_pairs_tile(m, columns, k, heads, a, w, panel, c, ldc, scale)
 * i8_bytes_tile(m, columns, k, heads, a, panel, c, ldc, scale)
 *   one panel of an integer product: c (m, columns <= 8) = a . w + bias, or with a scale (columns) c += scale * (a . w + bias)
 *
 * a: quantised rows, heads their scales and zero points (i8_form.ts); panel: packed weights (i8_pack.ts); w: the panel's integers widened to 16
 * bits by `widen`. The sums are exact integers while k * 255 * 127 < 2^31, that is k < 66311; they become floats once, at the end.
 *
 * A block of rows is computed whole even where m leaves some of it unused.
 */
import { BYTES_ROWS, PAIRS_ROWS } from '../quantize/i8_form';
import { madd } from '../simd';
import { putRow } from './f32_tile';

/** The integers of a panel as pairs of 16 bits: [k / 2][8 columns][2]. */
export function widen(k: i32, panel: usize, w: usize): void {
  panel += 96;
  for (const end = panel + (<usize>((k + 3) >> 2) << 5); panel < end; panel += 32, w += 64) {
    const left = v128.load(panel);
    const right = v128.load(panel, 16);
    // 4 columns of 4: their first two, then their last two
    const l = i8x16.shuffle(left, left, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    const r = i8x16.shuffle(right, right, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    v128.store(w, i16x8.extend_low_i8x16_s(l));
    v128.store(w, i16x8.extend_low_i8x16_s(r), 16);
    v128.store(w, i16x8.extend_high_i8x16_s(l), 32);
    v128.store(w, i16x8.extend_high_i8x16_s(r), 48);
  }
}

export function i8_pairs_tile(m: i32, columns: i32, k: i32, heads: usize, a: usize, w: usize, panel: usize, c: usize, ldc: i32, scale: usize): void {
  const cs = <usize>ldc << 2;
  const bytes = <usize>((k + 3) & ~3) * (PAIRS_ROWS << 1);
  for (; m > 0; m -= PAIRS_ROWS, heads += PAIRS_ROWS << 3, a += bytes, c += cs * PAIRS_ROWS) {
    const zero = i32x4.splat(0);
    let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero, c40 = zero, c41 = zero;
    let from = a;
    let weights = w;
    for (const end = a + bytes; from < end; from += PAIRS_ROWS << 2, weights += 32) {
      const w0 = v128.load(weights);
      const w1 = v128.load(weights, 16);
      let x = v128.load32_splat(from);
      c00 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c00);
      c01 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c01);
      x = v128.load32_splat(from, 4);
      c10 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c10);
      c11 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c11);
      x = v128.load32_splat(from, 8);
      c20 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c20);
      c21 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c21);
      x = v128.load32_splat(from, 12);
      c30 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c30);
      c31 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c31);
      x = v128.load32_splat(from, 16);
      c40 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c40);
      c41 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c41);
    }
    put(columns, heads, panel, c, c00, c01, scale);
    if (m > 1) put(columns, heads + 8, panel, c + cs, c10, c11, scale);
    if (m > 2) put(columns, heads + 16, panel, c + 2 * cs, c20, c21, scale);
    if (m > 3) put(columns, heads + 24, panel, c + 3 * cs, c30, c31, scale);
    if (m > 4) put(columns, heads + 32, panel, c + 4 * cs, c40, c41, scale);
  }
}

/** Of the relaxed build only. */
export function i8_bytes_tile(m: i32, columns: i32, k: i32, heads: usize, a: usize, panel: usize, c: usize, ldc: i32, scale: usize): void {
  if (!ASC_FEATURE_RELAXED_SIMD) unreachable();
  const cs = <usize>ldc << 2;
  const bytes = <usize>((k + 3) & ~3) * BYTES_ROWS;
  for (; m > 0; m -= BYTES_ROWS, heads += BYTES_ROWS << 3, a += bytes, c += cs * BYTES_ROWS) {
    const zero = i32x4.splat(0);
    let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero, c40 = zero, c41 = zero, c50 = zero, c51 = zero;
    let from = a;
    let weights = panel + 96;
    for (const end = a + bytes; from < end; from += BYTES_ROWS << 2, weights += 32) {
      const w0 = v128.load(weights);
      const w1 = v128.load(weights, 16);
      let x = v128.load32_splat(from);
      c00 = dot(w0, x, c00);
      c01 = dot(w1, x, c01);
      x = v128.load32_splat(from, 4);
      c10 = dot(w0, x, c10);
      c11 = dot(w1, x, c11);
      x = v128.load32_splat(from, 8);
      c20 = dot(w0, x, c20);
      c21 = dot(w1, x, c21);
      x = v128.load32_splat(from, 12);
      c30 = dot(w0, x, c30);
      c31 = dot(w1, x, c31);
      x = v128.load32_splat(from, 16);
      c40 = dot(w0, x, c40);
      c41 = dot(w1, x, c41);
      x = v128.load32_splat(from, 20);
      c50 = dot(w0, x, c50);
      c51 = dot(w1, x, c51);
    }
    put(columns, heads, panel, c, c00, c01, scale);
    if (m > 1) put(columns, heads + 8, panel, c + cs, c10, c11, scale);
    if (m > 2) put(columns, heads + 16, panel, c + 2 * cs, c20, c21, scale);
    if (m > 3) put(columns, heads + 24, panel, c + 3 * cs, c30, c31, scale);
    if (m > 4) put(columns, heads + 32, panel, c + 4 * cs, c40, c41, scale);
    if (m > 5) put(columns, heads + 40, panel, c + 5 * cs, c50, c51, scale);
  }
}

/** The sums of four products each, added to c: weights signed, inputs as this host takes them. */
// @ts-ignore: decorator
@inline
function dot(w: v128, x: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, c);
  return c;
}

/** One row of a tile to memory: (sum - zero * sum of the column) * scale of the row * scale of the column + bias. */
// @ts-ignore: decorator
@inline
function put(columns: i32, head: usize, panel: usize, c: usize, sum0: v128, sum1: v128, scale: usize): void {
  const rowScale = v128.load32_splat(head);
  const zero = v128.load32_splat(head, 4);
  sum0 = i32x4.sub(sum0, i32x4.mul(zero, v128.load(panel, 64)));
  sum1 = i32x4.sub(sum1, i32x4.mul(zero, v128.load(panel, 80)));
  const x0 = madd(f32x4.mul(f32x4.convert_i32x4_s(sum0), rowScale), v128.load(panel), v128.load(panel, 32));
  const x1 = madd(f32x4.mul(f32x4.convert_i32x4_s(sum1), rowScale), v128.load(panel, 16), v128.load(panel, 48));
  putRow(columns, c, x0, x1, scale);
}
