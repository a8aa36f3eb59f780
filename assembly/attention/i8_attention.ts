/**
 * i8_attention(form, queries, keys, width, q, ldq, k, v, out, ldo, scale, weight, room, probabilities)
 *   out (queries, width) = weight * softmax(scale * q . k^T) . v, one head (Vaswani et al. 2017), both products in exact sums of integers
 *
 * q (queries, width) and out with rows ldq and ldo elements apart. k and v are packed: k by i8_pack_keys, v by
 * i8_quantize_pack_rows (../gemm/i8_pack.ts). weight is the head mask, 1 for none. Queries are quantised as the inputs
 * of such a product (../quantize/i8_form.ts). The shares e^(score - largest) become integers of 14 bits: 8 would round what is far below the largest to
 * nothing, of which there is much where keys are many.
 *
 * room: for a strip of queries (12, in the form of pairs 16) integers and heads, ceil(keys / 8) * 8 scores, and shares as integers of 16 bits and their
 * heads; then what i8_gemm needs for 4 panels of width or of keys numbers, whichever is more. `probabilities` (queries, keys), if not 0, receives
 * weight * softmax(...) in float32, and `out` is the same to the bit.
 *
 * A NaN or an infinity in a query makes its row NaN, one in a key all of the head, one in a value its column.
 */
import { Activation } from '../activation/f32_activation';
import { i8_gemm } from '../gemm/i8_gemm';
import { at } from '../math';
import { f32_largest, f32_scale } from '../norm/f32_softmax';
import { Form, GROUP, groupsOf, PAIRS_ROWS, rowBytes, rowsOf, stepBytes } from '../quantize/i8_form';
import { i8_quantize } from '../quantize/i8_quantize';
import { loadTail, madd, storeTail, sumLanes } from '../simd';

export function i8_attention(
  form: Form, queries: i32, keys: i32, width: i32, q: usize, ldq: i32, k: usize, v: usize, out: usize, ldo: i32,
  scale: f32, weight: f32, room: usize, probabilities: usize,
): void {
  const shareForm = form == Form.Pairs ? Form.Pairs : Form.Halves;
  const strip = 4 * rowsOf(shareForm); // whole blocks of both products
  const lds = (keys + 7) & ~7;
  const heads = room;
  const integers = heads + (<usize>(strip * groupsOf(width)) << 3);
  const scores = integers + <usize>strip * rowBytes(form, width);
  const shareHeads = scores + (<usize>(strip * lds) << 2);
  const shares = shareHeads + (<usize>(strip * groupsOf(keys)) << 3);
  const own = shares + <usize>strip * rowBytes(shareForm, keys);
  for (let first = 0; first < queries; first += strip) {
    const rows = min(strip, queries - first);
    i8_quantize(form, rows, width, q + ((<usize>first * <usize>ldq) << 2), ldq, 0, heads, integers);
    i8_gemm(form, rows, lds, width, heads, integers, k, scores, lds, Activation.None, own, PANELS);
    for (let row = 0; row < rows; row++) {
      const s = scores + (<usize>(row * lds) << 2);
      const sum = sharesOf(shareForm, row, keys, s, scale, shares);
      if (probabilities) f32_scale(keys, weight / sum, s, probabilities + ((<usize>(first + row) * <usize>keys) << 2));
      putHeads(shareForm, row, keys, weight / (MOST * sum), shareHeads);
    }
    i8_gemm(shareForm, rows, width, keys, shareHeads, shares, v, out + ((<usize>first * <usize>ldo) << 2), ldo, Activation.None, own, PANELS);
  }
}

/** Panels that a product in the form of pairs widens at a time. */
const PANELS: i32 = 4;

/** The largest share, of 1. */
const MOST: f32 = 16383;

// 2^f on [-1/2, 1/2] as 1 + f p(f), p of degree 3 (relative error 3e-6), then what makes a share an integer; otherwise as in ../norm/f32_softmax.ts
// prettier-ignore
const SHARE = memory.data<f32>([
  -127, 12583039, 1, 0.6931241154670715, 0.24024103581905365, 0.05590687692165375, 0.009582700207829475,
  16383, 12582912, // 1.5 2^23: added to a small number, it leaves its nearest integer in the lowest bits
]);

