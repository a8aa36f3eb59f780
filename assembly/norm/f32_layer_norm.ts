/**
 * f32_layer_norm(rows, columns, x, weight, bias, epsilon, y): y = (x - mean) / sqrt(variance + epsilon) * weight + bias over each row (Ba
 * et al. 2016), variance biased. Two passes over the row, as numbers of different size would lose digits in one. weight and bias: columns
 * numbers. A row is NaN whose squares leave float32, not its bias alone. x and y may be the same place.
 */
import { loadTail, madd, storeTail, sumLanes } from '../simd';

export function f32_layer_norm(rows: i32, columns: i32, x: usize, weight: usize, bias: usize, epsilon: f32, y: usize): void {
  const two = <usize>columns << 3;
  for (; rows > 1; rows -= 2, x += two, y += two) norm(true, columns, x, weight, bias, epsilon, y);
  if (rows > 0) norm(false, columns, x, weight, bias, epsilon, y);
}

/** One row, or two that follow one another: sums of a row wait for each other, and those of another are made meanwhile. */
// @ts-ignore: decorator
@inline
function norm(two: bool, columns: i32, x0: usize, weight: usize, bias: usize, epsilon: f32, y0: usize): void {
  const whole = (<usize>columns & ~3) << 2;
  const tail = columns & 3;
  const bytes = <usize>columns << 2;
  const x1 = x0 + bytes;
  const y1 = y0 + bytes;
  let sum0 = tail ? loadTail(x0 + whole, tail) : f32x4.splat(0);
  let sum1 = two && tail ? loadTail(x1 + whole, tail) : f32x4.splat(0);
  for (let i: usize = 0; i < whole; i += 16) {
    sum0 = f32x4.add(sum0, v128.load(x0 + i));
    if (two) sum1 = f32x4.add(sum1, v128.load(x1 + i));
  }
  const inverse: f32 = 1.0 / <f32>columns;
  const mean0 = f32x4.splat(sumLanes(sum0) * inverse);
  const mean1 = f32x4.splat(two ? sumLanes(sum1) * inverse : 0);

  let square0 = f32x4.splat(0);
  let square1 = f32x4.splat(0);
  for (let i: usize = 0; i < whole; i += 16) {
    const d0 = f32x4.sub(v128.load(x0 + i), mean0);
    square0 = madd(d0, d0, square0);
    if (two) {
      const d1 = f32x4.sub(v128.load(x1 + i), mean1);
      square1 = madd(d1, d1, square1);
    }
  }
  const scale0 = scaleOf(square0, x0 + whole, x0 + bytes, mean0, inverse, epsilon);
  const scale1 = two ? scaleOf(square1, x1 + whole, x1 + bytes, mean1, inverse, epsilon) : scale0;

  for (let i: usize = 0; i < whole; i += 16) {
    const w = v128.load(weight + i);
    const b = v128.load(bias + i);
    v128.store(y0 + i, madd(f32x4.mul(f32x4.sub(v128.load(x0 + i), mean0), scale0), w, b));
    if (two) v128.store(y1 + i, madd(f32x4.mul(f32x4.sub(v128.load(x1 + i), mean1), scale1), w, b));
  }
  if (tail) {
    const w = loadTail(weight + whole, tail);
    const b = loadTail(bias + whole, tail);
    storeTail(y0 + whole, madd(f32x4.mul(f32x4.sub(loadTail(x0 + whole, tail), mean0), scale0), w, b), tail);
    if (two) storeTail(y1 + whole, madd(f32x4.mul(f32x4.sub(loadTail(x1 + whole, tail), mean1), scale1), w, b), tail);
  }
}

/** 1 / sqrt(variance + epsilon), of the squares of whole vectors and those of the last numbers. */
function scaleOf(square: v128, last: usize, end: usize, mean: v128, inverse: f32, epsilon: f32): v128 {
  let squares: f32 = 0;
  for (; last < end; last += 4) {
    const d = load<f32>(last) - f32x4.extract_lane(mean, 0);
    squares += d * d;
  }
  const variance = (sumLanes(square) + squares) * inverse;
  return f32x4.splat(<f32>1.0 / sqrt(variance + epsilon) + (variance - variance));
}
