/**
 * i8_pairs_tile(m, columns, k, heads, a, w, panel, c, ldc, scale, sums)
 * i8_bytes_tile(m, columns, k, heads, a, panel, c, ldc, scale, sums)
 * i8_halves_tile(m, columns, k, heads, a, panel, c, ldc, scale, sums)
 *   one panel of an integer product: c (m, columns <= 8) = a . w + bias, or with a scale (columns) c += scale * (a . w + bias)
 *
 * a: quantised rows, heads their scales and zero points (i8_form.ts); panel: packed weights (i8_pack.ts); w: the panel's integers widened to 16
 * bits by `widen`. sums: where the floats of a block of rows grow, 8 a row. The sums of a group are exact integers, and exact as floats; the groups
 * are added in their order.
 *
 * A block of rows is computed whole even where m leaves some of it unused.
 */
import { BYTES_ROWS, GROUP, HALVES_ROWS, PAIRS_ROWS, runOf } from '../quantize/i8_form';
import { madd } from '../simd';
import { putRow } from './f32_tile';

/** The integers of a panel, of k rows and `width` (i8_pack.ts), as pairs of 16 bits: [k / 2][8 columns][2], every run padded to whole fours. */
export function widen(k: i32, width: i32, panel: usize, w: usize): void {
  panel += 32;
  for (let first = 0; first < k;) {
    const count = runOf(first, width);
    first += count;
    panel += 64;
    for (const end = panel + (<usize>((count + 3) >> 2) << 5); panel < end; panel += 32, w += 64) {
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
}

export function i8_pairs_tile(
  m: i32, columns: i32, k: i32, heads: usize, a: usize, w: usize, panel: usize, c: usize, ldc: i32, scale: usize, sums: usize,
): void {
  const cs = <usize>ldc << 2;
  for (; m > 0; m -= PAIRS_ROWS) {
    const direct = m >= PAIRS_ROWS && columns == 8 && !scale;
    let from = panel; // the biases, for every row
    let fromStep: usize = 0;
    let weights = w;
    let head = panel + 32;
    for (let left = k; left > 0; left -= GROUP) {
      const count = <usize>(min(left, GROUP) + 3) & ~3;
      const zero = i32x4.splat(0);
      let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
      for (const end = a + count * (PAIRS_ROWS << 1); a < end; a += PAIRS_ROWS << 2, weights += 32) {
        const w0 = v128.load(weights);
        const w1 = v128.load(weights, 16);
        let x = v128.load32_splat(a);
        c00 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c00);
        c01 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c01);
        x = v128.load32_splat(a, 4);
        c10 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c10);
        c11 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c11);
        x = v128.load32_splat(a, 8);
        c20 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c20);
        c21 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c21);
        x = v128.load32_splat(a, 12);
        c30 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c30);
        c31 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c31);
      }
      const s0 = v128.load(head);
      const s1 = v128.load(head, 16);
      const toStep: usize = direct && left <= GROUP ? cs : 32;
      const to = direct && left <= GROUP ? c : sums;
      gather(heads, s0, s1, from, to, c00, c01);
      gather(heads + 8, s0, s1, from + fromStep, to + toStep, c10, c11);
      gather(heads + 16, s0, s1, from + 2 * fromStep, to + 2 * toStep, c20, c21);
      gather(heads + 24, s0, s1, from + 3 * fromStep, to + 3 * toStep, c30, c31);
      from = sums;
      fromStep = 32;
      heads += PAIRS_ROWS << 3;
      head += 64 + (count << 3);
    }
    if (!direct || k == 0) finish(min(m, PAIRS_ROWS), columns, from, fromStep, c, cs, scale);
    c += cs * PAIRS_ROWS;
  }
}

/** Of the relaxed build only. */
export function i8_bytes_tile(
  m: i32, columns: i32, k: i32, heads: usize, a: usize, panel: usize, c: usize, ldc: i32, scale: usize, sums: usize,
): void {
  bytesTile(false, m, columns, k, heads, a, panel, c, ldc, scale, sums);
}

