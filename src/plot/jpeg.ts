import jpeg from 'jpeg-js';
import type { Pixels } from '../image/pixels.ts';
import { convertChannels } from '../image/pixels.ts';
import { checkRgb } from './picture.ts';

/**
 * The bytes of a JPEG file of an RGB picture.
 * @param options `quality`: 1 to 100. Default 80.
 * @throws {ArgumentError} on another number of channels
 */
export function encodeJpeg(picture: Pixels, { quality = 80 }: { quality?: number } = {}): Uint8Array<ArrayBuffer> {
  checkRgb(picture);
  const { width, height } = picture;
  return Uint8Array.from(jpeg.encode({ data: convertChannels(picture, 4).data, width, height }, quality).data);
}
