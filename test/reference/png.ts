import { deflateSync } from 'node:zlib';

export interface PngPicture {
  width: number;
  height: number;
  bitDepth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. */
  colorType: number;
  /** Row by row, pixel by pixel. */
  samples: ArrayLike<number>;
  interlaced?: boolean;
  /** Chunks between IHDR and IDAT, as PLTE and tRNS. */
  chunks?: readonly [type: string, data: Uint8Array][];
}

export const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Where the seven passes of Adam7 begin and how far apart their pixels are: [x, y, dx, dy]. */
export const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** A PNG file without row filters. */
export function encodePng(picture: PngPicture): Uint8Array<ArrayBuffer> {
  const { width, height, bitDepth, colorType, interlaced = false, chunks = [] } = picture;
  const passes = interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const);
  const rows = passes.flatMap(([x, y, dx, dy]) => scanlines(picture, x, y, dx, dy));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colorType, 0, 0, interlaced ? 1 : 0], 8);
  return pngFile([['IHDR', header], ...chunks, ['IDAT', deflateSync(Buffer.concat(rows))], ['IEND', new Uint8Array()]]);
}

export function pngFile(chunks: readonly [type: string, data: Uint8Array][]): Uint8Array<ArrayBuffer> {
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Uint8Array(Buffer.concat([signature, ...chunks.map(([type, data]) => chunk(type, data))]));
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

function scanlines({ width, height, bitDepth, colorType, samples }: PngPicture, x0: number, y0: number, dx: number, dy: number): Buffer[] {
  const perPixel = SAMPLES[colorType] as number;
  const rows: Buffer[] = [];
  for (let y = y0; y < height; y += dy) {
    let bits = '';
    for (let x = x0; x < width; x += dx) {
      for (let s = 0; s < perPixel; s++) bits += (samples[(y * width + x) * perPixel + s] as number).toString(2).padStart(bitDepth, '0');
    }
    if (bits === '') continue;
    const bytes = bits.match(/.{1,8}/g) as string[];
    rows.push(Buffer.from([0, ...bytes.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2))]));
  }
  return rows;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
