/**
 * f32_tile(m, columns, k, a, lda, w, c, ldc, scale): one panel of a matrix product, c (m, columns <= 8) = a (m, k) . w + bias, or with a
 * scale (columns) c += scale * (a . w + bias). The heart of every matrix product here: the sums of some rows by 8 columns stay in
 * registers.
 *
 * 6 rows where multiply and add are fused: 12 sums, 2 weights and 1 input are the 15 registers that V8 gives on x64; two steps a loop. 4 rows where
 * they are not, and one step: V8 of Node 20 puts all loads of a loop in front, of one step 8 sums, 2 weights, 4 inputs and 1 product. Compile with -O2:
 * -O3 nests the sums of neighbouring steps and spills.
 */
import { loadTail, madd, storeTail } from '../simd';

/** Rows of a full tile. */
// @ts-ignore: decorator
@inline
export const TILE_ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 4;

// @ts-ignore: decorator
@inline
export function f32_tile(m: i32, columns: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32, scale: usize): void {
  const as = <usize>lda << 2;
  const cs = <usize>ldc << 2;
  const last = m % TILE_ROWS;
  if (m > last) wholeTiles(m - last, columns, k, a, as, w, c, cs, scale);
  if (last) lastRows(last, columns, k, a + as * (m - last), as, w, c + cs * (m - last), cs, scale);
}

/** Apart from the last rows, which are five times as much code: V8 has these compiled well soon after the first call, and most work is here. */
function wholeTiles(m: i32, columns: i32, k: i32, a: usize, as: usize, w: usize, c: usize, cs: usize, scale: usize): void {
  for (; m > 0; m -= TILE_ROWS, a += as * TILE_ROWS, c += cs * TILE_ROWS) tile(TILE_ROWS, columns, k, a, as, w, c, cs, scale);
}

function lastRows(m: i32, columns: i32, k: i32, a: usize, as: usize, w: usize, c: usize, cs: usize, scale: usize): void {
  if (TILE_ROWS > 4) {
    if (m == 5) return tile(5, columns, k, a, as, w, c, cs, scale);
    if (m == 4) return tile(4, columns, k, a, as, w, c, cs, scale);
  }
  if (m == 3) return tile(3, columns, k, a, as, w, c, cs, scale);
  if (m == 2) return tile(2, columns, k, a, as, w, c, cs, scale);
  if (m == 1) return tile(1, columns, k, a, as, w, c, cs, scale);
}

