/**
 * 16-bit floats to float32 and back, exact for every bit pattern: denormal numbers, infinities, and NaN, which stays NaN.
 *
 *   x_to_f32(count, source, target)   source: count halves     target: count floats
 *   f32_to_x(count, source, target)   source: count floats     target: count halves, rounded to nearest, ties to even
 *
 * Any alignment. Elements are taken from the front, each read before it is overwritten: halves may lie in the second half of the floats
 * they become, and the halves made of floats may start where the floats do.
 *
 * binary16 has 5 bits of exponent (bias 15) and 10 of mantissa, bfloat16 is the upper half of a float32 (8 and 7), float32 has 8 (bias 127)
 * and 23.
 */

/** Four halves, each in the lower bits of a lane. */
// @ts-ignore: decorator
@inline
function widenF16(half: v128): v128 {
  const magnitude = v128.and(half, i32x4.splat(0x7fff));
  const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
  // with exponent and mantissa moved into place a number is 2^(127 - 15) too small, denormal ones included
  const finite = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(5.192296858534828e33));
  const special = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x7bff)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(finite, special), sign);
}

// @ts-ignore: decorator
@inline
function widenBf16(half: v128): v128 {
  return i32x4.shl(half, 16);
}

/** Four floats to halves in the lower bits of their lanes. */
// @ts-ignore: decorator
@inline
function narrowF16(x: v128): v128 {
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  // normal: the bias moves by 127 - 15, half a unit is added, less one where the last bit that stays is even; what is too large ends at infinity
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(i32x4.sub(magnitude, i32x4.splat(0x38000000)), i32x4.splat(0xfff)), odd);
  const normal = i32x4.min_s(i32x4.shr_s(rounded, 13), i32x4.splat(0x7c00));
  // denormal: below 2^-14 halves are multiples of 2^-24, the unit in the last place of 0.5, so that adding 0.5 rounds to them
  const denormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const small = i32x4.lt_s(magnitude, i32x4.splat(0x38800000));
  const nan = v128.and(f32x4.ne(x, x), i32x4.splat(0x7e00));
  return v128.or(v128.or(v128.bitselect(denormal, normal, small), nan), sign);
}

// @ts-ignore: decorator
@inline
function narrowBf16(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd), 16);
  const nan = v128.or(i32x4.shr_u(x, 16), i32x4.splat(0x40)); // rounding would carry a NaN into infinity or zero
  return v128.bitselect(nan, rounded, f32x4.ne(x, x));
}

export function f16_to_f32(count: usize, source: usize, target: usize): void {
  let i: usize = 0;
  for (; i + 4 <= count; i += 4) v128.store(target + 4 * i, widenF16(v128.load16x4_u(source + 2 * i)));
  for (; i < count; i++) v128.store_lane<f32>(target + 4 * i, widenF16(i32x4.splat(load<u16>(source + 2 * i))), 0);
}

export function bf16_to_f32(count: usize, source: usize, target: usize): void {
  let i: usize = 0;
  for (; i + 4 <= count; i += 4) v128.store(target + 4 * i, widenBf16(v128.load16x4_u(source + 2 * i)));
  for (; i < count; i++) v128.store_lane<f32>(target + 4 * i, widenBf16(i32x4.splat(load<u16>(source + 2 * i))), 0);
}

export function f32_to_f16(count: usize, source: usize, target: usize): void {
  let i: usize = 0;
  for (; i + 8 <= count; i += 8) {
    const low = narrowF16(v128.load(source + 4 * i));
    const high = narrowF16(v128.load(source + 4 * i, 16));
    v128.store(target + 2 * i, i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < count; i++) v128.store_lane<u16>(target + 2 * i, narrowF16(v128.load32_splat(source + 4 * i)), 0);
}

export function f32_to_bf16(count: usize, source: usize, target: usize): void {
  let i: usize = 0;
  for (; i + 8 <= count; i += 8) {
    const low = narrowBf16(v128.load(source + 4 * i));
    const high = narrowBf16(v128.load(source + 4 * i, 16));
    v128.store(target + 2 * i, i16x8.narrow_i32x4_u(low, high));
  }
  for (; i < count; i++) v128.store_lane<u16>(target + 2 * i, narrowBf16(v128.load32_splat(source + 4 * i)), 0);
}
