/**
 * i8_pack_keys(keys, width, x, ldx, room, target): the keys of one head (keys, width), rows ldx elements apart, less their mean, as the columns of an
 * integer product (../gemm/i8_pack.ts), made integers as by i8_quantize_weights
 *
 * Taking the same vector off all keys changes all scores of a query by the same number, which the softmax does not see; what the keys have in common,
 * which is most of their largest numbers, then takes no part of the 8 bits (Zhang et al. 2024, "SageAttention"). room: two rows of
 * floats. A NaN or an infinity makes all of them NaN.
 */
import { magnitude, narrow, panelBytes, sum } from '../gemm/i8_pack';
import { GROUP, SMALLEST_SCALE } from '../quantize/i8_form';
import { loadTail, nearestIntegers } from '../simd';

export function i8_pack_keys(keys: i32, width: i32, x: usize, ldx: i32, room: usize, target: usize): void {
  const bytes = <usize>width << 2;
  const row = <usize>ldx << 2;
  const mean = room;
  const rest = mean + bytes;
  memory.fill(mean, 0, bytes);
  for (let i = 0, at = x; i < keys; i++, at += row) addScaled(width, mean, at, 1, mean);
  const minus = <f32>-1.0 / <f32>keys;
  memory.fill(target, 0, panelBytes(width) * <usize>((keys + 7) >> 3));
  for (let j = 0; j < keys; j++, x += row) {
    addScaled(width, x, mean, minus, rest);
    let to = target + <usize>(j >> 3) * panelBytes(width) + (<usize>(j & 7) << 2) + 32;
    for (let first = 0; first < width; first += GROUP) to = packPart(min(GROUP, width - first), rest + (<usize>first << 2), to);
  }
}

/** x (count <= GROUP) as a group of a column: scale and integers of i8_quantize_weights, and their sum. Returns where the next group is. */
function packPart(count: i32, x: usize, head: usize): usize {
  const scale = magnitude(count, x) / 127;
  const known = scale >= SMALLEST_SCALE && scale < Infinity;
  const inverse = f32x4.splat(known ? <f32>1.0 / scale : 0);
  const zero = i32x4.splat(0);
  let sums = zero;
  let to = head + 64;
  for (; count >= 16; count -= 16, x += 64, to += 128) {
    const ab = i16x8.narrow_i32x4_s(nearestIntegers(v128.load(x), inverse), nearestIntegers(v128.load(x, 16), inverse));
    const cd = i16x8.narrow_i32x4_s(nearestIntegers(v128.load(x, 32), inverse), nearestIntegers(v128.load(x, 48), inverse));
    const bytes = i8x16.narrow_i16x8_s(ab, cd);
    v128.store_lane<i32>(to, bytes, 0);
    v128.store_lane<i32>(to, bytes, 1, 32);
    v128.store_lane<i32>(to, bytes, 2, 64);
    v128.store_lane<i32>(to, bytes, 3, 96);
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(i16x8.add(ab, cd)));
  }
  for (; count > 0; count -= 4, x += 16, to += 32) {
    const integers = nearestIntegers(count < 4 ? loadTail(x, count) : v128.load(x), inverse);
    store<i32>(to, narrow(integers));
    sums = i32x4.add(sums, integers);
  }
  store<f32>(head, known ? scale : scale < SMALLEST_SCALE ? 1 : NaN);
  store<i32>(head, sum(sums), 32);
  return to;
}

/** z = x + factor y */
// @ts-ignore: decorator
@inline
function addScaled(count: i32, x: usize, y: usize, factor: f32, z: usize): void {
  const f = f32x4.splat(factor);
  let i: usize = 0;
  for (const whole = (<usize>count & ~3) << 2; i < whole; i += 16) v128.store(z + i, f32x4.add(v128.load(x + i), f32x4.mul(f, v128.load(y + i))));
  for (const end = <usize>count << 2; i < end; i += 4) store<f32>(z + i, load<f32>(x + i) + factor * load<f32>(y + i));
}
