import jpeg from 'jpeg-js';
import { ImageError, LimitError } from '../errors.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { isJpeg, type JpegSegment, jpegSegments, MARKER, readJpegHeader } from './jpeg.ts';
import { checkSize, type Pixels } from './pixels.ts';
import { inflatedBytes, isIntact, isPng, type PngChunk, type PngHeader, pngChunks, pngColors, readPngHeader } from './png.ts';

export interface DecodeOptions {
  /** What is decoded at most: pixels, and bytes of memory for it, both read from the header before anything is decompressed. */
  limits?: Limits | undefined;
  /** What messages call the picture: a path, a URL. Default `bytes`. */
  source?: string | undefined;
}

/**
 * The RGB pixels of a PNG or JPEG file, told apart by their first bytes, as Pillow's `convert('RGB')` gives them: alpha is dropped, grey
 * repeated, palettes looked up, of 16 bits the upper 8 taken, CMYK converted without a profile. EXIF orientation is not applied.
 * PNG equals Pillow. JPEG differs from libjpeg-turbo by up to 4 levels for another inverse DCT, and where chroma is subsampled by up to
 * about 110 at sharp edges between colours: libjpeg-turbo interpolates it, jpeg-js repeats the nearest sample. jpeg-js refuses progressive
 * files that have both subsampled chroma and restart intervals which do not divide the number of blocks.
 * @throws {ImageError} when the file is neither, truncated or damaged; {LimitError} when it is too large
 */
export async function decodeImage(bytes: Uint8Array, { limits, source = 'bytes' }: DecodeOptions = {}): Promise<Pixels> {
  if (isPng(bytes)) return decodePng(bytes, source, limits);
  if (isJpeg(bytes)) return decodeJpeg(bytes, source, limits);
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const found = bytes.length === 0 ? 'no bytes' : `a file that starts with ${start}`;
  throw new ImageError(`${source}: expected a PNG or JPEG file, found ${found}: convert it, or pass a decoder as option decode`);
}

async function decodePng(bytes: Uint8Array, source: string, limits: Limits | undefined): Promise<Pixels> {
  const chunks = [...pngChunks(bytes, source)];
  const header = readPngHeader(chunks[0] as PngChunk, source);
  const { width, height } = header;
  checkSize(source, width, height, limits);
  checkMemory(source, limits, bytes.length + inflatedBytes(header) + 3 * width * height);
  const data = await orImageError(source, 'PNG', async () => {
    const critical = chunks.filter(({ type }) => /^[A-Z]/.test(type)); // what makes the colours
    const damaged = critical.find((chunk) => !isIntact(chunk));
    if (damaged) throw new Error(`a chunk ${damaged.type} of another checksum`);
    const palette = critical.find(({ type }) => type === 'PLTE')?.data ?? new Uint8Array();
    return pngColors(header, await inflate(critical, header), palette);
  });
  return { data, width, height, channels: 3 };
}

/** zlib makes at most 1032 bytes of one (zlib.net, technical details). */
const MAX_INFLATION = 1032;

/** The picture's data, no longer compressed; refuses what is too short for it before memory is taken, and never takes more. */
async function inflate(chunks: readonly PngChunk[], header: PngHeader): Promise<Uint8Array> {
  const compressed = new Blob(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data as Uint8Array<ArrayBuffer>));
  const expected = inflatedBytes(header);
  if (compressed.size * MAX_INFLATION < expected) {
    throw new Error(`${compressed.size} compressed bytes cannot hold ${header.width} x ${header.height} pixels`);
  }
  const bytes = new Uint8Array(expected);
  let length = 0;
  const reader = compressed.stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    if (length + piece.value.length > expected) {
      await reader.cancel();
      throw new Error(`more than the ${expected} bytes of pixels that should be`);
    }
    bytes.set(piece.value, length);
    length += piece.value.length;
  }
  if (length < expected) throw new Error(`${length} bytes of pixels where ${expected} should be`);
  return bytes;
}

/** Bytes that jpeg-js takes for a block of 64 samples, an array of 32-bit integers each (resident memory, measured at 12 and 35 million pixels). */
const JPEG_BLOCK = 672;

async function decodeJpeg(bytes: Uint8Array, source: string, limits: Limits | undefined): Promise<Pixels> {
  const segments = [...jpegSegments(bytes, source)];
  const { width, height, components, isYcc, blocks, storedBlocks } = readJpegHeader(segments, source);
  checkSize(source, width, height, limits);
  const { data } = await orImageError(source, 'JPEG', () => {
    // a block takes at least a bit
    if (bytes.length * 8 < blocks) throw new Error(`${bytes.length} bytes cannot hold ${width} x ${height} pixels`);
    checkMemory(source, limits, bytes.length + storedBlocks * JPEG_BLOCK + 3 * width * height);
    return jpeg.decode(essentials(segments, components === 4 ? adobeMarker(isYcc) : []), {
      colorTransform: isYcc,
      formatAsRGBA: false,
      useTArray: true,
      maxResolutionInMP: Number.POSITIVE_INFINITY, // checked above
      maxMemoryUsageInMB: Number.POSITIVE_INFINITY,
      // Lets pass the blocks that jpeg-js looks for below the picture when a restart interval ends there, and nothing else.
      tolerantDecoding: true,
    });
  });
  return { data, width, height, channels: 3 };
}

function checkMemory(source: string, limits: Limits | undefined, bytes: number): void {
  checkLimit(source, 'decodeBytes', limits, 'a picture that is decoded in * bytes of memory', bytes);
}

/** A JPEG file of only what makes the samples, with an end even if it had none: there jpeg-js stops when a scan is too short. */
function essentials(segments: readonly JpegSegment[], colorMarker: readonly number[]): Uint8Array {
  const kept = segments.filter(
    ({ marker }) => marker !== MARKER.EOI && marker !== MARKER.COM && (marker < MARKER.APP0 || marker > MARKER.APP15),
  );
  return joined([Uint8Array.of(0xff, 0xd8, ...colorMarker), ...kept.map((segment) => segment.bytes), Uint8Array.of(0xff, MARKER.EOI)]);
}

/** APP14 of Adobe (Technical Note 5116), without which jpeg-js takes no four components: version 100, no flags, 2 for YCCK, 0 for CMYK. */
function adobeMarker(isYcck: boolean): number[] {
  return [0xff, MARKER.APP14, 0, 14, ...Array.from('Adobe', (c) => c.charCodeAt(0)), 0, 100, 0, 0, 0, 0, isYcck ? 2 : 0];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function orImageError<T>(source: string, format: string, decode: () => T | Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (cause) {
    if (cause instanceof LimitError) throw cause;
    throw new ImageError(`${source}: expected a whole ${format} file, found one that cannot be decoded (${(cause as Error).message})`, {
      cause,
    });
  }
}
