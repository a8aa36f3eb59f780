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
import { f32_exponentials, f32_scale } from '../norm/f32_softmax';
import { Form, GROUP, groupsOf, PAIRS_ROWS, rowBytes, rowsOf, stepBytes } from '../quantize/i8_form';
import { i8_quantize } from '../quantize/i8_quantize';
import { loadTail, nearestIntegers } from '../simd';

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
      const sum = f32_exponentials(keys, s, scale, s);
      if (probabilities) f32_scale(keys, weight / sum, s, probabilities + ((<usize>(first + row) * <usize>keys) << 2));
      quantizeShares(shareForm, row, keys, s, weight / (MOST * sum), shareHeads, shares);
    }
    i8_gemm(shareForm, rows, width, keys, shareHeads, shares, v, out + ((<usize>first * <usize>ldo) << 2), ldo, Activation.None, own, PANELS);
  }
}

/** Panels that a product in the form of pairs widens at a time. */
const PANELS: i32 = 4;

/** The largest share, of 1. */
const MOST: f32 = 16383;

/** x (keys), from 0 to 1, as integers to a row of theirs, whose sums times values are to be multiplied with `scale`. */
function quantizeShares(form: Form, row: i32, keys: i32, x: usize, scale: f32, heads: usize, y: usize): void {
  const block = rowsOf(form);
  const first = row / block * block;
  const within = row - first;
  heads += <usize>(first * groupsOf(keys) + within) << 3;
  for (let left = keys; left > 0; left -= GROUP, heads += <usize>block << 3) {
    store<f32>(heads, scale);
    store<i32>(heads, 0, 4);
  }
  const step = stepBytes(form);
  y += <usize>first * rowBytes(form, keys) + (<usize>within << (form == Form.Pairs ? 2 : 3));
  let i = 0;
  for (; i + 8 <= keys; i += 8, x += 32, y += 2 * step) put(form, shares(v128.load(x)), shares(v128.load(x, 16)), step, y);
  for (; i < keys; i += 4, x += 16, y += step) put(form, shares(i + 4 <= keys ? v128.load(x) : loadTail(x, keys - i)), i32x4.splat(0), 0, y);
}

// @ts-ignore: decorator
@inline
function shares(x: v128): v128 {
  return nearestIntegers(x, f32x4.splat(MOST));
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
