/**
 * i8_dot_rows(bytes, n, k, x, heads, query, zero, scale, y)
 *   rows x (n, k) with their heads as i8_quantize_rows makes them, query (k), bytes of 0 to 127 that stand for scale * (query - zero) -> y (n): the
 *   scale of the row * scale * the sum of the products of its integers and query - zero, which is exact. k is at most 131072.
 *
 * Searches are as fast as memory gives the rows. Four that are a quarter of all apart are read side by side: a processor fetches each of these streams
 * ahead by itself, and together they give about twice what one gives (bench/README.md). A query of seven bits is what relaxed SIMD promises to multiply
 * by signed bytes exactly on every host (`bytes`, see src/runtime/features.ts); else both are widened to 16 bits. The results are the same.
 */

export function i8_dot_rows(
  bytes: i32, n: i32, k: i32, x: usize, heads: usize, query: usize, zero: i32, scale: f32, y: usize,
): void {
  const quarter = <usize>n >> 2;
  const rest = quarter << 2;
  if (ASC_FEATURE_RELAXED_SIMD && bytes) {
    for (let i: usize = 0; i < quarter; i++) fourBytes(i, quarter, k, x, heads, query, zero, scale, y);
    for (let i = rest; i < <usize>n; i++) fourBytes(i, 0, k, x, heads, query, zero, scale, y);
  } else {
    for (let i: usize = 0; i < quarter; i++) fourPairs(i, quarter, k, x, heads, query, zero, scale, y);
    for (let i = rest; i < <usize>n; i++) fourPairs(i, 0, k, x, heads, query, zero, scale, y);
  }
}

/** Rows i, i + quarter, i + 2 * quarter, i + 3 * quarter: of a quarter of 0 all are one. */
// @ts-ignore: decorator
@inline
function fourBytes(i: usize, quarter: usize, k: usize, x: usize, heads: usize, query: usize, zero: i32, scale: f32, y: usize): void {
  const far = quarter * k;
  const row = x + i * k;
  const whole = k & ~15;
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let at: usize = 0; at < whole; at += 16) {
    const q = v128.load(query + at);
    let p = row + at;
    a = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(p), q, a);
    p += far;
    b = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(p), q, b);
    p += far;
    c = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(p), q, c);
    p += far;
    d = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(p), q, d);
  }
  storeFour(i, quarter, sumsOf(a, b, c, d), k, x, heads, query, zero, scale, y);
}

// @ts-ignore: decorator
@inline
function fourPairs(i: usize, quarter: usize, k: usize, x: usize, heads: usize, query: usize, zero: i32, scale: f32, y: usize): void {
  const far = quarter * k;
  const row = x + i * k;
  const whole = k & ~15;
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let at: usize = 0; at < whole; at += 16) {
    const q0 = v128.load_ext<u8>(query + at);
    const q1 = v128.load_ext<u8>(query + at, 8);
    let p = row + at;
    a = i32x4.add(a, dot16(p, q0, q1));
    p += far;
    b = i32x4.add(b, dot16(p, q0, q1));
    p += far;
    c = i32x4.add(c, dot16(p, q0, q1));
    p += far;
    d = i32x4.add(d, dot16(p, q0, q1));
  }
  storeFour(i, quarter, sumsOf(a, b, c, d), k, x, heads, query, zero, scale, y);
}

/** 16 products of a row and the query, which is widened, as four sums. */
// @ts-ignore: decorator
@inline
function dot16(x: usize, q0: v128, q1: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(x), q0), i32x4.dot_i16x8_s(v128.load_ext<i8>(x, 8), q1));
}

/** Stores the sums of four rows, with what is behind their whole steps of 16 and without what the zero of the query adds, in their scales. */
// @ts-ignore: decorator
@inline
function storeFour(
  i: usize, quarter: usize, sums: v128, k: usize, x: usize, heads: usize, query: usize, zero: i32, scale: f32, y: usize,
): void {
  if (k & 15) {
    const row = x + i * k;
    const far = quarter * k;
    const tails = i32x4.splat(dotTail(k, row, query));
    const two = i32x4.replace_lane(tails, 1, dotTail(k, row + far, query));
    const three = i32x4.replace_lane(two, 2, dotTail(k, row + far * 2, query));
    sums = i32x4.add(sums, i32x4.replace_lane(three, 3, dotTail(k, row + far * 3, query)));
  }
  const from = heads + (i << 3);
  const near = v128.load64_lane(from + (quarter << 3), v128.load64_zero(from), 1);
  const distant = v128.load64_lane(from + (quarter << 3) * 3, v128.load64_zero(from + (quarter << 4)), 1);
  const scales = v128.shuffle<i32>(near, distant, 0, 2, 4, 6);
  const ofIntegers = v128.shuffle<i32>(near, distant, 1, 3, 5, 7);
  const exact = i32x4.sub(sums, i32x4.mul(ofIntegers, i32x4.splat(zero)));
  const products = f32x4.mul(f32x4.convert_i32x4_s(exact), f32x4.mul(scales, f32x4.splat(scale)));
  const to = y + (i << 2);
  const next = quarter << 2;
  v128.store_lane<f32>(to, products, 0);
  v128.store_lane<f32>(to + next, products, 1);
  v128.store_lane<f32>(to + next * 2, products, 2);
  v128.store_lane<f32>(to + next * 3, products, 3);
}

/** What is behind whole steps of 16. */
function dotTail(k: usize, x: usize, query: usize): i32 {
  let sum = 0;
  for (let i = k & ~15; i < k; i++) sum += <i32>load<i8>(x + i) * <i32>load<u8>(query + i);
  return sum;
}

/** The sums of the lanes of each of four. */
// @ts-ignore: decorator
@inline
function sumsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 1, 4, 5), v128.shuffle<i32>(a, b, 2, 3, 6, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 1, 4, 5), v128.shuffle<i32>(c, d, 2, 3, 6, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
}
