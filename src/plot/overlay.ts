import { ShapeError } from '../errors.ts';
import type { Pixels } from '../image/pixels.ts';
import type { Extent } from '../image/processor.ts';
import { RawImage } from '../image/rawImage.ts';
import type { PatchColors } from '../tasks/pca.ts';
import { percentile } from '../tasks/pca.ts';
import type { Float32, Tensor } from '../tensor/index.ts';
import { resample } from '../tensor/resample.ts';
import { type ColormapName, colormap } from './colormaps.ts';
import { checkRgb, colorPicture } from './picture.ts';

export interface HeatPictureOptions {
  /** Default inferno. */
  colormap?: ColormapName;
  /** How much of a pixel is heat, and not the image in grey: 0 to 1. Default 0.65. */
  opacity?: number;
  /** The values of the first and of the last colour. Default from the lowest to that which one in 200 exceeds. */
  range?: { readonly low: number; readonly high: number };
}

/**
 * Numbers of patches as colours over the photograph, in grey, that they cover: values (rows, columns) and an RGB image -> RGB of its size.
 * @throws {ShapeError} {ArgumentError}
 */
export function heatPicture(
  image: Pixels,
  values: Tensor,
  { colormap: name = 'inferno', opacity = 0.65, range }: HeatPictureOptions = {},
): RawImage {
  checkRgb(image);
  const fine = enlarge(values, image).data;
  const sorted = values.to('float32').data.slice().sort();
  const { low, high } = range ?? { low: sorted[0] as number, high: percentile(sorted, 0.995) };
  const colors = colormap(name);
  const data = new Uint8Array(fine.length * 3);
  for (const [i, value] of fine.entries()) {
    const part = high > low ? Math.min(Math.max((value - low) / (high - low), 0), 1) : 0.5;
    const gray = grayAt(image, i);
    for (let c = 0; c < 3; c++)
      data[i * 3 + c] = Math.round(opacity * (colors[Math.round(part * 255) * 3 + c] as number) + (1 - opacity) * gray);
  }
  return new RawImage(data, image.width, image.height, 3);
}

export interface PcaPictureOptions {
  /** The photograph, where the colours are to lie over it, and the background to be it in grey. Without it that is black. */
  image?: Pixels | undefined;
  /** How much of the foreground is colour, and not the image: 0 to 1. Default 0.7. */
  opacity?: number;
}

/** Patch features as colours, at the size given. @throws {ShapeError} {ImageError} {ArgumentError} unless the image is RGB of that size */
export async function pcaPicture(
  { colors, foreground }: PatchColors,
  extent: Extent,
  { image, opacity = 0.7 }: PcaPictureOptions = {},
): Promise<RawImage> {
  const { width, height } = extent;
  if (image) {
    checkRgb(image);
    if (image.width !== width || image.height !== height)
      throw new ShapeError(`image: expected ${width} x ${height} pixels, found ${image.width} x ${image.height}`);
  }
  const { data } = await colorPicture(colors, { width, height });
  const mask = enlarge(foreground, extent).data;
  for (let i = 0; i < mask.length; i++) {
    const gray = image ? grayAt(image, i) : 0;
    const share = coverage(mask, i, width);
    for (let c = 0; c < 3; c++) {
      const color = data[i * 3 + c] as number;
      const inside = image ? opacity * color + (1 - opacity) * (image.data[i * 3 + c] as number) : color;
      data[i * 3 + c] = Math.round(share * inside + (1 - share) * gray);
    }
  }
  return new RawImage(data, width, height, 3);
}

/** How much of a pixel is where numbers are above 0, by its number and its slope: 0 to 1, smooth at the border. */
function coverage(mask: Float32Array, i: number, width: number): number {
  const value = mask[i] as number;
  const column = i % width;
  const across = column + 1 < width ? (mask[i + 1] as number) - value : value - (mask[Math.max(i - 1, 0)] as number);
  const down = i + width < mask.length ? (mask[i + width] as number) - value : value - (mask[Math.max(i - width, 0)] as number);
  const slope = Math.hypot(across, down);
  return slope > 0 ? Math.min(Math.max(0.5 + value / slope, 0), 1) : Number(value > 0);
}

/** A number a patch as a number a pixel. */
function enlarge(values: Tensor, { width, height }: Extent): Float32 {
  const [rows = 0, columns = 0] = values.dims;
  if (values.dims.length !== 2 || rows === 0 || columns === 0)
    throw new ShapeError(`values: expected (rows, columns), found [${values.dims}]`);
  return resample(values.to('float32').reshape(rows, columns, 1), { width, height, filter: 'bicubic' }).reshape(height, width);
}

function grayAt({ data }: Pixels, i: number): number {
  return 0.299 * (data[i * 3] as number) + 0.587 * (data[i * 3 + 1] as number) + 0.114 * (data[i * 3 + 2] as number);
}
