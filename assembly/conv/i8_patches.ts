/**
 * i8_pairs_patches(m, columns, channels, kernelHeight, kernelWidth, pixel, line, places, wide, panel, c, ldc, adds, sums)
 * i8_bytes_patches(m, columns, channels, kernelHeight, kernelWidth, pixel, line, places, panel, c, ldc, adds, sums)
 *   one panel of a convolution of integers: c (m, columns <= 8) = patches . w + bias, or added to c
 *
 * places: where the patches of the outputs begin (places.ts) in an image of i8_pad, whose pixels take so many bytes and its lines so many; panel: packed
 * weights (../gemm/i8_pack.ts); wide: their integers as pairs of 16 bits (`widen`). sums: where the floats of a block of outputs grow, 8 each. The sums
 * of a run are exact integers, and exact as floats; runs are added in their order.
 *
 * A block of outputs is computed whole even where m leaves some of it unused.
 */
import { runBytes } from '../gemm/i8_pack';
import { dot, gather } from '../gemm/i8_tile';
import { BYTES_ROWS, GROUP, PAIRS_ROWS } from '../quantize/i8_form';
import { headBytes } from './i8_pad';
import { putSums } from './put';

export function i8_pairs_patches(
  m: i32, columns: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, pixel: usize, line: usize, places: usize, wide: usize, panel: usize,
  c: usize, ldc: i32, adds: bool, sums: usize,
): void {
  const size = <i32>sizeof<usize>();
  const cs = <usize>ldc << 2;
  const heads = headBytes(channels);
  for (; m > 0; m -= PAIRS_ROWS, c += cs * PAIRS_ROWS, places += PAIRS_ROWS * size) {
    const p0 = load<usize>(places);
    const p1 = load<usize>(places + size);
    const p2 = load<usize>(places + 2 * size);
    const p3 = load<usize>(places + 3 * size);
    let from = panel; // the biases, for every output
    let fromStep: usize = 0;
    let head = panel + 32;
    let weights = wide;
    let w0: v128, w1: v128;
    let place: usize = 0; // of the kernel, from the first of a patch
    let group = 0; // numbers of the weights' group that are behind
    for (let row = 0; row < kernelHeight; row++, place += line - <usize>kernelWidth * pixel) {
      for (let column = 0; column < kernelWidth; column++, place += pixel) {
        for (let channel = 0; channel < channels;) {
          const count = min(min(channels - channel, GROUP - channel % GROUP), GROUP - group);
          const scales = place + (<usize>(channel / GROUP) << 3);
          const begin = place + heads + <usize>channel * 2;
          let x = i32x4.splat(0);
          let c00 = x, c01 = x, c10 = x, c11 = x, c20 = x, c21 = x, c30 = x, c31 = x;
          let a0 = p0 + begin;
          let a1 = p1 + begin;
          let a2 = p2 + begin;
          let a3 = p3 + begin;
          for (const end = weights + (<usize>((count + 3) >> 2) << 6); weights < end; weights += 32) {
            w0 = v128.load(weights);
            w1 = v128.load(weights, 16);
            x = v128.load32_splat(a0);
            c00 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c00);
            c01 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c01);
            x = v128.load32_splat(a1);
            c10 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c10);
            c11 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c11);
            x = v128.load32_splat(a2);
            c20 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c20);
            c21 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c21);
            x = v128.load32_splat(a3);
            c30 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c30);
            c31 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c31);
            a0 += 4;
            a1 += 4;
            a2 += 4;
            a3 += 4;
          }
          const s0 = v128.load(head);
          const s1 = v128.load(head, 16);
          gather(p0 + scales, s0, s1, from, sums, c00, c01);
          gather(p1 + scales, s0, s1, from + fromStep, sums + 32, c10, c11);
          gather(p2 + scales, s0, s1, from + 2 * fromStep, sums + 64, c20, c21);
          gather(p3 + scales, s0, s1, from + 3 * fromStep, sums + 96, c30, c31);
          from = sums;
          fromStep = 32;
          head += runBytes(count);
          channel += count;
          group = (group + count) % GROUP;
        }
      }
    }
    for (let i = 0, to = c, rows = min(m, PAIRS_ROWS); i < rows; i++, to += cs, from += fromStep) {
      putSums(columns, to, v128.load(from), v128.load(from, 16), adds);
    }
  }
}

