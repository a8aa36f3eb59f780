/**
 * i8_probe(w, x): a sum of four products of bytes, w taken as signed, as this host's i32x4.relaxed_dot_i8x16_i7x16_add_s makes it, which is promised
 * for x of 0 to 127 only; 0 in the baseline build, which does without.
 */
export function i8_probe(w: i32, x: i32): i32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return 0;
  return i32x4.extract_lane(i32x4.relaxed_dot_i8x16_i7x16_add_s(i8x16.splat(<i8>w), i8x16.splat(<i8>x), i32x4.splat(0)), 0);
}
