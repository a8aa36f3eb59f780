/**
 * i8_conv(form, n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, activation, room, panels):
 *   c (count, n) = activation(patches . w + bias)
 * i8_conv_add(form, n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, room, panels):
 *   c (count, n) += patches . w + bias
 *
 * f32_conv of integers: x (rows, width) pixels as i8_pad makes them, behind which 8 bytes are read; w packed integers (../gemm/i8_pack.ts), k =
 * kernelHeight kernelWidth channels, `channels` of a place. room: {@link PLACES} addresses, 192 bytes for the sums of a block of outputs, and, in the form
 * of pairs, where `panels` panels are widened to 16 bits, 64 bytes for every 4 numbers of each run of each.
 *
 * The sums of a run are exact and runs are added in their order, so that neither the form nor how outputs and panels are cut changes a result.
 */
import { Activation, f32_activation } from '../activation/f32_activation';
import { runsBytes } from '../gemm/i8_pack';
import { widen } from '../gemm/i8_tile';
import { Form, rowsOf, runsOf } from '../quantize/i8_form';
import { i8_bytes_patches, i8_pairs_patches } from './i8_patches';
import { pixelBytes } from './i8_pad';
import { findPlaces, PLACES } from './places';

/** Bytes of the image that one pass over some panels is made for: a quarter of a common second-level cache, which widened panels share. */
const BLOCK_BYTES: i32 = 1 << 17;

/** The floats of a block of outputs: at most 6 of 8. */
const SUMS_BYTES: i32 = 192;

export function i8_conv(
  form: Form, n: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, width: i32, outWidth: i32, first: i32, count: i32,
  x: usize, w: usize, c: usize, ldc: i32, activation: Activation, room: usize, panels: i32,
): void {
  conv(form, n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, activation, false, room, panels);
}

export function i8_conv_add(
  form: Form, n: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, width: i32, outWidth: i32, first: i32, count: i32,
  x: usize, w: usize, c: usize, ldc: i32, room: usize, panels: i32,
): void {
  conv(form, n, channels, kernelHeight, kernelWidth, stride, width, outWidth, first, count, x, w, c, ldc, Activation.None, true, room, panels);
}

function conv(
  form: Form, n: i32, channels: i32, kernelHeight: i32, kernelWidth: i32, stride: i32, width: i32, outWidth: i32, first: i32, count: i32,
  x: usize, w: usize, c: usize, ldc: i32, activation: Activation, adds: bool, room: usize, panels: i32,
): void {
  const k = kernelHeight * kernelWidth * channels;
  const tile = rowsOf(form);
  const pixel = pixelBytes(form, channels);
  const line = <usize>width * pixel;
  const sums = room + PLACES * sizeof<usize>();
  const wides = sums + SUMS_BYTES;
  const panel = runsBytes(k, channels);
  const widened = form == Form.Pairs ? (panel - 32 - (<usize>runsOf(k, channels) << 6)) << 1 : 0;
  const block = min(PLACES, max(1, BLOCK_BYTES / max(1, kernelHeight * stride * <i32>pixel) / tile) * tile);
  const group = form == Form.Pairs ? panels << 3 : n;
  for (let j = 0; j < n; j += group) {
    const columns = min(group, n - j);
    const begin = w + <usize>(j >> 3) * panel;
    if (form == Form.Pairs) {
      for (let i: usize = 0; i < <usize>((columns + 7) >> 3); i++) widen(k, channels, begin + i * panel, wides + i * widened);
    }
    for (let i = 0; i < count; i += block) {
      const m = min(block, count - i);
      const ci = c + ((<usize>i * <usize>ldc + <usize>j) << 2);
      findPlaces(outWidth, <usize>stride * pixel, <usize>stride * line, first + i, m, tile, x, room);
      for (let column = 0, p = begin, wide = wides; column < columns; column += 8, p += panel, wide += widened) {
        const few = min(8, columns - column);
        const at = ci + (<usize>column << 2);
        if (form == Form.Pairs) i8_pairs_patches(m, few, channels, kernelHeight, kernelWidth, pixel, line, room, wide, p, at, ldc, adds, sums);
        else i8_bytes_patches(m, few, channels, kernelHeight, kernelWidth, pixel, line, room, p, at, ldc, adds, sums);
      }
      if (activation != Activation.None) {
        // the block is still in cache
        for (let row = 0, r = ci; row < m; row++, r += <usize>ldc << 2) f32_activation(columns, activation, r, r);
      }
    }
  }
}
