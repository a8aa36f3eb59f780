/**
 * i16_attention(queries, keys, width, q, ldq, k, v, out, ldo, scale, weight, most, room, probabilities)
 *   out (queries, width) = weight * softmax(scale * q . k^T) . v, one head (Vaswani et al. 2017), both products in exact sums of 16-bit integers
 *
 * q (queries, width) and out with rows ldq and ldo elements apart. k and v are packed (i16_pack.ts) with integers up to `most`: k by i16_pack, its
 * columns being the keys, v by i16_pack_rows. weight is the head mask, 1 for none. Each query is made integers up to `most` with a scale of its
 * own, each row of e^(score - largest) integers up to 32767, as many as the sums can hold: most^2 * width and 2^30 + keys * most / 2 stay below
 * 2^31.
 *
 * room: for 4 queries at a time ceil(width / 2) * 16 bytes of integers, 4 rows of `keys` scores, each rounded up to 8, and ceil(keys / 4) * 32 bytes
 * of integers. `probabilities` (queries, keys), if not 0, receives weight * softmax(...) in float32, and `out` is the same to the bit.
 *
 * A NaN or an infinity in a query makes its row NaN, one in keys or values the whole head.
 */
import { putRow } from '../gemm/f32_tile';
import { f32_exponentials, f32_scale } from '../norm/f32_softmax';
import { loadTail } from '../simd';
import { integers, largestBits, scaleOf } from './i16_pack';

/** Rows of a tile: 4 x 8 sums, 2 weights, 1 input and 1 product. */
const ROWS: i32 = 4;

export function i16_attention(
  queries: i32, keys: i32, width: i32, q: usize, ldq: i32, k: usize, v: usize, out: usize, ldo: i32,
  scale: f32, weight: f32, most: i32, room: usize, probabilities: usize,
): void {
  const lds = (keys + 7) & ~7;
  const scores = room + (<usize>((width + 1) >> 1) << 4);
  const shares = scores + (<usize>(ROWS * lds) << 2);
  const keyScale = load<f32>(k) * scale;
  const valueScale = load<f32>(v) * weight;
  const largestSum = <f32>(1 << 30) / <f32>most;
  const keyPanel = <usize>((width + 1) >> 1) << 5;
  const valuePanel = <usize>((keys + 1) >> 1) << 5;
  for (let i = 0; i < queries; i += ROWS) {
    const rows = min(ROWS, queries - i);
    const from = q + ((<usize>i * <usize>ldq) << 2);
    let scales = f32x4.splat(0);
    scales = f32x4.replace_lane(scales, 0, quantizeQuery(width, from, most, room));
    if (rows > 1) scales = f32x4.replace_lane(scales, 1, quantizeQuery(width, from + (<usize>ldq << 2), most, room + 4));
    if (rows > 2) scales = f32x4.replace_lane(scales, 2, quantizeQuery(width, from + (<usize>ldq << 3), most, room + 8));
    if (rows > 3) scales = f32x4.replace_lane(scales, 3, quantizeQuery(width, from + 3 * (<usize>ldq << 2), most, room + 12));

    const one = f32x4.splat(1);
    for (let j = 0, p = k + 16; j < lds; j += 8, p += keyPanel) tile(ROWS, 8, (width + 1) >> 1, room, p, scores + (<usize>j << 2), lds, one);

    let factors = f32x4.splat(0); // of the shares
    let rests = f32x4.splat(0); // what the sums of shares times values are to be multiplied with
    for (let row = 0; row < rows; row++) {
      const s = scores + ((<usize>row * <usize>lds) << 2);
      const sum = f32_exponentials(keys, s, lane(scales, row) * keyScale, s);
      const factor = min<f32>(32767, largestSum / sum);
      factors = withLane(factors, row, factor);
      rests = withLane(rests, row, keys ? valueScale / (factor * sum) : 0);
      if (probabilities) f32_scale(keys, weight / sum, s, probabilities + ((<usize>(i + row) * <usize>keys) << 2));
    }
    quantizeShares(keys, lds, scores, factors, shares);
    const to = out + ((<usize>i * <usize>ldo) << 2);
    for (let j = 0, p = v + 16; j < width; j += 8, p += valuePanel) {
      tile(rows, min(8, width - j), (keys + 1) >> 1, shares, p, to + (<usize>j << 2), ldo, rests);
    }
  }
}

/** One query to its place among four: [width / 2][4 queries][2]; returns its scale. */
function quantizeQuery(width: i32, q: usize, most: i32, y: usize): f32 {
  const scale = scaleOf(largestBits(width, q), most);
  const inverse = f32x4.splat(scale > 0 ? <f32>1.0 / scale : 0);
  for (let i = 0; i < width; i += 4, y += 32) {
    const pairs = integers(i + 4 <= width ? v128.load(q + (<usize>i << 2)) : loadTail(q + (<usize>i << 2), width - i), inverse);
    v128.store_lane<i32>(y, pairs, 0);
    if (i + 2 < width) v128.store_lane<i32>(y, pairs, 1, 16);
  }
  return scale;
}

