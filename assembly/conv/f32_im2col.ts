/**
 * f32_im2col(height, width, channels, kernelHeight, kernelWidth, stride, padding, outWidth, first, count, least, x, y): the patches under a
 * convolution as rows of a matrix, so that the convolution is a matrix product (Chellapilla et al. 2006): for who looks at the inputs of that product,
 * as calibration does. f32_conv does without. x (height, width, channels),
 * `padding` zeros around it; y (count, kernelHeight kernelWidth channels), the patches of the outputs `first` to `first + count`, counted
 * row by row with outWidth in a row. Numbers of x below `least` become `least`: 0 puts a ReLU in front of the convolution, -infinity
 * nothing.
 */
import { loadTail, storeTail } from '../simd';

export function f32_im2col(
  height: i32, width: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, outWidth: i32,
  first: i32, count: i32,
  least: f32, x: usize, y: usize,
): void {
  const pixel = <usize>channels << 2;
  let row = first / outWidth;
  let column = first - row * outWidth;
  for (let i = 0; i < count; i++) {
    const top = row * stride - padding;
    const left = column * stride - padding;
    const begin = min(kernelWidth, max(0, -left)); // columns of the kernel from begin to end lie on the image
    const end = max(begin, min(kernelWidth, width - left));
    for (let line = top; line < top + kernelHeight; line++) {
      if (line >= 0 && line < height) {
        y = zeros(<usize>begin * pixel, y);
        y = clampRow(<usize>(end - begin) * pixel, least, x + <usize>(line * width + left + begin) * pixel, y);
        y = zeros(<usize>(kernelWidth - end) * pixel, y);
      } else y = zeros(<usize>kernelWidth * pixel, y);
    }
    if (++column == outWidth) {
      column = 0;
      row++;
    }
  }
}

// @ts-ignore: decorator
@inline
function zeros(bytes: usize, y: usize): usize {
  if (bytes) memory.fill(y, 0, bytes);
  return y + bytes;
}

/** y = the larger of x and `least`, so many bytes of numbers; returns where y ends. */
// @ts-ignore: decorator
@inline
export function clampRow(bytes: usize, least: f32, x: usize, y: usize): usize {
  const low = f32x4.splat(least);
  const end = y + bytes;
  for (const whole = y + (bytes & ~63); y < whole; x += 64, y += 64) {
    const a = v128.load(x), b = v128.load(x, 16), c = v128.load(x, 32), d = v128.load(x, 48);
    v128.store(y, f32x4.pmax(a, low));
    v128.store(y, f32x4.pmax(b, low), 16);
    v128.store(y, f32x4.pmax(c, low), 32);
    v128.store(y, f32x4.pmax(d, low), 48);
  }
  for (const whole = y + (bytes & 48); y < whole; x += 16, y += 16) v128.store(y, f32x4.pmax(v128.load(x), low));
  const tail = <i32>(bytes >> 2) & 3;
  if (tail) storeTail(y, f32x4.pmax(loadTail(x, tail), low), tail);
  return end;
}
