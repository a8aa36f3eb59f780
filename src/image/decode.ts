import { Dinov2Error, HostError, ImageError } from '../errors.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { Engine } from '../runtime/engine.ts';
import { scratchEngine } from '../runtime/scratch.ts';
import { isJpeg, jpegSegments, readJpegHeader } from './jpeg.ts';
import { decodeJpeg, isKeptWhole } from './jpegDecoder.ts';
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
 * Every byte is Pillow's with libjpeg-turbo.
 * @throws {HostError} for PNG on a host that has no DecompressionStream, for JPEG where there are no kernels; {MemoryError}
 * @throws {ImageError} when the file is neither, truncated or damaged; {LimitError} when it is too large
 */
export async function decodeImage(bytes: Uint8Array, { limits, source = 'bytes' }: DecodeOptions = {}): Promise<Pixels> {
  if (isPng(bytes)) return decodePng(bytes, source, limits);
  if (isJpeg(bytes)) return decodeJpegFile(bytes, source, limits);
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const found = bytes.length === 0 ? 'no bytes' : `a file that starts with ${start}`;
  throw new ImageError(`${source}: expected a PNG or JPEG file, found ${found}: convert it, or pass a decoder as option decode`);
}

async function decodePng(bytes: Uint8Array, source: string, limits: Limits | undefined): Promise<Pixels> {
  if (typeof DecompressionStream === 'undefined') {
    throw new HostError(
      `${source}: expected a host with DecompressionStream, which PNG needs, found none: convert it to JPEG, or pass a decoder as option decode`,
    );
  }
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

/** Of coefficients. */
const JPEG_BLOCK = 64 * 2;

async function decodeJpegFile(bytes: Uint8Array, source: string, limits: Limits | undefined): Promise<Pixels> {
  const segments = [...jpegSegments(bytes, source)];
  const header = readJpegHeader(segments, source);
  const { width, height, blocks, storedBlocks } = header;
  checkSize(source, width, height, limits);
  const data = await orImageError(source, 'JPEG', () => {
    // a block takes at least a bit
    if (bytes.length * 8 < blocks) throw new Error(`${bytes.length} bytes cannot hold ${width} x ${height} pixels`);
    const isWhole = isKeptWhole(segments, header);
    checkMemory(source, limits, 2 * bytes.length + (isWhole ? storedBlocks * JPEG_BLOCK : 0) + 3 * width * height);
    if (!isWhole) return decodeJpeg(segments, header, scratchEngine());
    using engine = new Engine(); // all coefficients: memory that has to be given back
    return decodeJpeg(segments, header, engine);
  });
  return { data, width, height, channels: 3 };
}

function checkMemory(source: string, limits: Limits | undefined, bytes: number): void {
  checkLimit(source, 'decodeBytes', limits, 'a picture that is decoded in * bytes of memory', bytes);
}

async function orImageError<T>(source: string, format: string, decode: () => T | Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (cause) {
    if (cause instanceof Dinov2Error) throw cause; // no kernels, no memory
    throw new ImageError(`${source}: expected a whole ${format} file, found one that cannot be decoded (${(cause as Error).message})`, {
      cause,
    });
  }
}
