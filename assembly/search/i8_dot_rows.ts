/**
 * i8_dot_rows(bytes, n, k, x, heads, query, sum, scale, error, y, peaks)
 *   rows of integers x (n, k) with their heads as i8_quantize_rows makes them, and a query of k integers of -65 to 65 that stand for scale * query ->
 *   y (n), what the products of rows and query are at most, each being off by the length that its row's integers are off by and by `error`, which is
 *   that of the query: scale of the row * scale * the exact sum + error of the row * (1 + error) + error; peaks (ceil(n / 256)): the largest y of every
 *   256 rows, NaN if there is one. k is a multiple of 32, at most 262144; sum: of the query's integers.
 *
 * Searches are as fast as memory gives the rows. Four that are a quarter of all apart are read side by side: a processor fetches each of these streams
 * ahead by itself, and together they give about twice what one gives (bench/README.md). What the two ways to multiply give is the same:
 *
 *   bytes      where relaxed SIMD keeps its promise to multiply signed bytes by those of 0 to 127 exactly (src/runtime/features.ts). The query is bytes.
 *              Four products are added before they need more than 16 bits: 4 * 126 * 65 is below 2^15.
 *   not bytes  Two bytes of a row as a word of 16 bits are odd * 256 + even. By even' and, shifted to odd, by odd' - 256 * even', they give
 *              even * even' + odd * odd'. The query is words: of every 16 integers the 8 even ones, and 8 times such a difference.
 */
import { maxLanes } from '../simd';
import { BIAS } from './i8_quantize_rows';

const SPAN: i32 = 256;

export function i8_dot_rows(
  bytes: i32, n: i32, k: i32, x: usize, heads: usize, query: usize, sum: i32, scale: f32, error: f32, y: usize, peaks: usize,
): void {
  const quarter = <usize>n >> 2;
  const row = <usize>k;
  const rest = quarter << 2;
  if (ASC_FEATURE_RELAXED_SIMD && bytes) {
    for (let i: usize = 0; i < quarter; i++) fourBytes(row, x + i * row, quarter * row, query, y + (i << 2), quarter << 2);
    for (let i = rest; i < <usize>n; i++) fourBytes(row, x + i * row, 0, query, y + (i << 2), 0);
  } else {
    for (let i: usize = 0; i < quarter; i++) fourPairs(row, x + i * row, quarter * row, query, y + (i << 2), quarter << 2);
    for (let i = rest; i < <usize>n; i++) fourPairs(row, x + i * row, 0, query, y + (i << 2), 0);
  }
  for (; n > 0; n -= SPAN, peaks += 4) {
    const count = min(n, SPAN);
    store<f32>(peaks, finish(count, heads, sum * BIAS, scale, error, y));
    heads += <usize>count << 3;
    y += <usize>count << 2;
  }
}

/** The sums of four rows that are `far` apart, and as integers their places `next` apart; of one row where these are 0. */
// @ts-ignore: decorator
@inline
function fourBytes(k: usize, x: usize, far: usize, query: usize, y: usize, next: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let at: usize = 0; at < k; at += 32) {
    const q0 = v128.load(query + at);
    const q1 = v128.load(query + at, 16);
    let p = x + at;
    a = i32x4.add(a, dotBytes(p, q0, q1));
    p += far;
    b = i32x4.add(b, dotBytes(p, q0, q1));
    p += far;
    c = i32x4.add(c, dotBytes(p, q0, q1));
    p += far;
    d = i32x4.add(d, dotBytes(p, q0, q1));
  }
  storeFour(a, b, c, d, y, next);
}

// @ts-ignore: decorator
@inline
function fourPairs(k: usize, x: usize, far: usize, query: usize, y: usize, next: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let at: usize = 0; at < k; at += 16) {
    const q0 = v128.load(query + (at << 1));
    const q1 = v128.load(query + (at << 1), 16);
    let p = x + at;
    a = i32x4.add(a, dotPairs(p, q0, q1));
    p += far;
    b = i32x4.add(b, dotPairs(p, q0, q1));
    p += far;
    c = i32x4.add(c, dotPairs(p, q0, q1));
    p += far;
    d = i32x4.add(d, dotPairs(p, q0, q1));
  }
  storeFour(a, b, c, d, y, next);
}

/** 32 products as four sums. */
// @ts-ignore: decorator
@inline
function dotBytes(x: usize, q0: v128, q1: v128): v128 {
  const low = i16x8.relaxed_dot_i8x16_i7x16_s(q0, v128.load(x));
  return i32x4.extadd_pairwise_i16x8_s(i16x8.add(low, i16x8.relaxed_dot_i8x16_i7x16_s(q1, v128.load(x, 16))));
}

/** 16 products as four sums. */
// @ts-ignore: decorator
@inline
function dotPairs(x: usize, q0: v128, q1: v128): v128 {
  const words = v128.load(x);
  return i32x4.add(i32x4.dot_i16x8_s(words, q0), i32x4.dot_i16x8_s(i16x8.shr_s(words, 8), q1));
}

/** The sums of the lanes of each of four. */
// @ts-ignore: decorator
@inline
function storeFour(a: v128, b: v128, c: v128, d: v128, y: usize, next: usize): void {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 1, 4, 5), v128.shuffle<i32>(c, d, 2, 3, 6, 7));
  const sums = i32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
  v128.store_lane<i32>(y, sums, 0);
  v128.store_lane<i32>(y + next, sums, 1);
  v128.store_lane<i32>(y + next * 2, sums, 2);
  v128.store_lane<i32>(y + next * 3, sums, 3);
}

/** y (count) from sums to what the products are at most; the largest. */
function finish(count: i32, heads: usize, excess: i32, scale: f32, error: f32, y: usize): f32 {
  let most = f32x4.splat(-Infinity);
  for (let i = count >> 2; i > 0; i--, heads += 32, y += 16) {
    const near = v128.load(heads);
    const far = v128.load(heads, 16);
    const scales = f32x4.mul(v128.shuffle<f32>(near, far, 0, 2, 4, 6), f32x4.splat(scale));
    const errors = f32x4.mul(v128.shuffle<f32>(near, far, 1, 3, 5, 7), f32x4.splat(1 + error));
    const sums = f32x4.convert_i32x4_s(i32x4.sub(v128.load(y), i32x4.splat(excess)));
    const bounds = f32x4.add(f32x4.add(f32x4.mul(sums, scales), errors), f32x4.splat(error));
    v128.store(y, bounds);
    most = f32x4.max(most, bounds);
  }
  let peak = maxLanes(most);
  for (let i = count & 3; i > 0; i--, heads += 8, y += 4) {
    const bound = <f32>(load<i32>(y) - excess) * (load<f32>(heads) * scale) + load<f32>(heads, 4) * (1 + error) + error;
    store<f32>(y, bound);
    peak = max(peak, bound);
  }
  return peak;
}
