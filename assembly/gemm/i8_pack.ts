/**
 * The packed form of a right-hand matrix of 8-bit integers, k rows and n columns, as i8_gemm reads it: panels of 8 columns, ceil(n / 8) of them,
 * each 8 biases and then, for every GROUP rows (../quantize/i8_form.ts), 8 scales, the 8 sums of the group's columns (i32), and for every 4 rows 8
 * columns of 4 integers. What is beyond n or k is 0. The value of an integer is the scale of its group and column * q.
 * Size: ceil(n / 8) * (32 + ceil(k / GROUP) * 64 + ceil(k / 4) * 32) bytes.
 *
 * The weights of a convolution, k rows of which `width` are those of one place of its kernel, have a head and integers of their own for every run
 * (runOf in ../quantize/i8_form.ts), as the scales of inputs change between places: 32 + the sum over runs of 64 + ceil(run / 4) * 32 bytes a panel.
 */

import { GROUP, groupsOf, runOf, SMALLEST_SCALE } from '../quantize/i8_form';
import { loadTail, nearestIntegers } from '../simd';

/**
 * i8_pack(n, k, width, q, scales, bias, target): from a matrix (n, k) given by columns, as nn.Linear keeps its weight; scales (n, groups), bias (n) or 0
 * for none. width: k, or that of a convolution.
 */
export function i8_pack(n: i32, k: i32, width: i32, q: usize, scales: usize, bias: usize, target: usize): void {
  const panel = runsBytes(k, width);
  if (n & 7 || width & 3) memory.fill(target, 0, panel * <usize>((n + 7) >> 3)); // else nothing is left out
  for (let j = 0; j < n; j++, q += k, scales += <usize>groupsOf(k) << 2) {
    const column = target + <usize>(j >> 3) * panel + (<usize>(j & 7) << 2);
    packColumn(k, width, q, scales, column + 32);
    store<f32>(column, bias ? load<f32>(bias + (<usize>j << 2)) : 0);
  }
}

/**
 * i8_quantize_pack_rows(n, k, x, ldx, target): from a matrix (k, n) of floats given by rows, row i the n numbers at x + i * ldx (in elements): the scales
 * and integers that i8_quantize_weights makes of its columns, without biases. (Where not all in a group are numbers its integers have no meaning.)
 */
export function i8_quantize_pack_rows(n: i32, k: i32, x: usize, ldx: i32, target: usize): void {
  const row = <usize>ldx << 2;
  for (let j = 0; j < n; j += 8, x += 32) {
    memory.fill(target, 0, 32); // no biases
    target += 32;
    for (let first = 0, at = x; first < k; first += GROUP, at += <usize>GROUP * row) {
      const rows = min(GROUP, k - first);
      packGroup(min(4, n - j), min(4, n - j - 4), rows, at, row, target);
      target += 64 + (<usize>((rows + 3) >> 2) << 5);
    }
  }
}

/** A group of rows of two times four columns, of which the last may be missing, to their place in a panel. */
function packGroup(left: i32, right: i32, rows: i32, x: usize, row: usize, head: usize): void {
  const magnitude = i32x4.splat(0x7fffffff);
  let largest0 = i32x4.splat(0);
  let largest1 = i32x4.splat(0);
  for (let i = 0, at = x; i < rows; i++, at += row) {
    largest0 = i32x4.max_s(largest0, v128.and(columnsOf(left, at), magnitude));
    largest1 = i32x4.max_s(largest1, v128.and(columnsOf(right, at + 16), magnitude));
  }
  const inverse0 = putScales(left, largest0, head);
  const inverse1 = putScales(right, largest1, head + 16);
  let sums0 = i32x4.splat(0);
  let sums1 = i32x4.splat(0);
  for (let i = 0, to = head + 64; i < rows; i += 4, x += 4 * row, to += 32) {
    const quarter = min(4, rows - i);
    sums0 = i32x4.add(sums0, putColumns(left, quarter, x, row, inverse0, to));
    sums1 = i32x4.add(sums1, putColumns(right, quarter, x + 16, row, inverse1, to + 16));
  }
  v128.store(head, sums0, 32);
  v128.store(head, sums1, 48);
}

