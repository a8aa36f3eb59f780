/**
 * f32_softmax(rows, columns, x, y): y = e^(x - max) / sum over each row. A row of -infinity gives NaN, as in PyTorch. x and y may be the
 * same place.
 */
import { at } from '../math';
import { loadTail, madd, maxLanes, storeTail, sumLanes } from '../simd';

export function f32_softmax(rows: i32, columns: i32, x: usize, y: usize): void {
  const bytes = <usize>columns << 2;
  for (let row = 0; row < rows; row++, x += bytes, y += bytes) {
    f32_scale(columns, <f32>1.0 / f32_exponentials(columns, x, 1, y), y, y);
  }
}

// 2^f on [-1/2, 1/2] as 1 + f p(f), p of degree 5 (relative error 2e-9 before rounding); fitted as those of math.ts
const EXP2 = memory.data<f32>([
  -127, // below it 0
  12583039, // 1.5 2^23 + 127: added to n, it leaves the exponent of 2^n in the lowest bits
  1, 0.6931471824645996, 0.24022647738456726, 0.055503323674201965, 0.009618437848985195, 0.0013398887822404504, 0.00015353351773228496,
]);

/**
 * y = e^z, z = scale (x - max x), over one row, scale > 0; returns the sum of y. Computed as 2^(n + f), n an integer: relative error 2e-7
 * and, as e^z takes over the roundings of scale / ln 2 and of its product, |z| 1.2e-7. 0 below e^-88. The constants are read before the
 * loop, which leaves them in registers.
 */
export function f32_exponentials(columns: i32, x: usize, scale: f32, y: usize): f32 {
  const whole = (<usize>columns & ~3) << 2;
  const end = <usize>columns << 2;
  const shift = f32x4.splat(f32_largest(columns, x));
  const factor = f32x4.splat(scale * <f32>1.4426950408889634);
  const low = at(EXP2, 0), bias = at(EXP2, 1), c0 = at(EXP2, 2), c1 = at(EXP2, 3), c2 = at(EXP2, 4);
  const c3 = at(EXP2, 5), c4 = at(EXP2, 6), c5 = at(EXP2, 7), c6 = at(EXP2, 8);
  let sums = f32x4.splat(0);
  let i: usize = 0;
  for (; i < whole; i += 16) {
    const z = f32x4.mul(f32x4.sub(v128.load(x + i), shift), factor);
    const e = power(f32x4.pmax(z, low), bias, c0, c1, c2, c3, c4, c5, c6);
    v128.store(y + i, e);
    sums = f32x4.add(sums, e);
  }
  let sum = sumLanes(sums);
  const tail = columns & 3;
  if (tail) {
    const z = f32x4.mul(f32x4.sub(loadTail(x + whole, tail), shift), factor);
    storeTail(y + whole, power(f32x4.pmax(z, low), bias, c0, c1, c2, c3, c4, c5, c6), tail);
    for (; i < end; i += 4) sum += load<f32>(y + i);
  }
  return sum;
}

/** The largest of a row; a NaN in it may be passed over, and is for who computes with the row. */
export function f32_largest(columns: i32, x: usize): f32 {
  const whole = (<usize>columns & ~3) << 2;
  const end = <usize>columns << 2;
  let largest = f32x4.splat(-Infinity);
  let i: usize = 0;
  for (const sixteens = (<usize>columns & ~15) << 2; i < sixteens; i += 64) {
    const ab = f32x4.pmax(v128.load(x + i), v128.load(x + i, 16));
    largest = f32x4.pmax(largest, f32x4.pmax(ab, f32x4.pmax(v128.load(x + i, 32), v128.load(x + i, 48))));
  }
  for (; i < whole; i += 16) largest = f32x4.pmax(largest, v128.load(x + i));
  let top = maxLanes(largest);
  for (; i < end; i += 4) top = max(top, load<f32>(x + i));
  return top;
}

/** 2^z for z from -127 to 128. */
// @ts-ignore: decorator
@inline
function power(z: v128, bias: v128, c0: v128, c1: v128, c2: v128, c3: v128, c4: v128, c5: v128, c6: v128): v128 {
  const biased = f32x4.add(z, bias);
  const f = f32x4.sub(z, f32x4.sub(biased, bias));
  let p = madd(c6, f, c5);
  p = madd(p, f, c4);
  p = madd(p, f, c3);
  p = madd(p, f, c2);
  p = madd(p, f, c1);
  p = madd(p, f, c0);
  return f32x4.mul(p, i32x4.shl(biased, 23));
}

/** y = factor x */
export function f32_scale(count: i32, factor: f32, x: usize, y: usize): void {
  const whole = (<usize>count & ~3) << 2;
  const tail = count & 3;
  const f = f32x4.splat(factor);
  for (let i: usize = 0; i < whole; i += 16) v128.store(y + i, f32x4.mul(v128.load(x + i), f));
  if (tail) storeTail(y + whole, f32x4.mul(loadTail(x + whole, tail), f), tail);
}