/** Of the relaxed build only. */
export function i8_halves_tile(
  m: i32, columns: i32, k: i32, heads: usize, a: usize, panel: usize, c: usize, ldc: i32, scale: usize, sums: usize,
): void {
  bytesTile(true, m, columns, k, heads, a, panel, c, ldc, scale, sums);
}

/** Six rows of bytes, or the upper and lower halves of three. */
// @ts-ignore: decorator
@inline
function bytesTile(
  halves: bool, m: i32, columns: i32, k: i32, heads: usize, a: usize, panel: usize, c: usize, ldc: i32, scale: usize, sums: usize,
): void {
  if (!ASC_FEATURE_RELAXED_SIMD) unreachable();
  const cs = <usize>ldc << 2;
  const rows = halves ? HALVES_ROWS : BYTES_ROWS;
  let w0: v128, w1: v128;
  for (; m > 0; m -= rows) {
    const direct = m >= rows && columns == 8 && !scale;
    let from = panel; // the biases, for every row
    let fromStep: usize = 0;
    let head = panel + 32;
    for (let left = k; left > 0; left -= GROUP) {
      const count = <usize>(min(left, GROUP) + 3) & ~3;
      let x = i32x4.splat(0);
      let c00 = x, c01 = x, c10 = x, c11 = x, c20 = x, c21 = x, c30 = x, c31 = x, c40 = x, c41 = x, c50 = x, c51 = x;
      if (!halves) {
        const z0 = v128.load(head, 32);
        const z1 = v128.load(head, 48);
        x = v128.load32_splat(heads, 4);
        c00 = i32x4.mul(x, z0);
        c01 = i32x4.mul(x, z1);
        x = v128.load32_splat(heads, 12);
        c10 = i32x4.mul(x, z0);
        c11 = i32x4.mul(x, z1);
        x = v128.load32_splat(heads, 20);
        c20 = i32x4.mul(x, z0);
        c21 = i32x4.mul(x, z1);
        x = v128.load32_splat(heads, 28);
        c30 = i32x4.mul(x, z0);
        c31 = i32x4.mul(x, z1);
        x = v128.load32_splat(heads, 36);
        c40 = i32x4.mul(x, z0);
        c41 = i32x4.mul(x, z1);
        x = v128.load32_splat(heads, 44);
        c50 = i32x4.mul(x, z0);
        c51 = i32x4.mul(x, z1);
      }
      let weights = head + 64;
      const end = a + count * BYTES_ROWS;
      const step: usize = BYTES_ROWS << 2;
      for (; a + step < end; a += 2 * step, weights += 64) {
        w0 = v128.load(weights);
        w1 = v128.load(weights, 16);
        x = v128.load32_splat(a);
        c00 = dot(w0, x, c00);
        c01 = dot(w1, x, c01);
        x = v128.load32_splat(a, 4);
        c10 = dot(w0, x, c10);
        c11 = dot(w1, x, c11);
        x = v128.load32_splat(a, 8);
        c20 = dot(w0, x, c20);
        c21 = dot(w1, x, c21);
        x = v128.load32_splat(a, 12);
        c30 = dot(w0, x, c30);
        c31 = dot(w1, x, c31);
        x = v128.load32_splat(a, 16);
        c40 = dot(w0, x, c40);
        c41 = dot(w1, x, c41);
        x = v128.load32_splat(a, 20);
        c50 = dot(w0, x, c50);
        c51 = dot(w1, x, c51);
        w0 = v128.load(weights, 32);
        w1 = v128.load(weights, 48);
        x = v128.load32_splat(a, 24);
        c00 = dot(w0, x, c00);
        c01 = dot(w1, x, c01);
        x = v128.load32_splat(a, 28);
        c10 = dot(w0, x, c10);
        c11 = dot(w1, x, c11);
        x = v128.load32_splat(a, 32);
        c20 = dot(w0, x, c20);
        c21 = dot(w1, x, c21);
        x = v128.load32_splat(a, 36);
        c30 = dot(w0, x, c30);
        c31 = dot(w1, x, c31);
        x = v128.load32_splat(a, 40);
        c40 = dot(w0, x, c40);
        c41 = dot(w1, x, c41);
        x = v128.load32_splat(a, 44);
        c50 = dot(w0, x, c50);
        c51 = dot(w1, x, c51);
      }
      if (a < end) {
        w0 = v128.load(weights);
        w1 = v128.load(weights, 16);
        x = v128.load32_splat(a);
        c00 = dot(w0, x, c00);
        c01 = dot(w1, x, c01);
        x = v128.load32_splat(a, 4);
        c10 = dot(w0, x, c10);
        c11 = dot(w1, x, c11);
        x = v128.load32_splat(a, 8);
        c20 = dot(w0, x, c20);
        c21 = dot(w1, x, c21);
        x = v128.load32_splat(a, 12);
        c30 = dot(w0, x, c30);
        c31 = dot(w1, x, c31);
        x = v128.load32_splat(a, 16);
        c40 = dot(w0, x, c40);
        c41 = dot(w1, x, c41);
        x = v128.load32_splat(a, 20);
        c50 = dot(w0, x, c50);
        c51 = dot(w1, x, c51);
        a = end;
        weights += 32;
      }
      const s0 = v128.load(head);
      const s1 = v128.load(head, 16);
      const toStep: usize = direct && left <= GROUP ? cs : 32;
      const to = direct && left <= GROUP ? c : sums;
      if (halves) {
        gather(heads, s0, s1, from, to, whole(c00, c10), whole(c01, c11));
        gather(heads + 8, s0, s1, from + fromStep, to + toStep, whole(c20, c30), whole(c21, c31));
        gather(heads + 16, s0, s1, from + 2 * fromStep, to + 2 * toStep, whole(c40, c50), whole(c41, c51));
      } else {
        gather(heads, s0, s1, from, to, c00, c01);
        gather(heads + 8, s0, s1, from + fromStep, to + toStep, c10, c11);
        gather(heads + 16, s0, s1, from + 2 * fromStep, to + 2 * toStep, c20, c21);
        gather(heads + 24, s0, s1, from + 3 * fromStep, to + 3 * toStep, c30, c31);
        gather(heads + 32, s0, s1, from + 4 * fromStep, to + 4 * toStep, c40, c41);
        gather(heads + 40, s0, s1, from + 5 * fromStep, to + 5 * toStep, c50, c51);
      }
      from = sums;
      fromStep = 32;
      heads += rows << 3;
      head = weights;
    }
    if (!direct || k == 0) finish(min(m, rows), columns, from, fromStep, c, cs, scale);
    c += cs * rows;
  }
}

