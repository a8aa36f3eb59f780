import { ArgumentError, ShapeError } from '../errors.ts';
import type { Pixels } from '../image/pixels.ts';
import type { Extent } from '../image/processor.ts';
import { RawImage } from '../image/rawImage.ts';
import type { Resampling } from '../image/resize.ts';
import type { Tensor } from '../tensor/index.ts';
import { drawText, textSize } from './font.ts';

/**
 * Colours of patches as a picture: colors (rows, columns, 3), red, green and blue in 0 to 1 -> RGB of the size given.
 * @param options `resample` is how patches become pixels: nearest shows them as they are, bicubic (default) as a smooth picture
 * @throws {ShapeError} {ImageError}
 */
export async function colorPicture(
  colors: Tensor,
  { width, height, resample = 'bicubic' }: Extent & { readonly resample?: Resampling },
): Promise<RawImage> {
  const [rows = 0, columns = 0, channels] = colors.dims;
  if (colors.dims.length !== 3 || channels !== 3) throw new ShapeError(`colors: expected (rows, columns, 3), found [${colors.dims}]`);
  const bytes = Uint8ClampedArray.from(colors.to('float32').data, (x) => x * 255);
  return new RawImage(bytes, columns, rows, 3).resize(width, height, { resample });
}

/**
 * RGB pictures in a row on white, from the left, as high as the highest.
 * @param options `gap`: pixels between them. Default 8.
 * @throws {ArgumentError} on no pictures, or another number of channels
 */
export function sideBySide(pictures: readonly Pixels[], { gap = 8 }: { gap?: number } = {}): RawImage {
  if (pictures.length === 0) throw new ArgumentError('pictures: expected at least one, found none');
  pictures.forEach(checkRgb);
  const height = Math.max(...pictures.map((picture) => picture.height));
  const width = pictures.reduce((sum, picture) => sum + picture.width, gap * (pictures.length - 1));
  const data = new Uint8Array(width * height * 3).fill(255);
  let left = 0;
  for (const picture of pictures) {
    for (let y = 0; y < picture.height; y++) {
      data.set(picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3), (y * width + left) * 3);
    }
    left += picture.width + gap;
  }
  return new RawImage(data, width, height, 3);
}

/** @throws {ArgumentError} unless it is RGB */
export function checkRgb({ channels }: Pixels): void {
  if (channels !== 3) throw new ArgumentError(`picture: expected 3 channels, found ${channels}: use rgb()`);
}

/**
 * RGB pictures one below the other on white, as wide as the widest.
 * @param options `gap`: pixels between them. Default 8.
 * @throws {ArgumentError} on no pictures, or another number of channels
 */
export function stacked(pictures: readonly Pixels[], { gap = 8 }: { gap?: number } = {}): RawImage {
  if (pictures.length === 0) throw new ArgumentError('pictures: expected at least one, found none');
  pictures.forEach(checkRgb);
  const width = Math.max(...pictures.map((picture) => picture.width));
  const height = pictures.reduce((sum, picture) => sum + picture.height, gap * (pictures.length - 1));
  const data = new Uint8Array(width * height * 3).fill(255);
  let top = 0;
  for (const picture of pictures) {
    for (let y = 0; y < picture.height; y++) {
      data.set(picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3), (top + y) * width * 3);
    }
    top += picture.height + gap;
  }
  return new RawImage(data, width, height, 3);
}

/** Pixels of the width of a picture for each by which the font above it is enlarged: it is read where several pictures are side by side. */
const WIDTH = 200;

/** An RGB picture with a line of text above it, black on white, as far as it is wide. @throws {ArgumentError} on another number of channels */
export function captioned(picture: Pixels, text: string): RawImage {
  checkRgb(picture);
  const scale = Math.max(1, Math.round(picture.width / WIDTH));
  const margin = 2 * scale;
  const { width, height } = picture;
  const strip = textSize(text, scale).height + 2 * margin;
  const data = new Uint8Array(width * (strip + height) * 3).fill(255);
  data.set(picture.data, width * strip * 3);
  const captionedPicture = new RawImage(data, width, strip + height, 3);
  drawText(captionedPicture, text, { left: 0, top: margin, scale });
  return captionedPicture;
}
