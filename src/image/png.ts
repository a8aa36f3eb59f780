import { ImageError } from '../errors.ts';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

export interface PngChunk {
  readonly type: string;
  /** All of the chunk: length, type, data, checksum. */
  readonly bytes: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * The chunks of a PNG file up to IEND; what comes after it is no part of the picture. Checksums are not looked at.
 * @throws {ImageError} when the file ends before IEND does
 */
export function* pngChunks(bytes: Uint8Array, source: string): Generator<PngChunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = SIGNATURE.length;
  for (let type = ''; type !== 'IEND'; ) {
    const end = start + 12 + (start + 12 <= bytes.length ? view.getUint32(start) : 0);
    if (end > bytes.length)
      throw new ImageError(`${source}: expected a PNG chunk up to byte ${end}, found the end at ${bytes.length}: the file is truncated`);
    type = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    yield { type, bytes: bytes.subarray(start, end), data: bytes.subarray(start + 8, end - 4) };
    start = end;
  }
}

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits a sample: 1, 2, 4, 8 or 16. */
  readonly bitDepth: number;
  /** Samples a pixel: 1 grey or palette index, 2 grey and alpha, 3 RGB, 4 RGBA. */
  readonly samples: number;
  readonly interlaced: boolean;
}

/** Samples and allowed bit depths by colour type (PNG specification, table 11.1). */
const COLOR_TYPES = new Map([
  [0, { samples: 1, bitDepths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, bitDepths: [8, 16] }],
  [3, { samples: 1, bitDepths: [1, 2, 4, 8] }],
  [4, { samples: 2, bitDepths: [8, 16] }],
  [6, { samples: 4, bitDepths: [8, 16] }],
]);

/**
 * What the first chunk says.
 * @throws {ImageError} when it is no IHDR or says what the format does not allow
 */
export function readPngHeader({ type, data }: PngChunk, source: string): PngHeader {
  if (type !== 'IHDR' || data.length !== 13) {
    throw new ImageError(
      `${source}: expected a PNG file to start with an IHDR chunk of 13 bytes, found ${JSON.stringify(type)} of ${data.length}`,
    );
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [bitDepth = 0, colorType = 0, , , interlace] = data.subarray(8);
  const format = COLOR_TYPES.get(colorType);
  if (!format?.bitDepths.includes(bitDepth)) {
    throw new ImageError(
      `${source}: expected a colour type and bit depth of PNG, found type ${colorType} with ${bitDepth} bits: the file is damaged`,
    );
  }
  return { width: view.getUint32(0), height: view.getUint32(4), bitDepth, samples: format.samples, interlaced: interlace === 1 };
}

/** Where the passes of an interlaced picture begin and how far apart their pixels are: [x, y, dx, dy] (PNG specification, section 8). */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Bytes of a picture that is no longer compressed: rows of whole bytes, each after one that says its filter. */
export function inflatedBytes({ width, height, bitDepth, samples, interlaced }: PngHeader): number {
  let bytes = 0;
  for (const [x, y, dx, dy] of interlaced ? PASSES : ([[0, 0, 1, 1]] as const)) {
    const columns = Math.max(0, Math.ceil((width - x) / dx));
    const rows = Math.max(0, Math.ceil((height - y) / dy));
    if (columns > 0) bytes += rows * (1 + Math.ceil((columns * samples * bitDepth) / 8));
  }
  return bytes;
}