/** The scales of four columns from their largest magnitudes, to a head; returns what their numbers are to be multiplied with. */
// @ts-ignore: decorator
@inline
function putScales(columns: i32, largest: v128, head: usize): v128 {
  const scales = f32x4.div(largest, f32x4.splat(127));
  const isSmall = f32x4.lt(scales, f32x4.splat(SMALLEST_SCALE));
  const isFinite = f32x4.lt(scales, f32x4.splat(Infinity));
  const known = v128.bitselect(v128.bitselect(f32x4.splat(1), scales, isSmall), f32x4.splat(NaN), isFinite);
  v128.store(head, v128.and(known, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(columns))));
  return v128.and(f32x4.div(f32x4.splat(1), scales), v128.andnot(isFinite, isSmall));
}

/** Up to four numbers of each of four columns as integers to their place; returns their sums. */
// @ts-ignore: decorator
@inline
function putColumns(columns: i32, rows: i32, x: usize, row: usize, inverse: v128, to: usize): v128 {
  const zero = i32x4.splat(0);
  const a = nearestIntegers(columnsOf(columns, x), inverse);
  const b = rows > 1 ? nearestIntegers(columnsOf(columns, x + row), inverse) : zero;
  const c = rows > 2 ? nearestIntegers(columnsOf(columns, x + 2 * row), inverse) : zero;
  const d = rows > 3 ? nearestIntegers(columnsOf(columns, x + 3 * row), inverse) : zero;
  const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  v128.store(to, i8x16.shuffle(bytes, bytes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
}

// @ts-ignore: decorator
@inline
function columnsOf(columns: i32, x: usize): v128 {
  if (columns == 4) return v128.load(x);
  return columns > 0 ? loadTail(x, columns) : i32x4.splat(0);
}

/** The integers and scales of a column to their place. */
function packColumn(k: i32, width: i32, q: usize, scales: usize, head: usize): void {
  for (let first = 0; first < k;) {
    const count = runOf(first, width);
    let to = head + 64;
    let all: i32 = 0;
    let i = 0;
    for (; i + 16 <= count; i += 16, q += 16, to += 128) {
      const values = v128.load(q);
      v128.store_lane<i32>(to, values, 0);
      v128.store_lane<i32>(to, values, 1, 32);
      v128.store_lane<i32>(to, values, 2, 64);
      v128.store_lane<i32>(to, values, 3, 96);
      all += sum(i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(values)));
    }
    for (; i < count; i++, q++) {
      const value = load<i8>(q);
      all += <i32>value;
      store<i8>(to + <usize>(i & 3), value);
      if ((i & 3) == 3) to += 32;
    }
    store<f32>(head, load<f32>(scales + (<usize>(first / GROUP) << 2)));
    store<i32>(head, all, 32);
    head += runBytes(count);
    first += count;
  }
}

// @ts-ignore: decorator
@inline
export function sum(x: v128): i32 {
  return i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3);
}

/** i8_unpack(n, k, width, source, q, scales, bias): the inverse of i8_pack, q (n, k), scales (n, groups), bias (n). */
export function i8_unpack(n: i32, k: i32, width: i32, source: usize, q: usize, scales: usize, bias: usize): void {
  const panel = runsBytes(k, width);
  for (let j = 0; j < n; j++, scales += <usize>groupsOf(k) << 2) {
    let from = source + <usize>(j >> 3) * panel + (<usize>(j & 7) << 2);
    store<f32>(bias + (<usize>j << 2), load<f32>(from));
    from += 32;
    for (let first = 0; first < k;) {
      const count = runOf(first, width);
      store<f32>(scales + (<usize>(first / GROUP) << 2), load<f32>(from));
      for (let i = 0, at = from + 64; i < count; i++, q++) store<i8>(q, load<i8>(at + (<usize>(i >> 2) << 5) + <usize>(i & 3)));
      from += runBytes(count);
      first += count;
    }
  }
}

