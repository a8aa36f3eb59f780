/**
 * i8_dot_rows(form, n, k, x, scales, query, scale, y): x (n, k) and query (k), integers of -127 to 127 as i8_quantize_weights makes them ->
 * y (n): scale of the query * scales (n) of the rows * the sum of products of each row, which is exact. k is at most 131072.
 *
 * The form (../quantize/i8_form.ts) says how this host multiplies; the integers, and so the results, are the same in each, and so is the layout:
 *
 *   Pairs      both widened to 16 bits
 *   Unsigned   128 is added to the rows as they are read, and what that adds to the sums, 128 times the sum of the query, is taken off at the end
 *   Signed     as they are
 */
import { Form } from '../quantize/i8_form';

export function i8_dot_rows(form: Form, n: i32, k: i32, x: usize, scales: usize, query: usize, scale: f32, y: usize): void {
  const length = <usize>k;
  if (ASC_FEATURE_RELAXED_SIMD && form != Form.Pairs) {
    let excess = 0;
    if (form == Form.Unsigned) for (let i: usize = 0; i < (length & ~15); i++) excess += <i32>load<i8>(query + i);
    excess <<= 7;
    const sign = i8x16.splat(form == Form.Unsigned ? -128 : 0);
    for (let i = 0; i < n; i++, x += length, scales += 4, y += 4) {
      store<f32>(y, <f32>(dotBytes(length, x, query, sign) - excess + dotTail(length, x, query)) * (load<f32>(scales) * scale));
    }
    return;
  }
  for (let i = 0; i < n; i++, x += length, scales += 4, y += 4) {
    store<f32>(y, <f32>(dotPairs(length, x, query) + dotTail(length, x, query)) * (load<f32>(scales) * scale));
  }
}

// @ts-ignore: decorator
@inline
function dotBytes(k: usize, x: usize, query: usize, sign: v128): i32 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const long = k & ~63;
  const whole = k & ~15;
  let at: usize = 0;
  for (; at < long; at += 64) {
    const a = x + at;
    const b = query + at;
    s0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(b), v128.xor(v128.load(a), sign), s0);
    s1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(b, 16), v128.xor(v128.load(a, 16), sign), s1);
    s2 = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(b, 32), v128.xor(v128.load(a, 32), sign), s2);
    s3 = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(b, 48), v128.xor(v128.load(a, 48), sign), s3);
  }
  for (; at < whole; at += 16) s0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(query + at), v128.xor(v128.load(x + at), sign), s0);
  return sumIntegers(i32x4.add(i32x4.add(s0, s1), i32x4.add(s2, s3)));
}

// @ts-ignore: decorator
@inline
function dotPairs(k: usize, x: usize, query: usize): i32 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const long = k & ~31;
  const whole = k & ~15;
  let at: usize = 0;
  for (; at < long; at += 32) {
    const a = x + at;
    const b = query + at;
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load_ext<i8>(a), v128.load_ext<i8>(b)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load_ext<i8>(a, 8), v128.load_ext<i8>(b, 8)));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load_ext<i8>(a, 16), v128.load_ext<i8>(b, 16)));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load_ext<i8>(a, 24), v128.load_ext<i8>(b, 24)));
  }
  for (; at < whole; at += 8) s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load_ext<i8>(x + at), v128.load_ext<i8>(query + at)));
  return sumIntegers(i32x4.add(i32x4.add(s0, s1), i32x4.add(s2, s3)));
}

/** What is behind whole steps of 16. */
// @ts-ignore: decorator
@inline
function dotTail(k: usize, x: usize, query: usize): i32 {
  let sum = 0;
  for (let i = k & ~15; i < k; i++) sum += <i32>load<i8>(x + i) * <i32>load<i8>(query + i);
  return sum;
}

// @ts-ignore: decorator
@inline
function sumIntegers(x: v128): i32 {
  const pairs = i32x4.add(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}
