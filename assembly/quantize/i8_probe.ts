/**
 * i8_probe(w, x): a sum of four products of bytes, w taken as signed, as this host's i32x4.relaxed_dot_i8x16_i7x16_add_s makes it, which is promised
 * for x of 0 to 127 only; 0 where i16x8.relaxed_dot_i8x16_i7x16_s breaks the same promise, and in the baseline build, which does without.
 */
export function i8_probe(w: i32, x: i32): i32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return 0;
  const a = i8x16.splat(<i8>w);
  const b = i8x16.splat(<i8>x);
  const two = i16x8.extract_lane_s(i16x8.relaxed_dot_i8x16_i7x16_s(a, b), 0);
  if (x < 128 && two != w * x * 2) return 0;
  return i32x4.extract_lane(i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, i32x4.splat(0)), 0);
}
