/**
 * f32_rotate(rows, columns, x, y): y (rows, columns) = x with each GROUP numbers of a row that follow one another multiplied by H; what is left of a row
 * stays as it is. x and y may be the same place.
 *
 * H = R (x) H_2 (x) R (x) I_4, H_2 = [1 1; 1 -1], R = [1 1 1 -1; 1 -1 1 1; 1 1 -1 1; -1 1 1 1]: a Hadamard matrix of 32, by which the 32 vectors of four
 * that make a group become sums of all of them with signs, for five additions a number. H is symmetric and H H = 32 I, so that x . w = (H x) . (H w) / 32.
 * An outlier among 32 numbers is spread over all of them, which leaves the others of its group more of 8 bits (Ashkboos et al. 2024, "QuaRot"), and so is
 * what all have in common, as after GELU: R has no row of ones. Mixing within vectors too gained little more.
 * Sums of numbers beyond 2^122 may become infinite; a NaN or an infinity in a group leaves no number in it or infinities.
 */
import { GROUP } from './i8_form';

export function f32_rotate(rows: i32, columns: i32, x: usize, y: usize): void {
  for (; rows > 0; rows--) {
    let left = columns;
    for (; left >= GROUP; left -= GROUP, x += GROUP << 2, y += GROUP << 2) rotateGroup(x, y);
    const rest = <usize>left << 2;
    if (x != y) memory.copy(y, x, rest);
    x += rest;
    y += rest;
  }
}

/** Steps across vectors that are 16, 8 and 4 apart, then across those that are 2 and 1 apart: as many as registers hold. */
function rotateGroup(x: usize, y: usize): void {
  for (let i: usize = 0; i < 64; i += 16) {
    let a = v128.load(x + i);
    let b = v128.load(x + i, 64);
    let c = v128.load(x + i, 128);
    let d = v128.load(x + i, 192);
    let e = v128.load(x + i, 256);
    let f = v128.load(x + i, 320);
    let g = v128.load(x + i, 384);
    let h = v128.load(x + i, 448);
    let far = f32x4.add(a, e);
    let near = f32x4.sub(c, g);
    let farOff = f32x4.sub(a, e);
    let nearOff = f32x4.add(c, g);
    a = f32x4.add(far, near), c = f32x4.sub(far, near), e = f32x4.add(farOff, nearOff), g = f32x4.sub(nearOff, farOff);
    far = f32x4.add(b, f);
    near = f32x4.sub(d, h);
    farOff = f32x4.sub(b, f);
    nearOff = f32x4.add(d, h);
    b = f32x4.add(far, near), d = f32x4.sub(far, near), f = f32x4.add(farOff, nearOff), h = f32x4.sub(nearOff, farOff);
    v128.store(y + i, f32x4.add(a, b));
    v128.store(y + i, f32x4.sub(a, b), 64);
    v128.store(y + i, f32x4.add(c, d), 128);
    v128.store(y + i, f32x4.sub(c, d), 192);
    v128.store(y + i, f32x4.add(e, f), 256);
    v128.store(y + i, f32x4.sub(e, f), 320);
    v128.store(y + i, f32x4.add(g, h), 384);
    v128.store(y + i, f32x4.sub(g, h), 448);
  }
  for (const end = y + (GROUP << 2); y < end; y += 64) {
    const a = v128.load(y);
    const b = v128.load(y, 16);
    const c = v128.load(y, 32);
    const d = v128.load(y, 48);
    const far = f32x4.add(a, c);
    const near = f32x4.sub(b, d);
    const farOff = f32x4.sub(a, c);
    const nearOff = f32x4.add(b, d);
    v128.store(y, f32x4.add(far, near));
    v128.store(y, f32x4.sub(far, near), 16);
    v128.store(y, f32x4.add(farOff, nearOff), 32);
    v128.store(y, f32x4.sub(nearOff, farOff), 48);
  }
}
