/**
 * How the operands of an integer product lie in memory, which depends on what multiplies them fastest on this host (src/runtime/features.ts
 * finds out). The integers, and so the results, are the same in each.
 *
 * Every GROUP numbers of a row of x that follow one another, the last of them what is left, have a scale and a zero point z of their own and
 * integers q of 0 to 255: x[i] ~ scale * (q[i] - z). An outlier then costs its group precision, and no other. Rows stand in blocks of `rowsOf`
 * rows. The integers: [block][k / step][row][step], a step being what one instruction multiplies, a pair or 4 bytes, k padded to a multiple of 4.
 * The heads, each a scale (f32) and what has to be added to an integer in memory to give q - z (i32): [block][group][row]. Room for both: rows padded to whole blocks.
 *
 *   Pairs      16 bit, q - z: i32x4.dot_i16x8_s, which every host has
 *   Unsigned    8 bit, q: i32x4.relaxed_dot_i8x16_i7x16_add_s where it multiplies signed by unsigned 8 bits exactly (x64 with VNNI)
 *   Signed      8 bit, q - 128: the same where it multiplies signed by signed (ARM)
 *
 * For integers of 0 to 16383, which 16 bits hold as well (z = 0), the second and third have one more between them:
 *
 *   Halves      7 bit, q >> 7 and q & 127: the same instruction within what relaxed SIMD promises; a step is 4 upper and 4 lower halves
 */
export const enum Form {
  Pairs = 0,
  Unsigned = 1,
  Signed = 2,
  Halves = 3,
}

/** Numbers that share a scale. A sum of so many products of 8 bits fits into 24 bits, so that it becomes a float exactly. */
// @ts-ignore: decorator
@inline
export const GROUP: i32 = 128;

/**
 * Rows of a block, which are those of a tile. Pairs need a register for their product, which leaves V8 room for 5 rows on x64, but V8 of Node 20, which
 * loads early, for 4; bytes are multiplied and added in one instruction. Three rows of halves are six of bytes.
 */
// @ts-ignore: decorator
@inline
export const PAIRS_ROWS: i32 = 4;
// @ts-ignore: decorator
@inline
export const BYTES_ROWS: i32 = 6;
// @ts-ignore: decorator
@inline
export const HALVES_ROWS: i32 = 3;

/** 2^-110: rows whose scale would be smaller become zeros, so that one over a scale is a finite number and not denormal. */
// @ts-ignore: decorator
@inline
export const SMALLEST_SCALE: f32 = 7.703719777548943e-34;

// @ts-ignore: decorator
@inline
export function rowsOf(form: Form): i32 {
  return form == Form.Pairs ? PAIRS_ROWS : form == Form.Halves ? HALVES_ROWS : BYTES_ROWS;
}

// @ts-ignore: decorator
@inline
export function groupsOf(k: i32): i32 {
  return (k + GROUP - 1) / GROUP;
}

/** Bytes of a quantised row: k padded to a multiple of 4. */
// @ts-ignore: decorator
@inline
export function rowBytes(form: Form, k: i32): usize {
  const padded = <usize>((k + 3) & ~3);
  return form == Form.Pairs || form == Form.Halves ? padded << 1 : padded;
}

/** Bytes of a block from four columns to the next four. */
// @ts-ignore: decorator
@inline
export function stepBytes(form: Form): usize {
  return form == Form.Pairs ? PAIRS_ROWS << 3 : form == Form.Halves ? HALVES_ROWS << 3 : BYTES_ROWS << 2;
}

/**
 * How many numbers of a row of k follow number i in one run: all have one scale among the inputs, `width` of which are of one place of an image and have
 * groups of their own, and one among the weights, whose groups go on over all of a row. Of a row that is no patch width is k.
 */
// @ts-ignore: decorator
@inline
export function runOf(i: i32, width: i32): i32 {
  const within = i % width;
  return min(min(width - within, GROUP - within % GROUP), GROUP - i % GROUP);
}

/** How many runs there are in a row. */
export function runsOf(k: i32, width: i32): i32 {
  let runs = 0;
  for (let i = 0; i < k; runs++) i += runOf(i, width);
  return runs;
}
