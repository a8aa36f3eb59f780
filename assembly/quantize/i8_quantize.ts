/**
 * i8_quantize(form, rows, columns, x, ldx, room, heads, y)
 *   x (rows, columns), rows ldx elements apart -> quantised rows (i8_form.ts): y, and heads, a scale and a summand for each group. room: 0, or a row of
 *   floats, with which the rows are rotated before (f32_rotate.ts)
 *
 * i8_layer_norm(form, rows, columns, x, weight, bias, epsilon, room, heads, y)
 *   the same of the rotated layer norm of x, rows columns elements apart; room: two rows of floats
 *
 * scale = (max - min) / 255 with 0 between min and max, z = round(-min / scale), q = round(x / scale + z), ties to even (Jacob et al. 2018,
 * "Quantization and training of neural networks for efficient integer-arithmetic-only inference"): 0 is exact and |x - scale (q - z)| <= 0.5001 scale.
 * A group with a NaN or an infinity has the scale NaN, so that all products of its row are NaN; one whose scale would be below 2^-110 has the scale 0
 * and becomes zeros.
 */
import { f32_layer_norm } from '../norm/f32_layer_norm';
import { loadTail } from '../simd';
import { f32_rotate } from './f32_rotate';
import { Form, GROUP, groupsOf, rowBytes, rowsOf, SMALLEST_SCALE, stepBytes } from './i8_form';

export function i8_quantize(form: Form, rows: i32, columns: i32, x: usize, ldx: i32, room: usize, heads: usize, y: usize): void {
  for (let row = 0; row < rows; row++, x += <usize>ldx << 2) {
    if (room) f32_rotate(1, columns, x, room);
    quantizeRow(form, row, columns, room ? room : x, heads, y);
  }
}

export function i8_layer_norm(
  form: Form, rows: i32, columns: i32, x: usize, weight: usize, bias: usize, epsilon: f32, room: usize, heads: usize, y: usize,
): void {
  const bytes = <usize>columns << 2;
  for (let row = 0; row < rows; row += 2, x += 2 * bytes) {
    const count = min(2, rows - row);
    f32_layer_norm(count, columns, x, weight, bias, epsilon, room);
    f32_rotate(count, columns, room, room);
    quantizeRow(form, row, columns, room, heads, y);
    if (count > 1) quantizeRow(form, row + 1, columns, room + bytes, heads, y);
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
    quantizeGroup(form, min(GROUP, columns), x, heads, y, stepBytes(form));
  }
}

const PART: f32 = 0.00392156862745098; // 1 / 255
const ROUND: f32 = 12582912; // 1.5 2^23: added to a small number, it leaves its nearest integer in the lowest bits
const ROUND_BITS: i32 = 0x4b400000;

/** x (columns <= GROUP) to a place of which four columns are `step` bytes from the next four. */
export function quantizeGroup(form: Form, columns: i32, x: usize, head: usize, y: usize, step: usize): void {
  quantize(form, columns, false, x, head, y, step);
}

/** The same of the ReLU of x. */
export function quantizePositive(form: Form, columns: i32, x: usize, head: usize, y: usize, step: usize): void {
  quantize(form, columns, true, x, head, y, step);
}