/** Four rows of numbers from 0 to 1, times a factor each, as integers: [keys / 2][4 rows][2]. */
function quantizeShares(keys: i32, lds: i32, x: usize, factors: v128, y: usize): void {
  const row = <usize>lds << 2;
  const f0 = v128.shuffle<f32>(factors, factors, 0, 0, 0, 0);
  const f1 = v128.shuffle<f32>(factors, factors, 1, 1, 1, 1);
  const f2 = v128.shuffle<f32>(factors, factors, 2, 2, 2, 2);
  const f3 = v128.shuffle<f32>(factors, factors, 3, 3, 3, 3);
  const round = f32x4.splat(12582912);
  const bits = i32x4.splat(0x4b400000);
  for (const end = x + ((<usize>keys & ~3) << 2); x < end; x += 16, y += 32) {
    const a = share(v128.load(x), f0, round, bits);
    const b = share(v128.load(x + row), f1, round, bits);
    const c = share(v128.load(x + 2 * row), f2, round, bits);
    const d = share(v128.load(x + 3 * row), f3, round, bits);
    putShares(a, b, c, d, y);
  }
  const tail = keys & 3;
  if (tail) {
    const a = share(loadTail(x, tail), f0, round, bits);
    const b = share(loadTail(x + row, tail), f1, round, bits);
    const c = share(loadTail(x + 2 * row, tail), f2, round, bits);
    const d = share(loadTail(x + 3 * row, tail), f3, round, bits);
    putShares(a, b, c, d, y);
  }
}

// @ts-ignore: decorator
@inline
function share(x: v128, factor: v128, round: v128, bits: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, factor), round), bits);
}

/** Four rows of four integers, pair beside pair. */
// @ts-ignore: decorator
@inline
function putShares(a: v128, b: v128, c: v128, d: v128, y: usize): void {
  const ab = i16x8.narrow_i32x4_s(a, b);
  const cd = i16x8.narrow_i32x4_s(c, d);
  v128.store(y, v128.shuffle<i32>(ab, cd, 0, 2, 4, 6));
  v128.store(y, v128.shuffle<i32>(ab, cd, 1, 3, 5, 7), 16);
}

/** c (rows, columns <= 8) = factors (rows) * a . w: a [steps][4 rows][2], w [steps][8 columns][2]. */
function tile(rows: i32, columns: i32, steps: i32, a: usize, w: usize, c: usize, ldc: i32, factors: v128): void {
  const zero = i32x4.splat(0);
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
  for (const end = a + (<usize>steps << 4); a < end; a += 16, w += 32) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    let x = v128.load32_splat(a);
    c00 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c00);
    c01 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c01);
    x = v128.load32_splat(a, 4);
    c10 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c10);
    c11 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c11);
    x = v128.load32_splat(a, 8);
    c20 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c20);
    c21 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c21);
    x = v128.load32_splat(a, 12);
    c30 = i32x4.add(i32x4.dot_i16x8_s(x, w0), c30);
    c31 = i32x4.add(i32x4.dot_i16x8_s(x, w1), c31);
  }
  const cs = <usize>ldc << 2;
  put(columns, c, c00, c01, v128.shuffle<f32>(factors, factors, 0, 0, 0, 0));
  if (rows > 1) put(columns, c + cs, c10, c11, v128.shuffle<f32>(factors, factors, 1, 1, 1, 1));
  if (rows > 2) put(columns, c + 2 * cs, c20, c21, v128.shuffle<f32>(factors, factors, 2, 2, 2, 2));
  if (rows > 3) put(columns, c + 3 * cs, c30, c31, v128.shuffle<f32>(factors, factors, 3, 3, 3, 3));
}

// @ts-ignore: decorator
@inline
function put(columns: i32, c: usize, x0: v128, x1: v128, factor: v128): void {
  putRow(columns, c, f32x4.mul(f32x4.convert_i32x4_s(x0), factor), f32x4.mul(f32x4.convert_i32x4_s(x1), factor), 0);
}

// @ts-ignore: decorator
@inline
function lane(x: v128, i: i32): f32 {
  if (i == 0) return f32x4.extract_lane(x, 0);
  if (i == 1) return f32x4.extract_lane(x, 1);
  if (i == 2) return f32x4.extract_lane(x, 2);
  return f32x4.extract_lane(x, 3);
}

// @ts-ignore: decorator
@inline
function withLane(x: v128, i: i32, value: f32): v128 {
  if (i == 0) return f32x4.replace_lane(x, 0, value);
  if (i == 1) return f32x4.replace_lane(x, 1, value);
  if (i == 2) return f32x4.replace_lane(x, 2, value);
  return f32x4.replace_lane(x, 3, value);
}