/** The sums of products of 14 bits from those of their upper and lower halves. */
// @ts-ignore: decorator
@inline
function whole(upper: v128, lower: v128): v128 {
  return i32x4.add(i32x4.shl(upper, 7), lower);
}

/** The sums of four products each, added to c: weights signed, inputs as this host takes them. */
// @ts-ignore: decorator
@inline
export function dot(w: v128, x: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, c);
  return c;
}

/** A group's sums of one row to its floats: to = from + sum * scale of the row * scale of the column. */
// @ts-ignore: decorator
@inline
export function gather(head: usize, s0: v128, s1: v128, from: usize, to: usize, sum0: v128, sum1: v128): void {
  const rowScale = v128.load32_splat(head);
  const x0 = madd(f32x4.mul(f32x4.convert_i32x4_s(sum0), rowScale), s0, v128.load(from));
  const x1 = madd(f32x4.mul(f32x4.convert_i32x4_s(sum1), rowScale), s1, v128.load(from, 16));
  v128.store(to, x0);
  v128.store(to, x1, 16);
}

/** The rows of a block to c. */
// @ts-ignore: decorator
@inline
function finish(rows: i32, columns: i32, from: usize, fromStep: usize, c: usize, cs: usize, scale: usize): void {
  for (let row = 0; row < rows; row++, c += cs, from += fromStep) putRow(columns, c, v128.load(from), v128.load(from, 16), scale);
}
