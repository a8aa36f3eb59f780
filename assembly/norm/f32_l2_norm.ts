/**
 * f32_l2_norm(rows, columns, epsilon, x, y): y = x / max(|x|, epsilon) for each row, |x| being its Euclidean length, summed in float64.
 * x and y may be the same place.
 */
import { f32_scale } from './f32_softmax';

export function f32_l2_norm(rows: i32, columns: i32, epsilon: f32, x: usize, y: usize): void {
  const bytes = <usize>columns << 2;
  for (let row = 0; row < rows; row++, x += bytes, y += bytes) {
    let sum: f64 = 0;
    for (let i: usize = 0; i < bytes; i += 4) {
      const value = <f64>load<f32>(x + i);
      sum += value * value;
    }
    f32_scale(columns, <f32>(1 / max(sqrt<f64>(sum), <f64>epsilon)), x, y);
  }
}
