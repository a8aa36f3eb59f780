/**
 * How the operands of an integer product lie in memory, which depends on what multiplies them fastest on this host (src/runtime/features.ts
 * finds out). The integers, and so the results, are the same in each.
 *
 * A quantised row of x is a scale, a zero point z and integers q of 0 to 255, x[i] ~ scale * (q[i] - z). Rows stand in blocks of `rowsOf` a
 * form, k in steps of `stepOf`: [block][k / step][row][step], k padded to a multiple of 4. Room for them: rows padded to whole blocks.
 *
 *   Pairs      16 bit, q - z: i32x4.dot_i16x8_s, which every host has
 *   Unsigned    8 bit, q: i32x4.relaxed_dot_i8x16_i7x16_add_s where it multiplies signed by unsigned 8 bits exactly (x64 with VNNI)
 *   Signed      8 bit, q - 128: the same where it multiplies signed by signed (ARM)
 */
export const enum Form {
  Pairs = 0,
  Unsigned = 1,
  Signed = 2,
}

/**
 * Rows of a block, which are those of a tile. 5 x 8 sums of pairs, 2 weights, 1 input and 1 product are 14 of the 15 registers that V8 gives on
 * x64; bytes are multiplied and added in one instruction and need no product.
 */
// @ts-ignore: decorator
@inline
export const PAIRS_ROWS: i32 = 5;
// @ts-ignore: decorator
@inline
export const BYTES_ROWS: i32 = 6;

/** 2^-110: rows whose scale would be smaller become zeros, so that one over a scale is a finite number and not denormal. */
// @ts-ignore: decorator
@inline
export const SMALLEST_SCALE: f32 = 7.703719777548943e-34;

// @ts-ignore: decorator
@inline
export function rowsOf(form: Form): i32 {
  return form == Form.Pairs ? PAIRS_ROWS : BYTES_ROWS;
}

/** Bytes of a quantised row: k padded to a multiple of 4. */
// @ts-ignore: decorator
@inline
export function rowBytes(form: Form, k: i32): usize {
  const padded = <usize>((k + 3) & ~3);
  return form == Form.Pairs ? padded << 1 : padded;
}