// @ts-ignore: decorator
@inline
function quantize(form: Form, columns: i32, relu: bool, x: usize, head: usize, y: usize, step: usize): void {
  const sixteens = (<usize>columns & ~15) << 2;
  const whole = (<usize>columns & ~3) << 2;
  const tail = columns & 3;
  let low = tail ? rectified(relu, loadTail(x + whole, tail)) : f32x4.splat(0); // with a 0 in it
  let high = low;
  let i: usize = 0;
  for (; i < sixteens; i += 64) {
    const a = rectified(relu, v128.load(x + i));
    const b = rectified(relu, v128.load(x + i, 16));
    const c = rectified(relu, v128.load(x + i, 32));
    const d = rectified(relu, v128.load(x + i, 48));
    low = f32x4.pmin(low, f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, d)));
    high = f32x4.pmax(high, f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)));
  }
  for (; i < whole; i += 16) {
    const v = rectified(relu, v128.load(x + i));
    low = f32x4.pmin(low, v);
    high = f32x4.pmax(high, v);
  }
  const minusHigh = f32x4.neg(high);
  let ends = f32x4.pmin(v128.shuffle<f32>(low, minusHigh, 0, 1, 4, 5), v128.shuffle<f32>(low, minusHigh, 2, 3, 6, 7));
  ends = f32x4.pmin(ends, v128.shuffle<f32>(ends, ends, 1, 0, 3, 2));
  const bottom = f32x4.extract_lane(ends, 0);
  const scale = f32x4.extract_lane(ends, 2) * -PART - bottom * PART; // in parts, as max - min may overflow
  const known = scale >= SMALLEST_SCALE && scale < Infinity;
  const inverse: f32 = known ? <f32>1.0 / scale : 0;
  const zero = known ? <i32>nearest(-bottom * inverse) : 0;

  const factor = f32x4.splat(inverse);
  const round = f32x4.splat(ROUND + <f32>zero); // exact
  const bits = i32x4.splat(ROUND_BITS);
  const offset = i16x8.splat(<i16>zero);
  const sign = i8x16.splat(form == Form.Signed ? -128 : 0);
  let seen = i32x4.splat(0); // the bits of all words: 0 to 256, the ends of a word for what was no number
  i = 0;
  if (form != Form.Pairs) {
    for (; i < sixteens; i += 64, y += 4 * step) {
      const a = integers(rectified(relu, v128.load(x + i)), factor, round, bits);
      const b = integers(rectified(relu, v128.load(x + i, 16)), factor, round, bits);
      const c = integers(rectified(relu, v128.load(x + i, 32)), factor, round, bits);
      const d = integers(rectified(relu, v128.load(x + i, 48)), factor, round, bits);
      const ab = i16x8.narrow_i32x4_s(a, b);
      const cd = i16x8.narrow_i32x4_s(c, d);
      seen = v128.or(seen, v128.or(ab, cd));
      const q = v128.xor(i8x16.narrow_i16x8_u(ab, cd), sign);
      if (step == 4) v128.store(y, q);
      else {
        v128.store_lane<i32>(y, q, 0);
        v128.store_lane<i32>(y + step, q, 1);
        v128.store_lane<i32>(y + 2 * step, q, 2);
        v128.store_lane<i32>(y + 3 * step, q, 3);
      }
    }
  }
  for (; i < whole; i += 16, y += step) seen = v128.or(seen, put(form, integers(rectified(relu, v128.load(x + i)), factor, round, bits), offset, sign, y, step));
  if (tail) seen = v128.or(seen, put(form, integers(rectified(relu, loadTail(x + whole, tail)), factor, round, bits), offset, sign, y, step));
  const numbers = !v128.any_true(v128.and(seen, i16x8.splat(<i16>0xfe00)));
  store<f32>(head, numbers ? (known ? scale : 0) : NaN); // by 0 and NaN it does not matter what the integers are
  store<i32>(head, form == Form.Pairs ? 0 : form == Form.Unsigned ? -zero : 128 - zero, 4);
}

/** The larger of x and 0, or x as it is. */
// @ts-ignore: decorator
@inline
function rectified(relu: bool, x: v128): v128 {
  return relu ? f32x4.pmax(x, f32x4.splat(0)) : x;
}

/** Four numbers as integers q of 0 to 256, as rounding may go one too far. */
// @ts-ignore: decorator
@inline
function integers(x: v128, factor: v128, round: v128, bits: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, factor), round), bits);
}

/** Four integers to their place, as q - z or q; returns them as words. */
// @ts-ignore: decorator
@inline
function put(form: Form, integers: v128, offset: v128, sign: v128, y: usize, step: usize): v128 {
  const words = i16x8.narrow_i32x4_s(integers, integers);
  if (form == Form.Pairs) {
    const q = i16x8.sub(i16x8.max_s(i16x8.min_s(words, i16x8.splat(255)), i16x8.splat(0)), offset);
    v128.store_lane<i32>(y, q, 0);
    v128.store_lane<i32>(y + (step >> 1), q, 1);
  } else {
    v128.store_lane<i32>(y, v128.xor(i8x16.narrow_i16x8_u(words, words), sign), 0);
  }
  return words;
}
