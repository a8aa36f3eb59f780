import { ArgumentError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Engine } from '../runtime/engine.ts';
import { scratchEngine } from '../runtime/scratch.ts';
import { checkSize, type Pixels } from './pixels.ts';

/** Pillow's filters, in the order of its codes (`PIL.Image.Resampling`). */
export const RESAMPLING = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;

export type Resampling = (typeof RESAMPLING)[number];

export interface ResizeOptions {
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** A filter by name or by Pillow's code. Default bicubic (3). */
  resample?: Resampling | number | undefined;
  /** Of these `pixels`, for the picture that is made. */
  limits?: Limits | undefined;
}

interface Filter {
  /** The weight is 0 at this distance and beyond, in pixels of the smaller picture. */
  readonly support: number;
  weight(x: number): number;
}

/**
 * Pillow, src/libImaging/Resample.c. None is asked for a distance beyond its support, but by the rounding of one at its end: there all but box are 0
 * in the 22 bits that count, without being told.
 */
const FILTERS: Readonly<Record<Exclude<Resampling, 'nearest'>, Filter>> = {
  box: { support: 0.5, weight: (x) => (x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => 1 - Math.abs(x) },
  hamming: { support: 1, weight: (x) => sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)) },
  bicubic: { support: 2, weight: (x) => keys(Math.abs(x)) },
  lanczos: { support: 3, weight: (x) => sinc(x) * sinc(x / 3) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** The cubic of Keys (1981) with a = -0.5. */
function keys(x: number): number {
  const a = -0.5;
  return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : (((x - 5) * x + 8) * x - 4) * a;
}

/**
 * Pillow's `resize` of 8-bit pictures, equal to it in every byte: both directions in turn, rounded to bytes between, with the filter
 * widened to the scale where the picture becomes smaller. Each channel by itself: alpha does not weigh the colours.
 * @returns the picture itself where the size is already right
 * @throws {ImageError} on a size below 1; {LimitError} above limits.pixels
 * @throws {ArgumentError} on an unknown filter
 */
export function resize(
  pixels: Pixels,
  { width, height, resample = 'bicubic', limits }: ResizeOptions,
  engine: Engine = scratchEngine(),
): Pixels {
  checkSize('resize', width, height, limits);
  const name = typeof resample === 'number' ? RESAMPLING[resample] : resample;
  if (name === undefined || !RESAMPLING.includes(name)) {
    throw new ArgumentError(
      `resample: expected ${RESAMPLING.map((filter, code) => `${code} (${filter})`).join(', ')}, found ${JSON.stringify(resample)}`,
    );
  }
  if (name === 'nearest') return nearest(pixels, width, height);
  const filter = FILTERS[name];
  // PIL/Image.py, `resize`: a picture of more than a hundred times its width is shortened first
  if (pixels.height > 100 * pixels.width && height < pixels.height)
    return horizontal(vertical(pixels, height, filter, engine), width, filter, engine);
  return vertical(horizontal(pixels, width, filter, engine), height, filter, engine);
}

/** Bytes of rows that are in engine memory at a time, so that a photograph of any size takes little of it and of the cache. */
const STRIP = 2 ** 18;
/** Bytes that the kernels may touch before they notice the end of a strip. */
const SLACK = 16;

function horizontal(pixels: Pixels, width: number, filter: Filter, engine: Engine): Pixels {
  if (width === pixels.width) return pixels;
  const { height, channels } = pixels;
  const taps = filterTaps(filter, pixels.width, width);
  const rowBytes = pixels.width * channels;
  const outRowBytes = width * channels;
  const data = new Uint8Array(height * outRowBytes);
  const strip = Math.min(height, Math.max(1, Math.floor(STRIP / Math.max(rowBytes, outRowBytes))));
  engine.scope(() => {
    const table = engine.allocate(taps.table.byteLength);
    const input = engine.allocate(strip * rowBytes + SLACK);
    const output = engine.allocate(strip * outRowBytes + SLACK);
    engine.write(table, taps.table);
    for (let y = 0; y < height; y += strip) {
      const rows = Math.min(strip, height - y);
      engine.write(input, pixels.data.subarray(y * rowBytes, (y + rows) * rowBytes));
      engine.call('u8_resample_horizontal', rows, pixels.width, width, channels, taps.pairs, input, table, output);
      engine.read(output, data.subarray(y * outRowBytes, (y + rows) * outRowBytes));
    }
  });
  return { data, width, height, channels };
}

function vertical(pixels: Pixels, height: number, filter: Filter, engine: Engine): Pixels {
  if (height === pixels.height) return pixels;
  const { width, channels } = pixels;
  const taps = filterTaps(filter, pixels.height, height);
  const rowBytes = width * channels;
  const data = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; ) {
    const first = taps.first(y);
    let end = y + 1;
    while (end < height && (taps.end(end) - first) * rowBytes <= STRIP && (end - y) * rowBytes <= STRIP) end++;
    const from = pixels.data.subarray(first * rowBytes, taps.end(end - 1) * rowBytes);
    const to = data.subarray(y * rowBytes, end * rowBytes);
    engine.scope(() => {
      const entries = taps.table.subarray(y * taps.entryBytes, end * taps.entryBytes);
      const table = engine.allocate(entries.length);
      const input = engine.allocate(from.length + rowBytes + SLACK);
      const output = engine.allocate(to.length + SLACK);
      engine.write(table, entries);
      engine.write(input, from);
      engine.call('u8_resample_vertical', end - y, rowBytes, taps.pairs, first, input, table, output);
      engine.read(output, to);
    });
    y = end;
  }
  return { data, width, height, channels };
}

