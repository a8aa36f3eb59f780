/**
 * Blocks of coefficients -> samples, by the integer inverse transform of libjpeg ("islow": Loeffler, Ligtenberg and Moschytz, "Practical fast
 * 1-D DCT algorithms with 11 multiplications", ICASSP 1989), equal to it in every bit: constants times 2^13, 2 bits more between the passes.
 */

const PASS1 = 11; // 13 bits of the constants less the 2 that are kept
const PASS2 = 18; // 13 + 2 + 3: a pass makes numbers larger by the root of 8

// @ts-ignore: decorator
@inline
function times(x: v128, constant: i32): v128 {
  return i32x4.mul(x, i32x4.splat(constant));
}

// @ts-ignore: decorator
@inline
function descale(x: v128, bits: i32): v128 {
  return i32x4.shr_s(i32x4.add(x, i32x4.splat(1 << (bits - 1))), bits);
}

/** Rows of a 4 x 4 matrix as columns, at places 32 bytes apart. */
// @ts-ignore: decorator
@inline
function storeTransposed(target: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab0 = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<u64>(ab0, cd0, 0, 2));
  v128.store(target, v128.shuffle<u64>(ab0, cd0, 1, 3), 32);
  v128.store(target, v128.shuffle<u64>(ab1, cd1, 0, 2), 64);
  v128.store(target, v128.shuffle<u64>(ab1, cd1, 1, 3), 96);
}

/** The transform of four columns of source i32 (8, 8), into four rows of target. */
function pass(source: usize, target: usize, bits: i32): void {
  const x1 = v128.load(source, 32);
  const x3 = v128.load(source, 96);
  const x5 = v128.load(source, 160);
  const x7 = v128.load(source, 224);
  let z3 = i32x4.add(x7, x3);
  let z4 = i32x4.add(x5, x1);
  const z5 = times(i32x4.add(z3, z4), 9633);
  z3 = i32x4.add(times(z3, -16069), z5);
  z4 = i32x4.add(times(z4, -3196), z5);
  const z1 = times(i32x4.add(x7, x1), -7373);
  const z2 = times(i32x4.add(x5, x3), -20995);
  const odd0 = i32x4.add(times(x7, 2446), i32x4.add(z1, z3));
  const odd1 = i32x4.add(times(x5, 16819), i32x4.add(z2, z4));
  const odd2 = i32x4.add(times(x3, 25172), i32x4.add(z2, z3));
  const odd3 = i32x4.add(times(x1, 12299), i32x4.add(z1, z4));

  const x0 = v128.load(source);
  const x2 = v128.load(source, 64);
  const x4 = v128.load(source, 128);
  const x6 = v128.load(source, 192);
  const z = times(i32x4.add(x2, x6), 4433);
  const inner = i32x4.add(z, times(x6, -15137));
  const outer = i32x4.add(z, times(x2, 6270));
  const sum = i32x4.shl(i32x4.add(x0, x4), 13);
  const difference = i32x4.shl(i32x4.sub(x0, x4), 13);
  const even0 = i32x4.add(sum, outer);
  const even3 = i32x4.sub(sum, outer);
  const even1 = i32x4.add(difference, inner);
  const even2 = i32x4.sub(difference, inner);

  storeTransposed(
    target,
    descale(i32x4.add(even0, odd3), bits),
    descale(i32x4.add(even1, odd2), bits),
    descale(i32x4.add(even2, odd1), bits),
    descale(i32x4.add(even3, odd0), bits),
  );
  storeTransposed(
    target + 16,
    descale(i32x4.sub(even3, odd0), bits),
    descale(i32x4.sub(even2, odd1), bits),
    descale(i32x4.sub(even1, odd2), bits),
    descale(i32x4.sub(even0, odd3), bits),
  );
}

/**
 * coefficients i16 (blocks, 8, 8) times quantization i32 (8, 8) -> output u8 (8, blocks * 8), its rows `stride` bytes apart.
 * @param room i32 (2, 8, 8)
 */
export function u8_jpeg_idct(blocks: i32, coefficients: usize, quantization: usize, output: usize, stride: i32, room: usize): void {
  const other = room + 256;
  for (let block = 0; block < blocks; block++) {
    let others = v128.and(v128.load(coefficients), i16x8(0, -1, -1, -1, -1, -1, -1, -1));
    for (let i: usize = 16; i < 128; i += 16) others = v128.or(others, v128.load(coefficients + i));
    if (v128.any_true(others)) {
      for (let i: usize = 0; i < 64; i += 4) {
        v128.store(room + 4 * i, i32x4.mul(v128.load16x4_s(coefficients + 2 * i), v128.load(quantization + 4 * i)));
      }
      pass(room, other, PASS1);
      pass(room + 16, other + 128, PASS1);
      pass(other, room, PASS2);
      pass(other + 16, room + 128, PASS2);
      for (let row: usize = 0; row < 8; row++) {
        const samples = i16x8.narrow_i32x4_s(v128.load(room + row * 32), v128.load(room + row * 32, 16));
        const shifted = i16x8.add_sat_s(samples, i16x8.splat(128));
        v128.store64_lane(output + row * stride, i8x16.narrow_i16x8_u(shifted, shifted), 0);
      }
    } else {
      // what the above gives where all but the mean is 0
      const mean = i32x4.splat((((<i32>load<i16>(coefficients) * load<i32>(quantization)) << 2) + 16) >> 5);
      const shifted = i16x8.add_sat_s(i16x8.narrow_i32x4_s(mean, mean), i16x8.splat(128));
      for (let row: usize = 0; row < 8; row++) v128.store64_lane(output + row * stride, i8x16.narrow_i16x8_u(shifted, shifted), 0);
    }
    coefficients += 128;
    output += 8;
  }
}
