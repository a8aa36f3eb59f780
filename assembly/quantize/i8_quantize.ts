/**
 * i8_quantize(form, rows, columns, x, ldx, multiplier, heads, y)
 *   x (rows, columns), rows ldx elements apart, times multiplier (columns; 0 for none) -> quantised rows (i8_form.ts): y, and heads (rows), each
 *   its scale (f32) and the zero point that the product has to take off (i32)
 *
 * scale = (max - min) / 255 with 0 between min and max, z = round(-min / scale), q = round(x / scale) + z, ties to even (Jacob et al. 2018,
 * "Quantization and training of neural networks for efficient integer-arithmetic-only inference"): |x - scale (q - z)| <= 0.5 scale, and up to
 * 1 scale at either end. A row with a NaN or an infinity has the scale NaN, so that all of its products are NaN; one whose range is below 2^-110
 * becomes zeros.
 */
import { loadTail, maxLanes, minLanes } from '../simd';
import { BYTES_ROWS, Form, PAIRS_ROWS, rowBytes, rowsOf } from './i8_form';

export function i8_quantize(form: Form, rows: i32, columns: i32, x: usize, ldx: i32, multiplier: usize, heads: usize, y: usize): void {
  const bytes = rowBytes(form, columns);
  const block = rowsOf(form);
  for (let row = 0; row < rows; row++, x += <usize>ldx << 2, heads += 8) {
    i8_quantize_row(form, columns, x, multiplier, heads, y + <usize>(row / block * block) * bytes + (<usize>(row % block) << 2));
  }
}

const PART: f32 = 0.00392156862745098; // 1 / 255
const SMALLEST: f32 = 7.703719777548943e-34; // 2^-110
const ROUND: f32 = 12582912; // 1.5 2^23: added to a small number, it leaves its nearest integer in the lowest bits
const ROUND_BITS: i32 = 0x4b400000;

/** One row, to its place within a block. */
export function i8_quantize_row(form: Form, columns: i32, x: usize, multiplier: usize, head: usize, y: usize): void {
  const whole = columns & ~3;
  const tail = columns & 3;
  const magnitude = i32x4.splat(0x7fffffff);
  let low = f32x4.splat(0), high = low, largest = low;
  for (let i = 0; i < whole; i += 4) {
    const v = scaled(x, multiplier, i);
    low = f32x4.pmin(low, v);
    high = f32x4.pmax(high, v);
    largest = i32x4.max_s(largest, v128.and(v, magnitude)); // orders NaN above infinity above all numbers
  }
  if (tail) {
    const v = scaledTail(x, multiplier, whole, tail);
    low = f32x4.pmin(low, v);
    high = f32x4.pmax(high, v);
    largest = i32x4.max_s(largest, v128.and(v, magnitude));
  }
  const finite = !v128.any_true(i32x4.gt_s(largest, i32x4.splat(0x7f7fffff)));
  const min = minLanes(low);
  const scale = maxLanes(high) * PART - min * PART; // in parts, as max - min may overflow
  const known = finite && scale >= SMALLEST;
  const inverse: f32 = known ? <f32>1.0 / scale : 0;
  const zero = known ? <i32>nearest(-min * inverse) : 0;
  store<f32>(head, finite ? (known ? scale : 0) : NaN);
  store<i32>(head, form == Form.Pairs ? 0 : form == Form.Unsigned ? zero : zero - 128, 4);

  if (!known) {
    for (let i = 0; i < columns; i += 4) put(form, i32x4.splat(0), 0, y + step(form, i));
    return;
  }
  const factor = f32x4.splat(inverse);
  for (let i = 0; i < whole; i += 4) put(form, scaledInteger(scaled(x, multiplier, i), factor), zero, y + step(form, i));
  if (tail) put(form, scaledInteger(scaledTail(x, multiplier, whole, tail), factor), zero, y + step(form, whole));
}

// @ts-ignore: decorator
@inline
function scaled(x: usize, multiplier: usize, i: i32): v128 {
  const v = v128.load(x + (<usize>i << 2));
  return multiplier ? f32x4.mul(v, v128.load(multiplier + (<usize>i << 2))) : v;
}

// @ts-ignore: decorator
@inline
function scaledTail(x: usize, multiplier: usize, i: i32, tail: i32): v128 {
  const v = loadTail(x + (<usize>i << 2), tail);
  return multiplier ? f32x4.mul(v, loadTail(multiplier + (<usize>i << 2), tail)) : v;
}

// @ts-ignore: decorator
@inline
function scaledInteger(v: v128, factor: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v, factor), f32x4.splat(ROUND)), i32x4.splat(ROUND_BITS));
}

/** Where the four integers from column i on go, from the row's place in its block. */
// @ts-ignore: decorator
@inline
function step(form: Form, i: i32): usize {
  return form == Form.Pairs ? <usize>(i >> 1) * (PAIRS_ROWS << 2) : <usize>(i >> 2) * (BYTES_ROWS << 2);
}

/** Four integers q - z, where rounding may have gone one too far. */
// @ts-ignore: decorator
@inline
function put(form: Form, integers: v128, zero: i32, y: usize): void {
  const q = i32x4.max_s(i32x4.min_s(integers, i32x4.splat(255 - zero)), i32x4.splat(-zero));
  if (form == Form.Pairs) {
    const pairs = i16x8.narrow_i32x4_s(q, q);
    v128.store_lane<i32>(y, pairs, 0);
    v128.store_lane<i32>(y, pairs, 1, PAIRS_ROWS << 2);
  } else {
    const bytes = i32x4.add(q, i32x4.splat(zero));
    const words = i16x8.narrow_i32x4_s(bytes, bytes);
    const quads = i8x16.narrow_i16x8_u(words, words);
    v128.store_lane<i32>(y, form == Form.Unsigned ? quads : v128.xor(quads, i8x16.splat(-128)), 0);
  }
}
