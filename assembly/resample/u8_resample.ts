/**
 * Pillow's resize of 8-bit pictures (src/libImaging/Resample.c), one pass a kernel, equal to it in every byte:
 *
 *   output = clip8((sum over taps of pixel * k + 2^21) >> 22),   k the weight as an integer times 2^-22
 *
 * `table` holds one entry of 8 + 8 * pairs bytes for each output column or row (see src/image/resize.ts, which makes it):
 *   i32 first      the first input column or row under the filter
 *   i32 count      pairs of taps in use, at most `pairs`
 *   pairs * i16[4] low k0, low k1, high k0, high k1 of two taps side by side: k = high * 2^15 + low, 0 <= low < 2^15;
 *                  k1 = 0 beside the last of an odd number of taps
 *
 * k is split so that it fits `i32x4.dot_i16x8_s`, which multiplies and adds two taps at a time. All sums are modulo 2^32, so the parts may
 * overflow; the whole does not, as in Pillow's `int`.
 */

/** Bytes of `first` and `count`. */
const HEAD: usize = 8;
/** Bytes of two taps. */
const PAIR: usize = 8;

/** clip8((low + high * 2^15 + 2^21) >> 22) of four sums, as 16-bit numbers in the lower half. */
// @ts-ignore: decorator
@inline
function levels(low: v128, high: v128): v128 {
  const sum = i32x4.add(i32x4.add(low, i32x4.shl(high, 15)), i32x4.splat(1 << 21));
  const level = i32x4.shr_s(sum, 22);
  return i16x8.narrow_i32x4_s(level, level);
}

/** Two pixels side by side in the order of a dot product, zero-extended to 16 bits: pair c is channel c of the first and of the second. */
function pairOrder(channels: i32): v128 {
  const first = i32x4(0x80008000, 0x80008001, 0x80008002, 0x80008003); // an index of 128 or more gives a zero
  return i32x4.add(first, i32x4.add(i32x4.shl(i32x4.splat(channels), 16), i32x4(0, 0x10000, 0x20000, 0x30000)));
}

/**
 * input (rows, width, channels) u8 -> output (rows, outWidth, channels) u8, channels 1 to 4.
 * Reads up to 7 bytes after `input` and writes up to 3 after `output`.
 */
export function u8_resample_horizontal(
  rows: i32,
  width: i32,
  outWidth: i32,
  channels: i32,
  pairs: i32,
  input: usize,
  table: usize,
  output: usize,
): void {
  const order = pairOrder(channels);
  const entryBytes = HEAD + <usize>pairs * PAIR;
  const rowBytes = <usize>width * channels;
  for (let row = 0; row < rows; row++) {
    let entry = table;
    for (let x = 0; x < outWidth; x++) {
      let pixel = input + <usize>load<i32>(entry) * channels;
      let low = i32x4.splat(0);
      let high = i32x4.splat(0);
      const end = entry + HEAD + <usize>load<i32>(entry, 4) * PAIR;
      for (let k = entry + HEAD; k < end; k += PAIR) {
        const two = i8x16.swizzle(v128.load64_zero(pixel), order);
        low = i32x4.add(low, i32x4.dot_i16x8_s(two, v128.load32_splat(k)));
        high = i32x4.add(high, i32x4.dot_i16x8_s(two, v128.load32_splat(k, 4)));
        pixel += 2 * channels;
      }
      const result = levels(low, high);
      v128.store32_lane(output, i8x16.narrow_i16x8_u(result, result), 0); // what is too much is overwritten by the next pixel
      output += channels;
      entry += entryBytes;
    }
    input += rowBytes;
  }
}

/**
 * input (any, rowBytes) u8, its first row being row `firstRow` of the picture -> output (outRows, rowBytes) u8. `table` begins with the
 * entry of the first output row. Reads up to one row and 15 bytes after the last row under a filter and writes up to 15 after `output`.
 */
export function u8_resample_vertical(
  outRows: i32,
  rowBytes: i32,
  pairs: i32,
  firstRow: i32,
  input: usize,
  table: usize,
  output: usize,
): void {
  for (let row = 0; row < outRows; row++) {
    const top = input + <usize>(load<i32>(table) - firstRow) * rowBytes;
    const end = table + HEAD + <usize>load<i32>(table, 4) * PAIR;
    for (let x = 0; x < rowBytes; x += 16) {
      let low0 = i32x4.splat(0);
      let low1 = low0;
      let low2 = low0;
      let low3 = low0;
      let high0 = low0;
      let high1 = low0;
      let high2 = low0;
      let high3 = low0;
      let upper = top + x;
      for (let k = table + HEAD; k < end; k += PAIR) {
        const a = v128.load(upper);
        const b = v128.load(upper + rowBytes);
        const left = v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const right = v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        const two0 = i16x8.extend_low_i8x16_u(left);
        const two1 = i16x8.extend_high_i8x16_u(left);
        const two2 = i16x8.extend_low_i8x16_u(right);
        const two3 = i16x8.extend_high_i8x16_u(right);
        const lowK = v128.load32_splat(k);
        const highK = v128.load32_splat(k, 4);
        low0 = i32x4.add(low0, i32x4.dot_i16x8_s(two0, lowK));
        low1 = i32x4.add(low1, i32x4.dot_i16x8_s(two1, lowK));
        low2 = i32x4.add(low2, i32x4.dot_i16x8_s(two2, lowK));
        low3 = i32x4.add(low3, i32x4.dot_i16x8_s(two3, lowK));
        high0 = i32x4.add(high0, i32x4.dot_i16x8_s(two0, highK));
        high1 = i32x4.add(high1, i32x4.dot_i16x8_s(two1, highK));
        high2 = i32x4.add(high2, i32x4.dot_i16x8_s(two2, highK));
        high3 = i32x4.add(high3, i32x4.dot_i16x8_s(two3, highK));
        upper += 2 * rowBytes;
      }
      const a = v128.shuffle<u64>(levels(low0, high0), levels(low1, high1), 0, 2);
      const b = v128.shuffle<u64>(levels(low2, high2), levels(low3, high3), 0, 2);
      v128.store(output + x, i8x16.narrow_i16x8_u(a, b)); // what is too much is overwritten by the next row
    }
    output += rowBytes;
    table += HEAD + <usize>pairs * PAIR;
  }
}
