import { ImageError } from '../errors.ts';
import { crc32 } from '../files/crc32.ts';

/** How a PNG file begins. */
export const PNG_SIGNATURE: Uint8Array<ArrayBuffer> = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

export function isPng(bytes: Uint8Array): boolean {
  return PNG_SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** Chunks beyond which a file is refused, for each takes more memory than its 12 bytes: encoders write one for 8 KiB or more. */
const MAX_CHUNKS = 100_000;

export interface PngChunk {
  readonly type: string;
  /** All of the chunk: length, type, data, checksum. */
  readonly bytes: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * The chunks of a PNG file up to IEND; what comes after it is no part of the picture. Their checksums are left to {@link isIntact}.
 * @throws {ImageError} when the file ends before IEND does
 */
export function* pngChunks(bytes: Uint8Array, source: string): Generator<PngChunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = PNG_SIGNATURE.length;
  let count = 0;
  for (let type = ''; type !== 'IEND'; count++) {
    if (count === MAX_CHUNKS) throw new ImageError(`${source}: expected at most ${MAX_CHUNKS} PNG chunks, found more`);
    const end = start + 12 + (start + 12 <= bytes.length ? view.getUint32(start) : 0);
    if (end > bytes.length)
      throw new ImageError(`${source}: expected a PNG chunk up to byte ${end}, found the end at ${bytes.length}: the file is truncated`);
    type = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    yield { type, bytes: bytes.subarray(start, end), data: bytes.subarray(start + 8, end - 4) };
    start = end;
  }
}

/** Whether the checksum of a chunk holds. */
export function isIntact({ bytes }: PngChunk): boolean {
  const end = bytes.length - 4;
  return crc32(bytes.subarray(4, end)) === new DataView(bytes.buffer, bytes.byteOffset).getUint32(end);
}

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits a sample: 1, 2, 4, 8 or 16. */
  readonly bitDepth: number;
  /** Samples a pixel: 1 grey or palette index, 2 grey and alpha, 3 RGB, 4 RGBA. */
  readonly samples: number;
  /** Whether a sample is the number of a colour of the palette. */
  readonly indexed: boolean;
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
  return {
    width: view.getUint32(0),
    height: view.getUint32(4),
    bitDepth,
    samples: format.samples,
    indexed: colorType === 3,
    interlaced: interlace === 1,
  };
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

/** A picture that is not interlaced, as one pass. */
const WHOLE = [[0, 0, 1, 1]] as const;

interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
  readonly columns: number;
  readonly rows: number;
  readonly rowBytes: number;
}

/** The passes that have any pixel. */
function passesOf({ width, height, bitDepth, samples, interlaced }: PngHeader): Pass[] {
  return (interlaced ? PASSES : WHOLE)
    .map(([x, y, dx, dy]) => {
      const columns = Math.max(0, Math.ceil((width - x) / dx));
      const rows = Math.max(0, Math.ceil((height - y) / dy));
      return { x, y, dx, dy, columns, rows, rowBytes: Math.ceil((columns * samples * bitDepth) / 8) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Bytes of a picture that is no longer compressed: rows of whole bytes, each after one that says its filter. */
export function inflatedBytes(header: PngHeader): number {
  return passesOf(header).reduce((sum, { rows, rowBytes }) => sum + rows * (1 + rowBytes), 0);
}

/**
 * RGB of a picture that is no longer compressed: grey is repeated, palettes looked up, alpha dropped, of 16 bits the upper 8 taken.
 * @param bytes {@link inflatedBytes} of them; are overwritten
 * @param palette RGB of each colour
 * @throws {Error} on an unknown filter and on a colour that is not in the palette
 */
export function pngColors(header: PngHeader, bytes: Uint8Array, palette: Uint8Array): Uint8Array {
  const { width, height, bitDepth, samples, indexed } = header;
  const rgb = new Uint8Array(width * height * 3);
  const distance = Math.max(1, (samples * bitDepth) / 8); // bytes from a pixel to the next
  const sample = sampleOf(bitDepth, indexed ? 1 : 255 / (2 ** bitDepth - 1));
  let at = 0;
  for (const { x, y, dx, dy, columns, rows, rowBytes } of passesOf(header)) {
    let above: Uint8Array = new Uint8Array(rowBytes);
    for (let row = 0; row < rows; row++) {
      const line = bytes.subarray(at + 1, at + 1 + rowBytes);
      unfilter(bytes[at] as number, line, above, distance);
      for (let column = 0; column < columns; column++) {
        const to = ((y + row * dy) * width + x + column * dx) * 3;
        const from = column * samples;
        if (indexed) {
          const color = sample(line, from) * 3;
          if (color + 3 > palette.length) throw new Error(`colour ${color / 3} of a palette of ${palette.length / 3}`);
          rgb.set(palette.subarray(color, color + 3), to);
        } else {
          const step = samples < 3 ? 0 : 1;
          for (let c = 0; c < 3; c++) rgb[to + c] = sample(line, from + c * step);
        }
      }
      above = line;
      at += 1 + rowBytes;
    }
  }
  return rgb;
}

/** What gets the nth sample of a row, in 8 bits: of more the upper 8, of less multiplied by `scale`. */
function sampleOf(bitDepth: number, scale: number): (line: Uint8Array, n: number) => number {
  if (bitDepth === 8) return (line, n) => line[n] as number;
  if (bitDepth === 16) return (line, n) => line[2 * n] as number;
  const mask = 2 ** bitDepth - 1;
  return (line, n) => {
    const bit = n * bitDepth;
    return (((line[bit >> 3] as number) >> (8 - bitDepth - (bit & 7))) & mask) * scale;
  };
}

/** Undoes the filter of a row in place (PNG specification, section 9). */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, distance: number): void {
  const { length } = line;
  if (filter > 4) throw new Error(`filter ${filter} of a row`);
  if (filter === 0) return;
  for (let i = 0; i < length; i++) {
    const left = i < distance ? 0 : (line[i - distance] as number);
    const up = above[i] as number;
    const upLeft = i < distance ? 0 : (above[i - distance] as number);
    const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, upLeft);
    line[i] = (line[i] as number) + guess;
  }
}

/** Of left, up and upLeft the nearest to left + up - upLeft. */
export function paeth(left: number, up: number, upLeft: number): number {
  const toLeft = Math.abs(up - upLeft);
  const toUp = Math.abs(left - upLeft);
  const toUpLeft = Math.abs(left + up - 2 * upLeft);
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}
