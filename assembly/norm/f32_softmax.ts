/**
 * f32_softmax(rows, columns, x, y): y = e^(x - max) / sum over each row. A row of -infinity gives NaN, as in PyTorch. x and y may be the same place.
 */
import { exp } from '../math';
import { loadTail, maxLanes, storeTail, sumLanes } from '../simd';

export function f32_softmax(rows: i32, columns: i32, x: usize, y: usize): void {
  const bytes = <usize>columns << 2;
  for (let row = 0; row < rows; row++, x += bytes, y += bytes) {
    const sum = f32_exponentials(columns, x, 1, y);
    f32_scale(columns, <f32>1.0 / sum, y, y);
  }
}

/** y = e^(scale (x - max x)) over one row; returns the sum of y. */
export function f32_exponentials(columns: i32, x: usize, scale: f32, y: usize): f32 {
  const whole = (<usize>columns & ~3) << 2;
  const tail = columns & 3;
  let largest = f32x4.splat(-Infinity);
  for (let i: usize = 0; i < whole; i += 16) largest = f32x4.pmax(largest, v128.load(x + i));
  let top = maxLanes(largest);
  for (let i = whole; i < whole + (<usize>tail << 2); i += 4) top = max(top, load<f32>(x + i));

  const shift = f32x4.splat(top);
  const factor = f32x4.splat(scale);
  let sums = f32x4.splat(0);
  for (let i: usize = 0; i < whole; i += 16) {
    const e = exp(f32x4.mul(f32x4.sub(v128.load(x + i), shift), factor));
    v128.store(y + i, e);
    sums = f32x4.add(sums, e);
  }
  let sum = sumLanes(sums);
  if (tail) {
    storeTail(y + whole, exp(f32x4.mul(f32x4.sub(loadTail(x + whole, tail), shift), factor)), tail);
    for (let i = whole; i < whole + (<usize>tail << 2); i += 4) sum += load<f32>(y + i);
  }
  return sum;
}

/** y = factor x */
export function f32_scale(count: i32, factor: f32, x: usize, y: usize): void {
  const whole = (<usize>count & ~3) << 2;
  const tail = count & 3;
  const f = f32x4.splat(factor);
  for (let i: usize = 0; i < whole; i += 16) v128.store(y + i, f32x4.mul(v128.load(x + i), f));
  if (tail) storeTail(y + whole, f32x4.mul(loadTail(x + whole, tail), f), tail);
}