/** `rows` is a constant where this is called: what belongs to further rows is not compiled. */
// @ts-ignore: decorator
@inline
function tile(rows: i32, columns: i32, k: i32, a0: usize, as: usize, w: usize, c: usize, cs: usize, scale: usize): void {
  const bias0 = v128.load(w);
  const bias1 = v128.load(w, 16);
  let c00 = bias0, c01 = bias1;
  let c10 = bias0, c11 = bias1;
  let c20 = bias0, c21 = bias1;
  let c30 = bias0, c31 = bias1;
  let c40 = bias0, c41 = bias1;
  let c50 = bias0, c51 = bias1;
  let a1 = a0 + as;
  let a2 = a1 + as;
  let a3 = a2 + as;
  let a4 = a3 + as;
  let a5 = a4 + as;
  let w0: v128, w1: v128, x: v128;
  const end = a0 + (<usize>k << 2);
  w += 32;
  if (ASC_FEATURE_RELAXED_SIMD) {
    for (; a0 + 4 < end; w += 64) {
      w0 = v128.load(w);
      w1 = v128.load(w, 16);
      x = v128.load32_splat(a0);
      c00 = madd(x, w0, c00);
      c01 = madd(x, w1, c01);
      if (rows > 1) {
        x = v128.load32_splat(a1);
        c10 = madd(x, w0, c10);
        c11 = madd(x, w1, c11);
      }
      if (rows > 2) {
        x = v128.load32_splat(a2);
        c20 = madd(x, w0, c20);
        c21 = madd(x, w1, c21);
      }
      if (rows > 3) {
        x = v128.load32_splat(a3);
        c30 = madd(x, w0, c30);
        c31 = madd(x, w1, c31);
      }
      if (rows > 4) {
        x = v128.load32_splat(a4);
        c40 = madd(x, w0, c40);
        c41 = madd(x, w1, c41);
      }
      if (rows > 5) {
        x = v128.load32_splat(a5);
        c50 = madd(x, w0, c50);
        c51 = madd(x, w1, c51);
      }
      w0 = v128.load(w, 32);
      w1 = v128.load(w, 48);
      x = v128.load32_splat(a0, 4);
      c00 = madd(x, w0, c00);
      c01 = madd(x, w1, c01);
      a0 += 8;
      if (rows > 1) {
        x = v128.load32_splat(a1, 4);
        c10 = madd(x, w0, c10);
        c11 = madd(x, w1, c11);
        a1 += 8;
      }
      if (rows > 2) {
        x = v128.load32_splat(a2, 4);
        c20 = madd(x, w0, c20);
        c21 = madd(x, w1, c21);
        a2 += 8;
      }
      if (rows > 3) {
        x = v128.load32_splat(a3, 4);
        c30 = madd(x, w0, c30);
        c31 = madd(x, w1, c31);
        a3 += 8;
      }
      if (rows > 4) {
        x = v128.load32_splat(a4, 4);
        c40 = madd(x, w0, c40);
        c41 = madd(x, w1, c41);
        a4 += 8;
      }
      if (rows > 5) {
        x = v128.load32_splat(a5, 4);
        c50 = madd(x, w0, c50);
        c51 = madd(x, w1, c51);
        a5 += 8;
      }
    }
  }
  for (; a0 < end; w += 32) {
    w0 = v128.load(w);
    w1 = v128.load(w, 16);
    x = v128.load32_splat(a0);
    c00 = madd(x, w0, c00);
    c01 = madd(x, w1, c01);
    a0 += 4;
    if (rows > 1) {
      x = v128.load32_splat(a1);
      c10 = madd(x, w0, c10);
      c11 = madd(x, w1, c11);
      a1 += 4;
    }
    if (rows > 2) {
      x = v128.load32_splat(a2);
      c20 = madd(x, w0, c20);
      c21 = madd(x, w1, c21);
      a2 += 4;
    }
    if (rows > 3) {
      x = v128.load32_splat(a3);
      c30 = madd(x, w0, c30);
      c31 = madd(x, w1, c31);
      a3 += 4;
    }
    if (rows > 4) {
      x = v128.load32_splat(a4);
      c40 = madd(x, w0, c40);
      c41 = madd(x, w1, c41);
      a4 += 4;
    }
    if (rows > 5) {
      x = v128.load32_splat(a5);
      c50 = madd(x, w0, c50);
      c51 = madd(x, w1, c51);
      a5 += 4;
    }
  }
  putRow(columns, c, c00, c01, scale);
  if (rows > 1) putRow(columns, c + cs, c10, c11, scale);
  if (rows > 2) putRow(columns, c + 2 * cs, c20, c21, scale);
  if (rows > 3) putRow(columns, c + 3 * cs, c30, c31, scale);
  if (rows > 4) putRow(columns, c + 4 * cs, c40, c41, scale);
  if (rows > 5) putRow(columns, c + 5 * cs, c50, c51, scale);
}

/** One row of a tile to c, or with a scale added to it. */
// @ts-ignore: decorator
@inline
export function putRow(columns: i32, c: usize, x0: v128, x1: v128, scale: usize): void {
  if (columns == 8) {
    if (scale) {
      x0 = madd(v128.load(scale), x0, v128.load(c));
      x1 = madd(v128.load(scale, 16), x1, v128.load(c, 16));
    }
    v128.store(c, x0);
    v128.store(c, x1, 16);
  } else putTail(columns, c, x0, x1, scale);
}

function putTail(columns: i32, c: usize, x0: v128, x1: v128, scale: usize): void {
  if (columns >= 4) {
    v128.store(c, scale ? madd(v128.load(scale), x0, v128.load(c)) : x0);
    if (columns == 4) return;
    x0 = x1;
    c += 16;
    scale = scale ? scale + 16 : 0;
  }
  const tail = columns & 3;
  storeTail(c, scale ? madd(loadTail(scale, tail), x0, loadTail(c, tail)) : x0, tail);
}
