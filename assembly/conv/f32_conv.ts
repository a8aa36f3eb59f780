/**
 * f32_conv(n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, activation, places):
 *   c (count, n) = activation(patches . w + bias)
 * f32_conv_add(n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, places):
 *   c (count, n) += patches . w + bias
 *
 * A convolution that reads its patches where they lie in the image (Dukhan 2019, "The indirect convolution algorithm"): x (rows, width, channels) with
 * its padding on it; the outputs `first` to `first + count`, counted row by row with outWidth in a row, the first of them at the first row of x; w and
 * its bias packed (../gemm/pack.ts), k = kernelHeight kernelWidth channels in that order; rows of c are ldc elements apart. places: room of its own
 * (places.ts).
 *
 * Each element is summed over k in ascending order starting at the bias: the bits of f32_gemm on patches that are laid out, however outputs are cut.
 */
import { Activation, f32_activation } from '../activation/f32_activation';
import { TILE_ROWS } from '../gemm/f32_tile';
import { madd } from '../simd';
import { findPlaces, PLACES } from './places';
import { putSums } from './put';

/** Bytes of the image that one pass over the panels is made for: half of a common second-level cache. */
const BLOCK_BYTES: i32 = 1 << 18;

export function f32_conv(
  n: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, width: i32, outWidth: i32, first: i32, count: i32,
  x: usize, w: usize, c: usize, ldc: i32, activation: Activation, places: usize,
): void {
  conv(n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, activation, false, places);
}

export function f32_conv_add(
  n: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, width: i32, outWidth: i32, first: i32, count: i32,
  x: usize, w: usize, c: usize, ldc: i32, places: usize,
): void {
  conv(n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, Activation.None, true, places);
}

function conv(
  n: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, width: i32, outWidth: i32, first: i32, count: i32,
  x: usize, w: usize, c: usize, ldc: i32, activation: Activation, adds: bool, places: usize,
): void {
  const pixel = <usize>channels << 2;
  const line = <usize>width * pixel;
  const run = <usize>kernelWidth * pixel;
  const panel = (<usize>(kernelHeight * kernelWidth * channels) + 1) << 5;
  const block = min(PLACES, max(1, BLOCK_BYTES / max(1, kernelHeight * stride * <i32>pixel) / 12) * 12); // whole tiles of both builds
  for (const end = first + count; first < end; first += block) {
    const m = min(block, end - first);
    findPlaces(outWidth, <usize>stride * pixel, <usize>stride * line, first, m, TILE_ROWS, x, places);
    for (let j = 0, p = w; j < n; j += 8, p += panel) {
      panelOf(m, min(8, n - j), kernelHeight, run, line, places, p, c + (<usize>j << 2), <usize>ldc << 2, adds);
    }
    if (activation != Activation.None) {
      // the block is still in cache
      for (let i = 0, r = c; i < m; i++, r += <usize>ldc << 2) f32_activation(n, activation, r, r);
    }
    c += <usize>m * <usize>ldc << 2;
  }
}

/** One panel of m outputs. The kernel has kernelHeight rows of `run` bytes each, which are `line` apart in the image. */
function panelOf(
  m: i32, columns: i32, kernelHeight: i32, run: usize, line: usize, places: usize, panel: usize, c: usize, cs: usize, adds: bool,
): void {
  const size = <i32>sizeof<usize>();
  for (; m > 0; m -= TILE_ROWS, c += cs * TILE_ROWS, places += TILE_ROWS * size) {
    let a0 = load<usize>(places);
    let a1 = load<usize>(places + size);
    let a2 = load<usize>(places + 2 * size);
    let a3 = load<usize>(places + 3 * size);
    let a4 = TILE_ROWS > 4 ? load<usize>(places + 4 * size) : a0;
    let a5 = TILE_ROWS > 4 ? load<usize>(places + 5 * size) : a0;
    const bias0 = v128.load(panel);
    const bias1 = v128.load(panel, 16);
    let c00 = bias0, c01 = bias1;
    let c10 = bias0, c11 = bias1;
    let c20 = bias0, c21 = bias1;
    let c30 = bias0, c31 = bias1;
    let c40 = bias0, c41 = bias1;
    let c50 = bias0, c51 = bias1;
    let w0: v128, w1: v128, x: v128;
    let w = panel + 32;
    for (let row = 0; row < kernelHeight; row++) {
      const end = a0 + run;
      if (ASC_FEATURE_RELAXED_SIMD) {
        for (; a0 + 4 < end; w += 64) {
          w0 = v128.load(w);
          w1 = v128.load(w, 16);
          x = v128.load32_splat(a0);
          c00 = madd(x, w0, c00);
          c01 = madd(x, w1, c01);
          x = v128.load32_splat(a1);
          c10 = madd(x, w0, c10);
          c11 = madd(x, w1, c11);
          x = v128.load32_splat(a2);
          c20 = madd(x, w0, c20);
          c21 = madd(x, w1, c21);
          x = v128.load32_splat(a3);
          c30 = madd(x, w0, c30);
          c31 = madd(x, w1, c31);
          if (TILE_ROWS > 4) {
            x = v128.load32_splat(a4);
            c40 = madd(x, w0, c40);
            c41 = madd(x, w1, c41);
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
          x = v128.load32_splat(a1, 4);
          c10 = madd(x, w0, c10);
          c11 = madd(x, w1, c11);
          a1 += 8;
          x = v128.load32_splat(a2, 4);
          c20 = madd(x, w0, c20);
          c21 = madd(x, w1, c21);
          a2 += 8;
          x = v128.load32_splat(a3, 4);
          c30 = madd(x, w0, c30);
          c31 = madd(x, w1, c31);
          a3 += 8;
          if (TILE_ROWS > 4) {
            x = v128.load32_splat(a4, 4);
            c40 = madd(x, w0, c40);
            c41 = madd(x, w1, c41);
            a4 += 8;
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
        x = v128.load32_splat(a1);
        c10 = madd(x, w0, c10);
        c11 = madd(x, w1, c11);
        a1 += 4;
        x = v128.load32_splat(a2);
        c20 = madd(x, w0, c20);
        c21 = madd(x, w1, c21);
        a2 += 4;
        x = v128.load32_splat(a3);
        c30 = madd(x, w0, c30);
        c31 = madd(x, w1, c31);
        a3 += 4;
        if (TILE_ROWS > 4) {
          x = v128.load32_splat(a4);
          c40 = madd(x, w0, c40);
          c41 = madd(x, w1, c41);
          a4 += 4;
          x = v128.load32_splat(a5);
          c50 = madd(x, w0, c50);
          c51 = madd(x, w1, c51);
          a5 += 4;
        }
      }
      const next = line - run;
      a0 += next;
      a1 += next;
      a2 += next;
      a3 += next;
      a4 += next;
      a5 += next;
    }
    putSums(columns, c, c00, c01, adds);
    if (m > 1) putSums(columns, c + cs, c10, c11, adds);
    if (m > 2) putSums(columns, c + 2 * cs, c20, c21, adds);
    if (m > 3) putSums(columns, c + 3 * cs, c30, c31, adds);
    if (TILE_ROWS > 4) {
      if (m > 4) putSums(columns, c + 4 * cs, c40, c41, adds);
      if (m > 5) putSums(columns, c + 5 * cs, c50, c51, adds);
    }
  }
}