/** Of the relaxed build only. */
export function i8_bytes_patches(
  m: i32, columns: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, pixel: usize, line: usize, places: usize, panel: usize,
  c: usize, ldc: i32, adds: bool, sums: usize,
): void {
  if (!ASC_FEATURE_RELAXED_SIMD) unreachable();
  const size = <i32>sizeof<usize>();
  const cs = <usize>ldc << 2;
  const heads = headBytes(channels);
  for (; m > 0; m -= BYTES_ROWS, c += cs * BYTES_ROWS, places += BYTES_ROWS * size) {
    const p0 = load<usize>(places);
    const p1 = load<usize>(places + size);
    const p2 = load<usize>(places + 2 * size);
    const p3 = load<usize>(places + 3 * size);
    const p4 = load<usize>(places + 4 * size);
    const p5 = load<usize>(places + 5 * size);
    let from = panel; // the biases, for every output
    let fromStep: usize = 0;
    let head = panel + 32;
    let w0: v128, w1: v128;
    let place: usize = 0; // of the kernel, from the first of a patch
    let group = 0; // numbers of the weights' group that are behind
    for (let row = 0; row < kernelHeight; row++, place += line - <usize>kernelWidth * pixel) {
      for (let column = 0; column < kernelWidth; column++, place += pixel) {
        for (let channel = 0; channel < channels;) {
          const count = min(min(channels - channel, GROUP - channel % GROUP), GROUP - group);
          const scales = place + (<usize>(channel / GROUP) << 3);
          const begin = place + heads + <usize>channel;
          const z0 = v128.load(head, 32);
          const z1 = v128.load(head, 48);
          let x = v128.load32_splat(p0 + scales, 4);
          let c00 = i32x4.mul(x, z0), c01 = i32x4.mul(x, z1);
          x = v128.load32_splat(p1 + scales, 4);
          let c10 = i32x4.mul(x, z0), c11 = i32x4.mul(x, z1);
          x = v128.load32_splat(p2 + scales, 4);
          let c20 = i32x4.mul(x, z0), c21 = i32x4.mul(x, z1);
          x = v128.load32_splat(p3 + scales, 4);
          let c30 = i32x4.mul(x, z0), c31 = i32x4.mul(x, z1);
          x = v128.load32_splat(p4 + scales, 4);
          let c40 = i32x4.mul(x, z0), c41 = i32x4.mul(x, z1);
          x = v128.load32_splat(p5 + scales, 4);
          let c50 = i32x4.mul(x, z0), c51 = i32x4.mul(x, z1);
          let a0 = p0 + begin;
          let a1 = p1 + begin;
          let a2 = p2 + begin;
          let a3 = p3 + begin;
          let a4 = p4 + begin;
          let a5 = p5 + begin;
          let weights = head + 64;
          const end = weights + (<usize>((count + 3) >> 2) << 5);
          for (; weights + 32 < end; weights += 64) {
            w0 = v128.load(weights);
            w1 = v128.load(weights, 16);
            x = v128.load32_splat(a0);
            c00 = dot(w0, x, c00);
            c01 = dot(w1, x, c01);
            x = v128.load32_splat(a1);
            c10 = dot(w0, x, c10);
            c11 = dot(w1, x, c11);
            x = v128.load32_splat(a2);
            c20 = dot(w0, x, c20);
            c21 = dot(w1, x, c21);
            x = v128.load32_splat(a3);
            c30 = dot(w0, x, c30);
            c31 = dot(w1, x, c31);
            x = v128.load32_splat(a4);
            c40 = dot(w0, x, c40);
            c41 = dot(w1, x, c41);
            x = v128.load32_splat(a5);
            c50 = dot(w0, x, c50);
            c51 = dot(w1, x, c51);
            w0 = v128.load(weights, 32);
            w1 = v128.load(weights, 48);
            x = v128.load32_splat(a0, 4);
            c00 = dot(w0, x, c00);
            c01 = dot(w1, x, c01);
            x = v128.load32_splat(a1, 4);
            c10 = dot(w0, x, c10);
            c11 = dot(w1, x, c11);
            x = v128.load32_splat(a2, 4);
            c20 = dot(w0, x, c20);
            c21 = dot(w1, x, c21);
            x = v128.load32_splat(a3, 4);
            c30 = dot(w0, x, c30);
            c31 = dot(w1, x, c31);
            x = v128.load32_splat(a4, 4);
            c40 = dot(w0, x, c40);
            c41 = dot(w1, x, c41);
            x = v128.load32_splat(a5, 4);
            c50 = dot(w0, x, c50);
            c51 = dot(w1, x, c51);
            a0 += 8;
            a1 += 8;
            a2 += 8;
            a3 += 8;
            a4 += 8;
            a5 += 8;
          }
          if (weights < end) {
            w0 = v128.load(weights);
            w1 = v128.load(weights, 16);
            x = v128.load32_splat(a0);
            c00 = dot(w0, x, c00);
            c01 = dot(w1, x, c01);
            x = v128.load32_splat(a1);
            c10 = dot(w0, x, c10);
            c11 = dot(w1, x, c11);
            x = v128.load32_splat(a2);
            c20 = dot(w0, x, c20);
            c21 = dot(w1, x, c21);
            x = v128.load32_splat(a3);
            c30 = dot(w0, x, c30);
            c31 = dot(w1, x, c31);
            x = v128.load32_splat(a4);
            c40 = dot(w0, x, c40);
            c41 = dot(w1, x, c41);
            x = v128.load32_splat(a5);
            c50 = dot(w0, x, c50);
            c51 = dot(w1, x, c51);
            weights = end;
          }
          const s0 = v128.load(head);
          const s1 = v128.load(head, 16);
          gather(p0 + scales, s0, s1, from, sums, c00, c01);
          gather(p1 + scales, s0, s1, from + fromStep, sums + 32, c10, c11);
          gather(p2 + scales, s0, s1, from + 2 * fromStep, sums + 64, c20, c21);
          gather(p3 + scales, s0, s1, from + 3 * fromStep, sums + 96, c30, c31);
          gather(p4 + scales, s0, s1, from + 4 * fromStep, sums + 128, c40, c41);
          gather(p5 + scales, s0, s1, from + 5 * fromStep, sums + 160, c50, c51);
          from = sums;
          fromStep = 32;
          head = weights;
          channel += count;
          group = (group + count) % GROUP;
        }
      }
    }
    for (let i = 0, to = c, rows = min(m, BYTES_ROWS); i < rows; i++, to += cs, from += fromStep) {
      putSums(columns, to, v128.load(from), v128.load(from, 16), adds);
    }
  }
}
