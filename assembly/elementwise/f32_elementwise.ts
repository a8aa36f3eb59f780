/**
 * f32_add(rows, columns, x, y, ldy, z): z = x + y;  f32_mul: z = x * y. x and z (rows, columns) without gaps; rows of y are ldy elements
 * apart, 0 repeats one row. z may be the place of x or y.
 */
import { loadTail, storeTail } from '../simd';

export function f32_add(rows: i32, columns: i32, x: usize, y: usize, ldy: i32, z: usize): void {
  each(rows, columns, x, y, ldy, z, false);
}

export function f32_mul(rows: i32, columns: i32, x: usize, y: usize, ldy: i32, z: usize): void {
  each(rows, columns, x, y, ldy, z, true);
}

// @ts-ignore: decorator
@inline
function each(rows: i32, columns: i32, x: usize, y: usize, ldy: i32, z: usize, product: bool): void {
  const whole = (<usize>columns & ~3) << 2;
  const tail = columns & 3;
  const bytes = <usize>columns << 2;
  for (let row = 0; row < rows; row++, x += bytes, z += bytes, y += <usize>ldy << 2) {
    for (let i: usize = 0; i < whole; i += 16) v128.store(z + i, combine(v128.load(x + i), v128.load(y + i), product));
    if (tail) storeTail(z + whole, combine(loadTail(x + whole, tail), loadTail(y + whole, tail), product), tail);
  }
}

// @ts-ignore: decorator
@inline
function combine(x: v128, y: v128, product: bool): v128 {
  return product ? f32x4.mul(x, y) : f32x4.add(x, y);
}

/** f32_mean(rows, columns, x, ldx, y): y (columns) = mean over the rows of x, rows ldx elements apart; summed in row order in float64. */
export function f32_mean(rows: i32, columns: i32, x: usize, ldx: i32, y: usize): void {
  for (let column = 0; column < columns; column++) {
    let sum: f64 = 0;
    let p = x + (<usize>column << 2);
    for (let row = 0; row < rows; row++, p += <usize>ldx << 2) sum += load<f32>(p);
    store<f32>(y + (<usize>column << 2), <f32>(sum / <f64>rows));
  }
}

/** f32_transpose(rows, columns, x, y): y (columns, rows) = x (rows, columns) transposed */
export function f32_transpose(rows: i32, columns: i32, x: usize, y: usize): void {
  const bytes = <usize>columns << 2;
  for (let column = 0; column < columns; column++) {
    let p = x + (<usize>column << 2);
    for (let row = 0; row < rows; row++, p += bytes, y += 4) store<f32>(y, load<f32>(p));
  }
}

/** f32_clamp(count, least, most, x, y): y = x, but at least `least` and at most `most`. NaN stays. x and y may be the same place. */
export function f32_clamp(count: i32, least: f32, most: f32, x: usize, y: usize): void {
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  const whole = (<usize>count & ~3) << 2;
  const tail = count & 3;
  for (let i: usize = 0; i < whole; i += 16) v128.store(y + i, f32x4.min(f32x4.max(v128.load(x + i), low), high));
  if (tail) storeTail(y + whole, f32x4.min(f32x4.max(loadTail(x + whole, tail), low), high), tail);
}
