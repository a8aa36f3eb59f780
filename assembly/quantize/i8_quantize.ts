/**
 * i8_quantize(form, rows, columns, x, ldx, heads, y)
 *   x (rows, columns), rows ldx elements apart -> quantised rows (i8_form.ts): y, and heads, each the scale of a group and the zero point that the
 *   product has to take off
 *
 * i8_layer_norm(form, rows, columns, x, weight, bias, epsilon, room, heads, y)
 *   the same of the layer norm of x, rows columns elements apart; room: a row of floats
 *
 * scale = (max - min) / 255 with 0 between min and max, z = round(-min / scale), q = round(x / scale) + z, ties to even (Jacob et al. 2018,
 * "Quantization and training of neural networks for efficient integer-arithmetic-only inference"): 0 is exact and |x - scale (q - z)| <= 0.5001 scale.
 * A group with a NaN or an infinity has the scale NaN, so that all products of its row are NaN; one whose scale would be below 2^-110 has the scale 0
 * and becomes zeros.
 */
import { f32_layer_norm } from '../norm/f32_layer_norm';
import { loadTail, maxLanes, minLanes } from '../simd';
import { Form, GROUP, groupsOf, PAIRS_ROWS, rowBytes, rowsOf, SMALLEST_SCALE, stepBytes } from './i8_form';

export function i8_quantize(form: Form, rows: i32, columns: i32, x: usize, ldx: i32, heads: usize, y: usize): void {
  for (let row = 0; row < rows; row++, x += <usize>ldx << 2) quantizeRow(form, row, columns, x, heads, y);
}

export function i8_layer_norm(
  form: Form, rows: i32, columns: i32, x: usize, weight: usize, bias: usize, epsilon: f32, room: usize, heads: usize, y: usize,
): void {
  for (let row = 0; row < rows; row++, x += <usize>columns << 2) {
    f32_layer_norm(1, columns, x, weight, bias, epsilon, room);
    quantizeRow(form, row, columns, room, heads, y);
  }
}

/** x (columns) to its place, group by group. */
function quantizeRow(form: Form, row: i32, columns: i32, x: usize, heads: usize, y: usize): void {
  const tile = rowsOf(form);
  const first = row / tile * tile;
  const within = row - first;
  heads += <usize>(first * groupsOf(columns) + within) << 3;
  y += <usize>first * rowBytes(form, columns) + (<usize>within << 2);
  for (; columns > 0; columns -= GROUP, x += GROUP << 2, heads += <usize>tile << 3, y += stepBytes(form) * (GROUP >> 2)) {
    quantizeGroup(form, min(GROUP, columns), x, heads, y);
  }
}

const PART: f32 = 0.00392156862745098; // 1 / 255
const ROUND: f32 = 12582912; // 1.5 2^23: added to a small number, it leaves its nearest integer in the lowest bits
const ROUND_BITS: i32 = 0x4b400000;

/** x (columns <= GROUP) to a place within a block. */
function quantizeGroup(form: Form, columns: i32, x: usize, head: usize, y: usize): void {
  const whole = (<usize>columns & ~3) << 2;
  const tail = columns & 3;
  const magnitude = i32x4.splat(0x7fffffff);
  let low = tail ? loadTail(x + whole, tail) : f32x4.splat(0);
  let high = low;
  let largest = v128.and(low, magnitude); // orders NaN above infinity above all numbers
  for (let i: usize = 0; i < whole; i += 16) {
    const v = v128.load(x + i);
    low = f32x4.pmin(low, v);
    high = f32x4.pmax(high, v);
    largest = i32x4.max_s(largest, v128.and(v, magnitude));
  }
  const finite = !v128.any_true(i32x4.gt_s(largest, i32x4.splat(0x7f7fffff)));
  const bottom = min<f32>(0, minLanes(low));
  const scale = max<f32>(0, maxLanes(high)) * PART - bottom * PART; // in parts, as max - min may overflow
  const known = finite && scale >= SMALLEST_SCALE;
  const inverse: f32 = known ? <f32>1.0 / scale : 0;
  const zero = known ? <i32>nearest(-bottom * inverse) : 0;
  store<f32>(head, finite ? (known ? scale : 0) : NaN);
  store<i32>(head, form == Form.Pairs ? 0 : form == Form.Unsigned ? zero : zero - 128, 4);

  // what the loops need, read before them, which leaves it in registers
  const factor = f32x4.splat(inverse);
  const round = f32x4.splat(ROUND);
  const bits = i32x4.splat(ROUND_BITS);
  const least = i16x8.splat(<i16>-zero);
  const most = i16x8.splat(<i16>(255 - zero));
  const offset = i16x8.splat(<i16>zero);
  const sign = i8x16.splat(form == Form.Signed ? -128 : 0);
  const step = stepBytes(form);
  if (!known) {
    // NaN times 0 is no number
    for (let i: usize = 0; i < <usize>columns; i += 4, y += step) put(form, f32x4.splat(0), factor, round, bits, least, most, offset, sign, y);
    return;
  }
  for (let i: usize = 0; i < whole; i += 16, y += step) put(form, v128.load(x + i), factor, round, bits, least, most, offset, sign, y);
  if (tail) put(form, loadTail(x + whole, tail), factor, round, bits, least, most, offset, sign, y);
}

/** Four numbers as integers q - z, where rounding may have gone one too far, or q. */
// @ts-ignore: decorator
@inline
function put(
  form: Form, v: v128, factor: v128, round: v128, bits: v128, least: v128, most: v128, offset: v128, sign: v128, y: usize,
): void {
  const integers = i32x4.sub(f32x4.add(f32x4.mul(v, factor), round), bits);
  const q = i16x8.max_s(i16x8.min_s(i16x8.narrow_i32x4_s(integers, integers), most), least);
  if (form == Form.Pairs) {
    v128.store_lane<i32>(y, q, 0);
    v128.store_lane<i32>(y, q, 1, PAIRS_ROWS << 2);
  } else {
    const words = i16x8.add(q, offset);
    v128.store_lane<i32>(y, v128.xor(i8x16.narrow_i16x8_u(words, words), sign), 0);
  }
}
