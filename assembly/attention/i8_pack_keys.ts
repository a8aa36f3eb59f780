/**
 * i8_pack_keys(keys, width, x, ldx, room, target): the keys of one head (keys, width), rows ldx elements apart, less their mean, as the columns of an
 * integer product (../gemm/i8_pack.ts), made integers by i8_quantize_weights
 *
 * Taking the same vector off all keys changes all scores of a query by the same number, which the softmax does not see; what the keys have in common,
 * which is most of their largest numbers, then takes no part of the 8 bits (Zhang et al. 2024, "SageAttention"). room: two rows of floats, the
 * scales and the integers of a column. A NaN or an infinity makes all of them NaN.
 */
import { i8_quantize_weights, packColumn, panelBytes } from '../gemm/i8_pack';
import { GROUP, groupsOf } from '../quantize/i8_form';

export function i8_pack_keys(keys: i32, width: i32, x: usize, ldx: i32, room: usize, target: usize): void {
  const bytes = <usize>width << 2;
  const row = <usize>ldx << 2;
  const mean = room;
  const rest = mean + bytes;
  const scales = rest + bytes;
  const q = scales + (<usize>groupsOf(width) << 2);
  memory.fill(mean, 0, bytes);
  for (let i = 0, at = x; i < keys; i++, at += row) addScaled(width, mean, at, 1, mean);
  const minus = <f32>-1.0 / <f32>keys;
  memory.fill(target, 0, panelBytes(width) * <usize>((keys + 7) >> 3));
  for (let j = 0; j < keys; j++, x += row) {
    addScaled(width, x, mean, minus, rest);
    i8_quantize_weights(1, width, GROUP, rest, q, scales);
    packColumn(j, width, q, scales, target);
  }
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
