import { inflateSync } from 'node:zlib';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { ImageError } from '../errors.ts';
import { isJpeg, type JpegSegment, jpegSegments, MARKER, readJpegHeader } from './jpeg.ts';
import { checkSize, type Pixels } from './pixels.ts';
import { inflatedBytes, isPng, type PngChunk, type PngHeader, pngChunks, readPngHeader } from './png.ts';

export interface DecodeOptions {
  /** Width times height of the largest picture that is decoded. Default 100 million; the size is read before anything is decompressed. */
  maxPixels?: number | undefined;
  /** What messages call the picture: a path, a URL. Default `bytes`. */
  source?: string | undefined;
}

/**
 * The RGB pixels of a PNG or JPEG file, told apart by their first bytes, as Pillow's `convert('RGB')` gives them: alpha is dropped, grey
 * repeated, palettes looked up, of 16 bits the upper 8 taken, CMYK converted without a profile. EXIF orientation is not applied.
 * PNG equals Pillow. JPEG differs from libjpeg-turbo by up to 4 levels for another inverse DCT, and where chroma is subsampled by up to
 * about 110 at sharp edges between colours: libjpeg-turbo interpolates it, jpeg-js repeats the nearest sample. jpeg-js refuses progressive
 * files that have both subsampled chroma and restart intervals which do not divide the number of blocks.
 * @throws {ImageError} when the file is neither, truncated or damaged, or of more than `maxPixels` pixels
 */
export function decodeImage(bytes: Uint8Array, { maxPixels, source = 'bytes' }: DecodeOptions = {}): Pixels {
  if (isPng(bytes)) return decodePng(bytes, source, maxPixels);
  if (isJpeg(bytes)) return decodeJpeg(bytes, source, maxPixels);
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const found = bytes.length === 0 ? 'no bytes' : `a file that starts with ${start}`;
  throw new ImageError(`${source}: expected a PNG or JPEG file, found ${found}: convert it, or pass a decoder as option decode`);
}

function decodePng(bytes: Uint8Array, source: string, maxPixels: number | undefined): Pixels {
  const chunks = [...pngChunks(bytes, source)];
  const header = readPngHeader(chunks[0] as PngChunk, source);
  const { width, height, bitDepth } = header;
  checkSize(source, width, height, maxPixels);
  const decoded = orImageError(source, 'PNG', () => {
    checkInflated(chunks, header);
    // Only what makes the colours: pngjs would blacken the pixels of a transparent colour (tRNS) and refuse bytes after the end.
    const critical = chunks.filter(({ type }) => /^[A-Z]/.test(type));
    return PNG.sync.read(Buffer.concat([bytes.subarray(0, 8), ...critical.map((chunk) => chunk.bytes)]), { skipRescale: bitDepth === 16 });
  });
  const rgba: Uint8Array | Uint16Array = decoded.data;
  const shift = bitDepth === 16 ? 8 : 0;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = (rgba[from] as number) >> shift;
    data[to + 1] = (rgba[from + 1] as number) >> shift;
    data[to + 2] = (rgba[from + 2] as number) >> shift;
  }
  return { data, width, height, channels: 3 };
}

/** zlib makes at most 1032 bytes of one (zlib.net, technical details). */
const MAX_INFLATION = 1032;

/**
 * Refuses compressed data of another length than the picture's; one that is too short for it before memory is taken.
 * pngjs itself takes what is missing from memory that was never written, and of an interlaced picture inflates without limit.
 */
function checkInflated(chunks: readonly PngChunk[], header: PngHeader): void {
  const compressed = chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data);
  const found = compressed.reduce((sum, { length }) => sum + length, 0);
  const expected = inflatedBytes(header);
  if (found * MAX_INFLATION < expected) throw new Error(`${found} compressed bytes cannot hold ${header.width} x ${header.height} pixels`);
  const { length } = inflateSync(Buffer.concat(compressed), { maxOutputLength: expected });
  if (length < expected) throw new Error(`${length} bytes of pixels where ${expected} should be`);
}

function decodeJpeg(bytes: Uint8Array, source: string, maxPixels: number | undefined): Pixels {
  const segments = [...jpegSegments(bytes, source)];
  const { width, height, components, isYcc, blocks } = readJpegHeader(segments, source);
  checkSize(source, width, height, maxPixels);
  const { data } = orImageError(source, 'JPEG', () => {
    // a block takes at least a bit
    if (bytes.length * 8 < blocks) throw new Error(`${bytes.length} bytes cannot hold ${width} x ${height} pixels`);
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

/** A JPEG file of only what makes the samples, with an end even if it had none: there jpeg-js stops when a scan is too short. */
function essentials(segments: readonly JpegSegment[], colorMarker: readonly number[]): Uint8Array {
  const kept = segments.filter(
    ({ marker }) => marker !== MARKER.EOI && marker !== MARKER.COM && (marker < MARKER.APP0 || marker > MARKER.APP15),
  );
  return Buffer.concat([
    Uint8Array.of(0xff, 0xd8, ...colorMarker),
    ...kept.map((segment) => segment.bytes),
    Uint8Array.of(0xff, MARKER.EOI),
  ]);
}

/** APP14 of Adobe (Technical Note 5116), without which jpeg-js takes no four components: version 100, no flags, 2 for YCCK, 0 for CMYK. */
function adobeMarker(isYcck: boolean): number[] {
  return [0xff, MARKER.APP14, 0, 14, ...Array.from('Adobe', (c) => c.charCodeAt(0)), 0, 100, 0, 0, 0, 0, isYcck ? 2 : 0];
}

function orImageError<T>(source: string, format: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new ImageError(`${source}: expected a whole ${format} file, found one that cannot be decoded (${(cause as Error).message})`, {
      cause,
    });
  }
}
