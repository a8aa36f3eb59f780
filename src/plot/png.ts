import { PNG } from 'pngjs';
import type { Pixels } from '../image/pixels.ts';
import { checkRgb } from './picture.ts';

/** The bytes of a PNG file of an RGB picture. @throws {ArgumentError} on another number of channels */
export function encodePng(picture: Pixels): Uint8Array {
  checkRgb(picture);
  const { data, width, height } = picture;
  const png = new PNG({ width, height, colorType: 2, inputColorType: 2, inputHasAlpha: false });
  png.data = Buffer.from(data.buffer, data.byteOffset, data.length);
  return PNG.sync.write(png, { colorType: 2, inputColorType: 2, inputHasAlpha: false });
}
