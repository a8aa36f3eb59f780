/**
 * The planes of a JPEG picture -> rows of RGB, equal to libjpeg-turbo and Pillow in every byte: chroma of half the size is interpolated with
 * weights 3/4 and 1/4 ("fancy upsampling", jdsample.c), that of other sizes repeated; YCbCr becomes RGB by jdcolor.c; CMYK, whose samples
 * Pillow takes as Adobe writes them, inverted, becomes RGB by Convert.c.
 */

/** 32 bytes. */
@unmanaged
class Plane {
  /** A ring of rows: row i is at address + i % rows * stride. */
  address: usize;
  stride: i32;
  rows: i32;
  /** Of the samples that belong to the picture. */
  width: i32;
  height: i32;
  /** Pixels of a sample, across and down. */
  h: i32;
  v: i32;
  /** For a row of pixels: width * h bytes and 7 more. */
  room: usize;
}

const PLANE_BYTES: usize = 32;

/** What the planes hold. */
const GRAY = 0;
const YCC = 1;
const RGB = 2;
const CMYK = 3;
// 4: YCCK

// @ts-ignore: decorator
@inline
function sample(row: usize, x: i32): i32 {
  return load<u8>(row + x);
}

/** Row y of the picture: a row of the plane itself, or one that is made of it in the plane's room. */
function pixelRow(p: Plane, y: i32): usize {
  const i = y / p.v;
  const near = p.address + <usize>(i % p.rows) * p.stride;
  if (p.h == 1 && p.v == 1) return near;
  const last = p.width - 1;
  const out = p.room;
  const isBetweenColumns = p.h == 2 && p.width > 2;
  if (p.v == 2 && (p.h == 1 || isBetweenColumns)) {
    const other = y & 1 ? min(i + 1, p.height - 1) : max(i - 1, 0);
    const far = p.address + <usize>(other % p.rows) * p.stride;
    if (p.h == 1) {
      const bias = y & 1 ? 2 : 1;
      for (let x = 0; x <= last; x++) store<u8>(out + x, (3 * sample(near, x) + sample(far, x) + bias) >> 2);
      return out;
    }
    let before = 3 * sample(near, 0) + sample(far, 0);
    let here = before;
    for (let x = 0; x <= last; x++) {
      const next = min(x + 1, last);
      const after = 3 * sample(near, next) + sample(far, next);
      store<u8>(out + 2 * x, (3 * here + before + 8) >> 4);
      store<u8>(out + 2 * x, (3 * here + after + 7) >> 4, 1);
      before = here;
      here = after;
    }
    return out;
  }
  if (p.v == 1 && isBetweenColumns) {
    for (let x = 0; x <= last; x++) {
      const here = 3 * sample(near, x);
      store<u8>(out + 2 * x, x ? (here + sample(near, x - 1) + 1) >> 2 : sample(near, 0));
      store<u8>(out + 2 * x, x < last ? (here + sample(near, x + 1) + 2) >> 2 : sample(near, last), 1);
    }
    return out;
  }
  for (let x = 0, to = out; x <= last; x++) {
    for (let n = 0; n < p.h; n++) store<u8>(to++, sample(near, x));
  }
  return out;
}

/** ((a * x + 2^15) >> 16) of eight numbers. */
// @ts-ignore: decorator
@inline
function scaled(x: v128, a: i16): v128 {
  const half = i32x4.splat(1 << 15);
  const low = i32x4.add(i32x4.extmul_low_i16x8_s(x, i16x8.splat(a)), half);
  const high = i32x4.add(i32x4.extmul_high_i16x8_s(x, i16x8.splat(a)), half);
  return i16x8.narrow_i32x4_s(i32x4.shr_s(low, 16), i32x4.shr_s(high, 16));
}

