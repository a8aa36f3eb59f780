import { ImageError } from '../errors.ts';
import { checkLimit, type Limits } from '../limits.ts';

/** A picture: rows from the top, in them pixels from the left, in them channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
export interface Pixels {
  /** height * width * channels bytes. */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/**
 * @param source what the message names: a file, or an argument
 * @throws {ImageError} unless the picture has at least one pixel, {LimitError} when it has more than `limits.pixels`
 */
export function checkSize(source: string, width: number, height: number, limits?: Limits): void {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new ImageError(`${source}: expected a width and a height of at least 1 pixel, found ${width} x ${height}`);
  }
  checkLimit(source, 'pixels', limits, '* pixels', width * height, `${width} x ${height}`);
}

/** @throws {ImageError} unless the sizes are possible and `data` is what they say */
export function checkPixels(source: string, { data, width, height, channels }: Pixels): void {
  checkSize(source, width, height, { pixels: Number.POSITIVE_INFINITY });
  if (![1, 2, 3, 4].includes(channels)) throw new ImageError(`${source}: expected 1 to 4 channels, found ${channels}`);
  if (data.length !== width * height * channels) {
    const expected = `${width * height * channels} bytes for ${width} x ${height} pixels of ${channels} channels`;
    throw new ImageError(`${source}: expected ${expected}, found ${data.length}`);
  }
}

/**
 * The picture with another number of channels, as Pillow's `convert`: alpha is dropped or made opaque, grey is repeated, colours become
 * grey by the luma of ITU-R 601-2 in 16-bit fixed point (src/libImaging/Convert.c). The picture itself where nothing changes.
 */
export function convertChannels(pixels: Pixels, channels: number): Pixels {
  if (channels === pixels.channels) return pixels;
  const data = new Uint8Array(pixels.width * pixels.height * channels);
  const [red, green, blue, alpha] = pixels.channels < 3 ? [0, 0, 0, 1] : [0, 1, 2, 3];
  const hasAlpha = pixels.channels === 2 || pixels.channels === 4;
  for (let from = 0, to = 0; to < data.length; from += pixels.channels, to += channels) {
    const r = pixels.data[from + red] as number;
    const g = pixels.data[from + green] as number;
    const b = pixels.data[from + blue] as number;
    if (channels > 2) {
      data[to] = r;
      data[to + 1] = g;
      data[to + 2] = b;
    } else data[to] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    if (channels % 2 === 0) data[to + channels - 1] = hasAlpha ? (pixels.data[from + alpha] as number) : 255;
  }
  return { ...pixels, data, channels };
}

export interface Extent {
  /** In pixels. */
  readonly height: number;
  /** In pixels. */
  readonly width: number;
}

/** A rectangle in pixels; it may reach beyond the picture. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What a rectangle shows of a picture; 0 in all channels where it shows none of it. */
export function cutOut(pixels: Pixels, { left, top, width, height }: Rectangle): Pixels {
  const { channels } = pixels;
  const data = new Uint8Array(width * height * channels);
  const x0 = Math.max(left, 0);
  const x1 = Math.min(left + width, pixels.width);
  const y1 = Math.min(top + height, pixels.height);
  for (let y = Math.max(top, 0); x0 < x1 && y < y1; y++) {
    const row = pixels.data.subarray((y * pixels.width + x0) * channels, (y * pixels.width + x1) * channels);
    data.set(row, ((y - top) * width + x0 - left) * channels);
  }
  return { data, width, height, channels };
}

/** The rectangle of this size in the middle; where it cannot be, half a pixel up and left (transformers, `center_crop`). */
export function centerOf(picture: Extent, { width, height }: Extent): Rectangle {
  return { left: Math.floor((picture.width - width) / 2), top: Math.floor((picture.height - height) / 2), width, height };
}
