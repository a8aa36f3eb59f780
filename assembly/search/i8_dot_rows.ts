/**
 * i8_dot_rows(form, n, k, x, scales, query, scale, y): x (n, k) and query (k), integers of -127 to 127 as i8_quantize_weights makes them ->
 * y (n): scale of the query * scales (n) of the rows * the sum of products of each row, which is exact. k is at most 131072.
 *
 * Four rows that are a quarter of all apart are read side by side, see f32_dot_rows. The form (../quantize/i8_form.ts) says how this host multiplies;
 * the integers, and so the results, are the same in each, and so is the layout:
 *
 *   Pairs      both widened to 16 bits
 *   Unsigned   128 is added to the rows as they are read, and what that adds to the sums, 128 times the sum of the query, is taken off at the end
 *   Signed     as they are
 */
import { Form } from '../quantize/i8_form';

export function i8_dot_rows(form: Form, n: i32, k: i32, x: usize, scales: usize, query: usize, scale: f32, y: usize): void {
  const length = <usize>k;
  const quarter = <usize>n >> 2;
  if (ASC_FEATURE_RELAXED_SIMD && form != Form.Pairs) {
    let excess = 0;
    if (form == Form.Unsigned) for (let i: usize = 0; i < (length & ~15); i++) excess += <i32>load<i8>(query + i);
    excess <<= 7;
    const sign = i8x16.splat(form == Form.Unsigned ? -128 : 0);
    for (let i: usize = 0; i < quarter; i++) fourBytes(i, quarter, length, x, scales, query, scale, y, sign, excess);
    for (let i = quarter << 2; i < <usize>n; i++) {
      storeScaled(i, dotBytes(length, x + i * length, query, sign) - excess, length, x, scales, query, scale, y);
    }
    return;
  }
  for (let i: usize = 0; i < quarter; i++) fourPairs(i, quarter, length, x, scales, query, scale, y);
  for (let i = quarter << 2; i < <usize>n; i++) {
    storeScaled(i, dotPairs(length, x + i * length, query), length, x, scales, query, scale, y);
  }
}

/** Rows i, i + quarter, i + 2 * quarter, i + 3 * quarter. */
// @ts-ignore: decorator
@inline
function fourPairs(i: usize, quarter: usize, k: usize, x: usize, scales: usize, query: usize, scale: f32, y: usize): void {
  const far = quarter * k;
  const row = x + i * k;
  const whole = k & ~15;
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (let at: usize = 0; at < whole; at += 16) {
    const q0 = v128.load_ext<i8>(query + at);
    const q1 = v128.load_ext<i8>(query + at, 8);
    let p = row + at;
    a = i32x4.add(a, dot16(p, q0, q1));
    p += far;
    b = i32x4.add(b, dot16(p, q0, q1));
    p += far;
    c = i32x4.add(c, dot16(p, q0, q1));
    p += far;
    d = i32x4.add(d, dot16(p, q0, q1));
  }
  storeFour(i, quarter, sumsOf(a, b, c, d), k, x, scales, query, scale, y);
}

// @ts-ignore: decorator
@inline
function fourBytes(
  i: usize, quarter: usize, k: usize, x: usize, scales: usize, query: usize, scale: f32, y: usize, sign: v128, excess: i32
): void {
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
    a = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.xor(v128.load(p), sign), a);
    p += far;
    b = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.xor(v128.load(p), sign), b);
    p += far;
    c = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.xor(v128.load(p), sign), c);
    p += far;
    d = i32x4.relaxed_dot_i8x16_i7x16_add_s(q, v128.xor(v128.load(p), sign), d);
  }
  storeFour(i, quarter, i32x4.sub(sumsOf(a, b, c, d), i32x4.splat(excess)), k, x, scales, query, scale, y);
}

// @ts-ignore: decorator
@inline
function dotBytes(k: usize, x: usize, query: usize, sign: v128): i32 {
  let sum = i32x4.splat(0);
  for (let at: usize = 0; at < (k & ~15); at += 16) {
    sum = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(query + at), v128.xor(v128.load(x + at), sign), sum);
  }
  return sumIntegers(sum);
}

// @ts-ignore: decorator
@inline
function dotPairs(k: usize, x: usize, query: usize): i32 {
  let sum = i32x4.splat(0);
  for (let at: usize = 0; at < (k & ~15); at += 16) {
    sum = i32x4.add(sum, dot16(x + at, v128.load_ext<i8>(query + at), v128.load_ext<i8>(query + at, 8)));
  }
  return sumIntegers(sum);
}

/** 16 products of a row and the query, which is widened, as four sums. */
// @ts-ignore: decorator
@inline
function dot16(x: usize, q0: v128, q1: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(x), q0), i32x4.dot_i16x8_s(v128.load_ext<i8>(x, 8), q1));
}

/** Stores the sum of row i, with what is behind its whole steps of 16, in its scale. */
// @ts-ignore: decorator
@inline
function storeScaled(i: usize, sum: i32, k: usize, x: usize, scales: usize, query: usize, scale: f32, y: usize): void {
  store<f32>(y + (i << 2), <f32>(sum + dotTail(k, x + i * k, query)) * (load<f32>(scales + (i << 2)) * scale));
}

/** As storeScaled, the sums of rows i, i + quarter, i + 2 * quarter, i + 3 * quarter. */
// @ts-ignore: decorator
@inline
function storeFour(i: usize, quarter: usize, sums: v128, k: usize, x: usize, scales: usize, query: usize, scale: f32, y: usize): void {
  if (k & 15) {
    const row = x + i * k;
    const far = quarter * k;
    const tails = i32x4.splat(dotTail(k, row, query));
    const two = i32x4.replace_lane(tails, 1, dotTail(k, row + far, query));
    const three = i32x4.replace_lane(two, 2, dotTail(k, row + far * 2, query));
    sums = i32x4.add(sums, i32x4.replace_lane(three, 3, dotTail(k, row + far * 3, query)));
  }
  const next = quarter << 2;
  const from = scales + (i << 2);
  let factors = v128.load32_zero(from);
  factors = v128.load_lane<f32>(from + next, factors, 1);
  factors = v128.load_lane<f32>(from + next * 2, factors, 2);
  factors = v128.load_lane<f32>(from + next * 3, factors, 3);
  const products = f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(factors, f32x4.splat(scale)));
  const to = y + (i << 2);
  v128.store_lane<f32>(to, products, 0);
  v128.store_lane<f32>(to + next, products, 1);
  v128.store_lane<f32>(to + next * 2, products, 2);
  v128.store_lane<f32>(to + next * 3, products, 3);
}

/** What is behind whole steps of 16. */
function dotTail(k: usize, x: usize, query: usize): i32 {
  let sum = 0;
  for (let i = k & ~15; i < k; i++) sum += <i32>load<i8>(x + i) * <i32>load<i8>(query + i);
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

// @ts-ignore: decorator
@inline
function sumIntegers(x: v128): i32 {
  const pairs = i32x4.add(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}
