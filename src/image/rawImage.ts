import { ArgumentError, ImageError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { Tensor } from '../tensor/tensor.ts';
import { decodeImage } from './decode.ts';
import { applyOrientation, readOrientation } from './exif.ts';
import { type FileInput, readBytes } from './input.ts';
import { centerOf, checkPixels, checkSize, convertChannels, cutOut, type Pixels } from './pixels.ts';
import { type Resampling, resize } from './resize.ts';

/** Pixels as they come: a RawImage, an ImageData, or the like; without `channels` as many as fill the data. */
export interface PixelsInput {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels?: number;
}

/** A path, URL (http:, https:, file:, data:, blob:), Blob or the bytes of a PNG or JPEG file; or pixels. */
export type ImageInput = FileInput | PixelsInput;

export interface ReadOptions {
  /** Turns the picture upright as its EXIF orientation says. Default false, as in transformers and Pillow. */
  exifOrientation?: boolean | undefined;
  /** Decodes files instead of the decoder for PNG and JPEG. */
  decode?: ((bytes: Uint8Array) => PixelsInput | Promise<PixelsInput>) | undefined;
  /** What is taken at most: pixels, bytes of the file and of memory to decode it, seconds. */
  limits?: Limits | undefined;
  /** Breaks off reading from a server. */
  signal?: AbortSignal | undefined;
}

export const READ_OPTIONS: readonly (keyof ReadOptions)[] = ['exifOrientation', 'decode', 'limits', 'signal'];

/**
 * A picture in memory, as in transformers.js: rows from the top, channels interleaved, 8 bits each. Methods give new pictures (or this one,
 * where there is nothing to do) and change none.
 */
export class RawImage implements Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA. */
  readonly channels: number;

  /**
   * @param data height * width * channels bytes, not copied
   * @throws {ImageError} when data, sizes and channels disagree
   */
  constructor(data: Uint8Array | Uint8ClampedArray, width: number, height: number, channels: number) {
    this.data = data instanceof Uint8ClampedArray ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data;
    this.width = width;
    this.height = height;
    this.channels = channels;
    checkPixels('image', this);
  }

  /**
   * Reads a file as RGB, or takes pixels with the channels they have.
   * @throws {ImageError} on a file that is no picture, or damaged; {LimitError} on one that is too large; naming the file
   * @throws {NotFoundError} when there is nothing at the path or URL
   * @throws {ArgumentError} for an input of another kind
   */
  static async read(input: ImageInput, { exifOrientation = false, decode, limits, signal }: ReadOptions = {}): Promise<RawImage> {
    if (isPixels(input)) {
      checkSize('image', input.width, input.height, limits);
      return fromPixels(input);
    }
    const { bytes, source } = await readBytes(input, { limits, signal });
    const image = fromPixels(decode ? await decode(bytes) : await decodeImage(bytes, { limits, source }));
    checkSize(source, image.width, image.height, limits);
    return exifOrientation ? fromPixels(applyOrientation(image, readOrientation(bytes, source))) : image;
  }

  /** As {@link RawImage.read}. */
  static async fromURL(url: string | URL, options?: ReadOptions): Promise<RawImage> {
    return RawImage.read(url, options);
  }

  /** As {@link RawImage.read}. */
  static async fromBlob(blob: Blob, options?: ReadOptions): Promise<RawImage> {
    return RawImage.read(blob, options);
  }

  /** [width, height] */
  get size(): [number, number] {
    return [this.width, this.height];
  }

  clone(): RawImage {
    return new RawImage(this.data.slice(), this.width, this.height, this.channels);
  }

  /** One channel: colours by the luma of ITU-R 601-2, as Pillow's `convert('L')`. */
  grayscale(): RawImage {
    return this.convert(1);
  }

  /** Three channels: grey is repeated, alpha dropped. */
  rgb(): RawImage {
    return this.convert(3);
  }

  /** Four channels: what has no alpha is opaque. */
  rgba(): RawImage {
    return this.convert(4);
  }

  /** @throws {ArgumentError} unless channels is 1, 3 or 4 */
  convert(channels: number): RawImage {
    if (![1, 3, 4].includes(channels)) throw new ArgumentError(`channels: expected 1, 3 or 4, found ${channels}`);
    return fromPixels(convertChannels(this, channels));
  }

  /**
   * As Pillow's `resize`, to the byte where there is no alpha.
   * @param width in pixels
   * @param height in pixels
   * @throws {ImageError} on a size below 1; {LimitError} of more than 100 million pixels
   * @throws {ArgumentError} on an unknown filter
   */
  async resize(width: number, height: number, { resample = 'bilinear' }: { resample?: Resampling | number } = {}): Promise<RawImage> {
    return fromPixels(resize(this, { width, height, resample }));
  }

  /**
   * The pixels from column left to right and row top to bottom, all inclusive as in transformers.js, as far as the picture reaches.
   * @throws {ImageError} when nothing is left
   * @throws {ArgumentError} unless all are integers
   */
  async crop([left, top, right, bottom]: readonly [number, number, number, number]): Promise<RawImage> {
    if (![left, top, right, bottom].every(Number.isInteger)) {
      throw new ArgumentError(`crop: expected four integers, found [${[left, top, right, bottom]}]`);
    }
    const x = Math.max(left, 0);
    const y = Math.max(top, 0);
    const width = Math.min(right, this.width - 1) - x + 1;
    const height = Math.min(bottom, this.height - 1) - y + 1;
    checkSize(`crop [${[left, top, right, bottom]}] of ${this.width} x ${this.height} pixels`, width, height);
    return fromPixels(cutOut(this, { left: x, top: y, width, height }));
  }

  /**
   * The middle of the picture; black (and transparent) where the picture is smaller.
   * @throws {ImageError} on a size below 1; {LimitError} of more than 100 million pixels
   */
  async center_crop(width: number, height: number): Promise<RawImage> {
    checkSize('center_crop', width, height);
    return fromPixels(cutOut(this, centerOf(this, { width, height })));
  }

  /** The bytes as a tensor, (channels, height, width) or (height, width, channels). */
  toTensor(format: 'CHW' | 'HWC' = 'CHW'): Tensor<'uint8'> {
    const { data, width, height, channels } = this;
    if (format === 'HWC') return new Tensor('uint8', data.slice(), [height, width, channels]);
    const area = width * height;
    const planes = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i++) planes[(i % channels) * area + Math.floor(i / channels)] = data[i] as number;
    return new Tensor('uint8', planes, [channels, height, width]);
  }
}

export function isPixels(input: ImageInput): input is PixelsInput {
  return typeof input === 'object' && input !== null && 'data' in input;
}

/** @throws {ImageError} when data and sizes disagree */
function fromPixels(input: PixelsInput): RawImage {
  if (input instanceof RawImage) return input;
  const { data, width, height, channels = data.length / (width * height) } = input;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new ImageError(
      `image: expected data as Uint8Array or Uint8ClampedArray, found ${Object.prototype.toString.call(data).slice(8, -1)}`,
    );
  }
  return new RawImage(data, width, height, channels);
}
