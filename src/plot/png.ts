import { crc32 } from '../files/crc32.ts';
import type { Pixels } from '../image/pixels.ts';
import { PNG_SIGNATURE, paeth } from '../image/png.ts';
import { checkRgb } from './picture.ts';

/** Colour type and the method of each step, the only ones: 8 bits RGB, not interlaced (PNG specification, section 11.2.2). */
const RGB_8 = [8, 2, 0, 0, 0];
const PAETH = 4;

/** The bytes of a PNG file of an RGB picture. @throws {ArgumentError} on another number of channels */
export async function encodePng(picture: Pixels): Promise<Uint8Array<ArrayBuffer>> {
  checkRgb(picture);
  const header = new Uint8Array(8 + RGB_8.length);
  const view = new DataView(header.buffer);
  view.setUint32(0, picture.width);
  view.setUint32(4, picture.height);
  header.set(RGB_8, 8);
  const compressed = new Blob([filtered(picture)]).stream().pipeThrough(new CompressionStream('deflate'));
  const data = new Uint8Array(await new Response(compressed).arrayBuffer());
  const file = new Blob([PNG_SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', new Uint8Array())]);
  return new Uint8Array(await file.arrayBuffer());
}

/** Rows of what each byte differs from the guess out of its neighbours, each after the number of the filter. */
function filtered({ data, width, height }: Pixels): Uint8Array<ArrayBuffer> {
  const bytes = width * 3;
  const rows = new Uint8Array(height * (1 + bytes));
  for (let y = 0; y < height; y++) {
    const to = y * (1 + bytes);
    const from = y * bytes;
    rows[to] = PAETH;
    for (let i = 0; i < bytes; i++) {
      const left = i < 3 ? 0 : (data[from + i - 3] as number);
      const up = y === 0 ? 0 : (data[from + i - bytes] as number);
      const upLeft = i < 3 || y === 0 ? 0 : (data[from + i - bytes - 3] as number);
      rows[to + 1 + i] = (data[from + i] as number) - paeth(left, up, upLeft);
    }
  }
  return rows;
}

/** Length, type, data, checksum. */
function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(
    Array.from(type, (c) => c.charCodeAt(0)),
    4,
  );
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
