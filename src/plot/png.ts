import { ShapeError } from '../errors.ts';
import { crc32 } from '../files/crc32.ts';
import type { Pixels } from '../image/pixels.ts';
import { PNG_SIGNATURE, paeth } from '../image/png.ts';
import type { Extent } from '../image/processor.ts';
import { checkRgb } from './picture.ts';

/** Bits of a channel, colour type and the method of each step, the only ones (PNG specification, section 11.2.2), and bytes of a pixel. */
const RGB_8 = { fields: [8, 2, 0, 0, 0], bytes: 3 } as const;
const GRAY_16 = { fields: [16, 0, 0, 0, 0], bytes: 2 } as const;
const PAETH = 4;

/** The bytes of a PNG file of an RGB picture. @throws {ArgumentError} on another number of channels */
export async function encodePng(picture: Pixels): Promise<Uint8Array<ArrayBuffer>> {
  checkRgb(picture);
  return encode(picture.data, picture, RGB_8);
}

/** The bytes of a PNG file of one channel of 16 bits: pixels (height * width). @throws {ShapeError} on another number of them */
export async function encodeGray16(pixels: Uint16Array, { width, height }: Extent): Promise<Uint8Array<ArrayBuffer>> {
  if (pixels.length !== width * height) throw new ShapeError(`pixels: expected ${width} x ${height}, found ${pixels.length}`);
  const view = new DataView(new ArrayBuffer(pixels.length * 2));
  for (const [i, value] of pixels.entries()) view.setUint16(i * 2, value); // big-endian
  return encode(new Uint8Array(view.buffer), { width, height }, GRAY_16);
}

type Format = typeof RGB_8 | typeof GRAY_16;

async function encode(data: ArrayLike<number>, size: Extent, format: Format): Promise<Uint8Array<ArrayBuffer>> {
  const header = new Uint8Array(8 + format.fields.length);
  const view = new DataView(header.buffer);
  view.setUint32(0, size.width);
  view.setUint32(4, size.height);
  header.set(format.fields, 8);
  const compressed = new Blob([filtered(data, size, format)]).stream().pipeThrough(new CompressionStream('deflate'));
  const packed = new Uint8Array(await new Response(compressed).arrayBuffer());
  const file = new Blob([PNG_SIGNATURE, chunk('IHDR', header), chunk('IDAT', packed), chunk('IEND', new Uint8Array())]);
  return new Uint8Array(await file.arrayBuffer());
}

/** Rows of what each byte differs from the guess out of its neighbours, each after the number of the filter. */
function filtered(data: ArrayLike<number>, { width, height }: Extent, { bytes: step }: Format): Uint8Array<ArrayBuffer> {
  const bytes = width * step;
  const rows = new Uint8Array(height * (1 + bytes));
  for (let y = 0; y < height; y++) {
    const to = y * (1 + bytes);
    const from = y * bytes;
    rows[to] = PAETH;
    for (let i = 0; i < bytes; i++) {
      const left = i < step ? 0 : (data[from + i - step] as number);
      const up = y === 0 ? 0 : (data[from + i - bytes] as number);
      const upLeft = i < step || y === 0 ? 0 : (data[from + i - bytes - step] as number);
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