/** Which inputs make an output and with which weights, for all outputs of one direction. */
interface Taps {
  /** Room for pairs of taps of an output. */
  readonly pairs: number;
  readonly entryBytes: number;
  /** In the layout of the kernels (assembly/resample/u8_resample.ts). */
  readonly table: Uint8Array;
  first(output: number): number;
  /** After the last input of an output; with an odd number of taps one too many, but never after the last input. */
  end(output: number): number;
}

/** Bits behind the point of a weight: 32 less 8 of the pixel less 2 for overshoot. */
const PRECISION = 22;

/** Resample.c, `precompute_coeffs` and `normalize_coeffs_8bpc`. */
function filterTaps({ support, weight }: Filter, from: number, to: number): Taps {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const pairs = Math.ceil(reach) + 1;
  const entryBytes = 8 + 8 * pairs;
  const table = new Uint8Array(to * entryBytes);
  const view = new DataView(table.buffer);
  for (let output = 0; output < to; output++) {
    const center = (output + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const count = Math.min(from, Math.trunc(center + reach + 0.5)) - first;
    const weights = Array.from({ length: count }, (_, i) => weight((i + first - center + 0.5) * (1 / stretch)));
    const sum = weights.reduce((total, w) => total + w, 0);
    const entry = output * entryBytes;
    view.setInt32(entry, first, true);
    view.setInt32(entry + 4, Math.ceil(count / 2), true);
    weights.forEach((w, i) => {
      const normal = w / sum;
      const k = Math.trunc(normal * 2 ** PRECISION + (normal < 0 ? -0.5 : 0.5));
      const at = entry + 8 + 8 * (i >> 1) + 2 * (i & 1);
      view.setInt16(at, k & 0x7fff, true);
      view.setInt16(at + 4, k >> 15, true);
    });
  }
  const first = (output: number): number => view.getInt32(output * entryBytes, true);
  const end = (output: number): number => Math.min(from, first(output) + 2 * view.getInt32(output * entryBytes + 4, true));
  return { pairs, entryBytes, table, first, end };
}

/** Geometry.c, `ImagingScaleAffine`: the positions are added up, with the rounding that this brings. */
function nearest(pixels: Pixels, width: number, height: number): Pixels {
  if (width === pixels.width && height === pixels.height) return pixels;
  const { channels } = pixels;
  const columns = nearestIndices(pixels.width, width);
  const data = new Uint8Array(width * height * channels);
  let to = 0;
  for (const row of nearestIndices(pixels.height, height)) {
    for (const column of columns) {
      const from = (row * pixels.width + column) * channels;
      for (let c = 0; c < channels; c++) data[to++] = pixels.data[from + c] as number;
    }
  }
  return { data, width, height, channels };
}

function nearestIndices(from: number, to: number): number[] {
  const scale = from / to;
  let position = scale * 0.5;
  return Array.from({ length: to }, () => {
    const index = Math.trunc(position);
    position += scale;
    return index;
  });
}