/** Eight pixels of three colours, 16 bits each, as 24 bytes. */
// @ts-ignore: decorator
@inline
function storeColors(out: usize, r: v128, g: v128, b: v128): void {
  const rg = i8x16.narrow_i16x8_u(r, g);
  const bb = i8x16.narrow_i16x8_u(b, b);
  v128.store(out, v128.shuffle<u8>(rg, bb, 0, 8, 16, 1, 9, 17, 2, 10, 18, 3, 11, 19, 4, 12, 20, 5));
  v128.store64_lane(out, v128.shuffle<u8>(rg, bb, 13, 21, 6, 14, 22, 7, 15, 23, 0, 0, 0, 0, 0, 0, 0, 0), 0, 16);
}

/** (a * b + 128) / 255, rounded as Pillow's MULDIV255, of eight numbers of 8 bits. */
// @ts-ignore: decorator
@inline
function product(a: v128, b: v128): v128 {
  const x = i16x8.add(i16x8.mul(a, b), i16x8.splat(128));
  return i16x8.shr_u(i16x8.add(x, i16x8.shr_u(x, 8)), 8);
}

/**
 * Rows `first` to `first + count` of a picture of `width` pixels -> output u8 (count, width, 3). `planes`: one a component.
 * Writes up to 21 bytes after `output`, reads up to 7 after a row of a plane.
 */
export function u8_jpeg_rows(planes: usize, color: i32, width: i32, first: i32, count: i32, output: usize): void {
  const p1 = planes + PLANE_BYTES;
  for (let y = first; y < first + count; y++) {
    const a = pixelRow(changetype<Plane>(planes), y);
    const b = color == GRAY ? a : pixelRow(changetype<Plane>(p1), y);
    const c = color == GRAY ? a : pixelRow(changetype<Plane>(p1 + PLANE_BYTES), y);
    const d = color < CMYK ? a : pixelRow(changetype<Plane>(p1 + 2 * PLANE_BYTES), y);
    for (let x = 0; x < width; x += 8) {
      let r = v128.load8x8_u(a + x);
      let g = v128.load8x8_u(b + x);
      let blue = v128.load8x8_u(c + x);
      if (color == YCC || color > CMYK) {
        const luma = r;
        const cb = i16x8.sub(g, i16x8.splat(128));
        const cr = i16x8.sub(blue, i16x8.splat(128));
        r = i16x8.add(luma, i16x8.add(cr, scaled(cr, 26345))); // 1.402
        blue = i16x8.add(luma, i16x8.add(i16x8.shl(cb, 1), scaled(cb, -14942))); // 1.772
        // -0.34414 cb - 0.71414 cr
        const low = v128.shuffle<u16>(cb, cr, 0, 8, 1, 9, 2, 10, 3, 11);
        const high = v128.shuffle<u16>(cb, cr, 4, 12, 5, 13, 6, 14, 7, 15);
        const weights = i16x8(-22554, 18734, -22554, 18734, -22554, 18734, -22554, 18734);
        const half = i32x4.splat(1 << 15);
        const mixed = i16x8.narrow_i32x4_s(
          i32x4.shr_s(i32x4.add(i32x4.dot_i16x8_s(low, weights), half), 16),
          i32x4.shr_s(i32x4.add(i32x4.dot_i16x8_s(high, weights), half), 16),
        );
        g = i16x8.add(luma, i16x8.sub(mixed, cr));
      }
      if (color >= CMYK) {
        const full = i16x8.splat(255);
        const zero = i16x8.splat(0);
        const k = v128.load8x8_u(d + x);
        const isInverted = color > CMYK;
        const cyan = isInverted ? i16x8.max_s(i16x8.min_s(r, full), zero) : i16x8.sub(full, r);
        const magenta = isInverted ? i16x8.max_s(i16x8.min_s(g, full), zero) : i16x8.sub(full, g);
        const yellow = isInverted ? i16x8.max_s(i16x8.min_s(blue, full), zero) : i16x8.sub(full, blue);
        r = i16x8.sub(k, product(cyan, k));
        g = i16x8.sub(k, product(magenta, k));
        blue = i16x8.sub(k, product(yellow, k));
      }
      storeColors(output + 3 * x, r, g, blue); // what is too much is overwritten by the next row
    }
    output += 3 * width;
  }
}