/**
 * x (keys) becomes e^z, z = scale (x - max x), within 4e-6 and |z| 1.2e-7 of itself, of 1 a fifteenth of a step of the integers, which go to a row of
 * theirs; returns the sum of e^z. The constants are read before the loop, which leaves them in registers.
 */
function sharesOf(form: Form, row: i32, keys: i32, x: usize, scale: f32, y: usize): f32 {
  const within = row % rowsOf(form);
  y += <usize>(row - within) * rowBytes(form, keys) + (<usize>within << (form == Form.Pairs ? 2 : 3));
  const step = stepBytes(form);
  const shift = f32x4.splat(f32_largest(keys, x));
  const factor = f32x4.splat(scale * <f32>1.4426950408889634);
  const low = at(SHARE, 0), bias = at(SHARE, 1), c0 = at(SHARE, 2), c1 = at(SHARE, 3), c2 = at(SHARE, 4), c3 = at(SHARE, 5), c4 = at(SHARE, 6);
  const most = at(SHARE, 7), round = at(SHARE, 8);
  let sums = f32x4.splat(0);
  let i = 0;
  for (; i + 8 <= keys; i += 8, x += 32, y += 2 * step) {
    const a = power(f32x4.mul(f32x4.sub(v128.load(x), shift), factor), low, bias, c0, c1, c2, c3, c4);
    const b = power(f32x4.mul(f32x4.sub(v128.load(x, 16), shift), factor), low, bias, c0, c1, c2, c3, c4);
    v128.store(x, a);
    v128.store(x, b, 16);
    sums = f32x4.add(sums, f32x4.add(a, b));
    put(form, i32x4.sub(madd(a, most, round), round), i32x4.sub(madd(b, most, round), round), step, y);
  }
  for (; i < keys; i += 4, x += 16, y += step) {
    const left = keys - i;
    let a = power(f32x4.mul(f32x4.sub(left < 4 ? loadTail(x, left) : v128.load(x), shift), factor), low, bias, c0, c1, c2, c3, c4);
    if (left < 4) {
      storeTail(x, a, left);
      a = loadTail(x, left); // zeros behind them
    } else v128.store(x, a);
    sums = f32x4.add(sums, a);
    put(form, i32x4.sub(madd(a, most, round), round), i32x4.splat(0), 0, y);
  }
  return sumLanes(sums);
}

/** 2^z for z up to 128, 0 for what is below low. */
// @ts-ignore: decorator
@inline
function power(z: v128, low: v128, bias: v128, c0: v128, c1: v128, c2: v128, c3: v128, c4: v128): v128 {
  z = f32x4.pmax(z, low);
  const biased = f32x4.add(z, bias);
  const f = f32x4.sub(z, f32x4.sub(biased, bias));
  let p = madd(c4, f, c3);
  p = madd(p, f, c2);
  p = madd(p, f, c1);
  p = madd(p, f, c0);
  return f32x4.mul(p, i32x4.shl(biased, 23));
}

/** What the sums of a row of shares times values are to be multiplied with. */
function putHeads(form: Form, row: i32, keys: i32, scale: f32, heads: usize): void {
  const block = rowsOf(form);
  const within = row % block;
  heads += <usize>((row - within) * groupsOf(keys) + within) << 3;
  for (let left = keys; left > 0; left -= GROUP, heads += <usize>block << 3) {
    store<f32>(heads, scale);
    store<i32>(heads, 0, 4);
  }
}

/** Four shares, and with a step four more, to their place. */
// @ts-ignore: decorator
@inline
function put(form: Form, a: v128, b: v128, step: usize, y: usize): void {
  const words = i16x8.narrow_i32x4_s(a, b);
  if (form == Form.Pairs) {
    v128.store_lane<i32>(y, words, 0);
    v128.store_lane<i32>(y, words, 1, PAIRS_ROWS << 2);
    if (!step) return;
    v128.store_lane<i32>(y + step, words, 2);
    v128.store_lane<i32>(y + step, words, 3, PAIRS_ROWS << 2);
  } else {
    const bytes = i8x16.narrow_i16x8_u(i16x8.shr_u(words, 7), v128.and(words, i16x8.splat(127)));
    const halves = v128.shuffle<i32>(bytes, bytes, 0, 2, 1, 3);
    v128.store_lane<i64>(y, halves, 0);
    if (step) v128.store_lane<i64>(y + step, halves, 1);
  }
}
