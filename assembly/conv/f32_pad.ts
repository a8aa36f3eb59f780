/**
 * f32_pad(height, width, channels, padding, first, count, least, x, y): rows `first` to `first + count` of an image with `padding` zeros on every side,
 * x (height, width, channels) -> y (count, width + 2 padding, channels). Numbers of x below `least` become `least`: 0 puts a ReLU in front of the
 * convolution that reads y, -infinity nothing.
 */
import { clampRow } from './f32_im2col';

export function f32_pad(
  height: i32, width: i32, channels: i32, padding: i32, first: i32, count: i32, least: f32, x: usize, y: usize,
): void {
  const row = <usize>(width * channels) << 2;
  const side = <usize>(padding * channels) << 2;
  const wide = row + 2 * side;
  for (let line = first - padding; count > 0; count--, line++, y += wide) {
    if (line < 0 || line >= height) memory.fill(y, 0, wide);
    else {
      memory.fill(y, 0, side);
      clampRow(row, least, x + <usize>line * row, y + side);
      memory.fill(y + side + row, 0, side);
    }
  }
}
