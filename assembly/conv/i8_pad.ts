/**
 * i8_pad(form, height, width, channels, padding, first, count, relu, x, y): f32_pad as integers, x (height, width, channels) -> y (count, width + 2
 * padding) pixels. A pixel is a head for every GROUP channels, a scale and a summand, and then its integers, channels padded to a multiple of 4
 * (../quantize/i8_form.ts; i8_quantize says how they are found). Integers and scales of the padding are 0. relu: 1 puts a ReLU in front, 0 nothing.
 */
import { Form, GROUP, groupsOf } from '../quantize/i8_form';
import { quantizeGroup, quantizePositive } from '../quantize/i8_quantize';

export function i8_pad(
  form: Form, height: i32, width: i32, channels: i32, padding: i32, first: i32, count: i32, relu: i32, x: usize, y: usize,
): void {
  const pixel = pixelBytes(form, channels);
  const side = <usize>padding * pixel;
  const row = <usize>width * pixel;
  for (let line = first - padding; count > 0; count--, line++) {
    if (line < 0 || line >= height) {
      memory.fill(y, 0, row + 2 * side);
      y += row + 2 * side;
      continue;
    }
    memory.fill(y, 0, side);
    y += side;
    let from = x + (<usize>(line * width) * <usize>channels << 2);
    for (const end = y + row; y < end; y += pixel, from += <usize>channels << 2) quantizePixel(form, channels, relu, from, y);
    memory.fill(y, 0, side);
    y += side;
  }
}

// @ts-ignore: decorator
@inline
function quantizePixel(form: Form, channels: i32, relu: i32, x: usize, head: usize): void {
  const step: usize = form == Form.Pairs ? 8 : 4;
  let y = head + headBytes(channels);
  for (let left = channels; left > 0; left -= GROUP, x += GROUP << 2, head += 8, y += step * (GROUP >> 2)) {
    if (relu) quantizePositive(form, min(GROUP, left), x, head, y, step);
    else quantizeGroup(form, min(GROUP, left), x, head, y, step);
  }
}

/** Bytes of the heads of a pixel, in front of its integers. */
// @ts-ignore: decorator
@inline
export function headBytes(channels: i32): usize {
  return <usize>groupsOf(channels) << 3;
}

// @ts-ignore: decorator
@inline
export function pixelBytes(form: Form, channels: i32): usize {
  const padded = <usize>((channels + 3) & ~3);
  return headBytes(channels) + (form == Form.Pairs ? padded << 1 : padded);
}