/**
 * i8_quantize_weights(n, k, group, x, q, scales): x (n, k) ~ scales (n, ceil(k / group)) * q (n, k), the scale of so many numbers of a row being their
 * largest magnitude / 127, q the nearest integers: |x - scale q| <= 0.5001 scale. A group whose scale would be below 2^-110, as one of zeros, becomes
 * zeros with the scale 1, so that no scale is 0; one with a NaN or an infinity has the scale NaN.
 */
export function i8_quantize_weights(n: i32, k: i32, group: i32, x: usize, q: usize, scales: usize): void {
  for (let j = 0; j < n; j++) {
    for (let first = 0; first < k; first += group, scales += 4) {
      const count = <usize>min(group, k - first);
      const whole = count & ~3;
      const scale = magnitude(<i32>count, x) / 127;
      const known = scale >= SMALLEST_SCALE && scale < Infinity;
      const inverse = f32x4.splat(known ? <f32>1.0 / scale : 0);
      for (let i: usize = 0; i < whole; i += 4) store<i32>(q + i, integers(v128.load(x + (i << 2)), inverse));
      if (whole < count) {
        let last = integers(loadTail(x + (whole << 2), <i32>(count - whole)), inverse);
        for (let i = whole; i < count; i++, last >>= 8) store<i8>(q + i, last);
      }
      store<f32>(scales, known ? scale : scale < SMALLEST_SCALE ? 1 : NaN);
      x += count << 2;
      q += count;
    }
  }
}

/** The largest magnitude of x (count), infinite or NaN if there is one. */
// @ts-ignore: decorator
@inline
export function magnitude(count: i32, x: usize): f32 {
  const end = x + (<usize>(count & ~3) << 2);
  const positive = i32x4.splat(0x7fffffff);
  let bits = count & 3 ? v128.and(loadTail(end, count & 3), positive) : i32x4.splat(0); // as integers they are in the same order, and NaN is above all
  for (let at = x; at < end; at += 16) bits = i32x4.max_s(bits, v128.and(v128.load(at), positive));
  return reinterpret<f32>(
    max(max(i32x4.extract_lane(bits, 0), i32x4.extract_lane(bits, 1)), max(i32x4.extract_lane(bits, 2), i32x4.extract_lane(bits, 3))),
  );
}

/** The nearest integers of four numbers, none of which is beyond 127 scales; 0 for NaN. */
// @ts-ignore: decorator
@inline
function integers(x: v128, inverse: v128): i32 {
  return narrow(i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, inverse))));
}

/** Four integers of -128 to 127 as bytes. */
// @ts-ignore: decorator
@inline
export function narrow(integers: v128): i32 {
  const words = i16x8.narrow_i32x4_s(integers, integers);
  return i32x4.extract_lane(i8x16.narrow_i16x8_s(words, words), 0);
}

/** Bytes of a panel. */
// @ts-ignore: decorator
@inline
export function panelBytes(k: i32): usize {
  return 32 + (<usize>groupsOf(k) << 6) + (<usize>((k + 3) >> 2) << 5);
}

/** Bytes of a run of so many rows of a panel. */
// @ts-ignore: decorator
@inline
export function runBytes(count: i32): usize {
  return 64 + (<usize>((count + 3) >> 2) << 5);
}

/** Bytes of a panel of a convolution. */
export function runsBytes(k: i32, width: i32): usize {
  let bytes: usize = 32;
  for (let i = 0; i < k;) {
    const count = runOf(i, width);
    bytes += runBytes(count);
    i += count;
  }
  return bytes;
}
