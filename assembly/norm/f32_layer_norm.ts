/**
 * f32_layer_norm(rows, columns, x, weight, bias, epsilon, y): y = (x - mean) / sqrt(variance + epsilon) * weight + bias over each row (Ba
 * et al. 2016), variance biased. Two passes over the row, as numbers of different size would lose digits in one. weight and bias: columns
 * numbers. A row is NaN whose squares leave float32, not its bias alone. x and y may be the same place.
 */
import { loadTail, madd, storeTail, sumLanes } from '../simd';

export function f32_layer_norm(rows: i32, columns: i32, x: usize, weight: usize, bias: usize, epsilon: f32, y: usize): void {
  const whole = (<usize>columns & ~3) << 2;
  const tail = columns & 3;
  const bytes = <usize>columns << 2;
  const inverse: f32 = 1.0 / <f32>columns;
  for (let row = 0; row < rows; row++, x += bytes, y += bytes) {
    let sum = tail ? loadTail(x + whole, tail) : f32x4.splat(0);
    for (let i: usize = 0; i < whole; i += 16) sum = f32x4.add(sum, v128.load(x + i));
    const mean = f32x4.splat(sumLanes(sum) * inverse);

    let squares: f32 = 0;
    for (let i = whole; i < bytes; i += 4) {
      const d = load<f32>(x + i) - f32x4.extract_lane(mean, 0);
      squares += d * d;
    }
    let square = f32x4.splat(0);
    for (let i: usize = 0; i < whole; i += 16) {
      const d = f32x4.sub(v128.load(x + i), mean);
      square = madd(d, d, square);
    }
    const variance = (sumLanes(square) + squares) * inverse;
    const scale = f32x4.splat(<f32>1.0 / sqrt(variance + epsilon) + (variance - variance));

    for (let i: usize = 0; i < whole; i += 16) {
      const z = f32x4.mul(f32x4.sub(v128.load(x + i), mean), scale);
      v128.store(y + i, madd(z, v128.load(weight + i), v128.load(bias + i)));
    }
    if (tail) {
      const z = f32x4.mul(f32x4.sub(loadTail(x + whole, tail), mean), scale);
      storeTail(y + whole, madd(z, loadTail(weight + whole, tail), loadTail(bias + whole, tail)), tail);
    }
  }
}
