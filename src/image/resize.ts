import { ArgumentError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Engine } from '../runtime/engine.ts';
import { scratchEngine } from '../runtime/scratch.ts';
import { checkSize, cutOut, type Pixels, type Rectangle } from './pixels.ts';

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
  /** What of the resized picture is wanted, as {@link cutOut} cuts it out. Default all. */
  area?: Rectangle | undefined;
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
  { width, height, resample = 'bicubic', area = { left: 0, top: 0, width, height }, limits }: ResizeOptions,
  engine: Engine = scratchEngine(),
): Pixels {
  checkSize('resize', width, height, limits);
  const name = typeof resample === 'number' ? RESAMPLING[resample] : resample;
  if (name === undefined || !RESAMPLING.includes(name)) {
    throw new ArgumentError(
      `resample: expected ${RESAMPLING.map((filter, code) => `${code} (${filter})`).join(', ')}, found ${JSON.stringify(resample)}`,
    );
  }
  if (name === 'nearest') return partOf(nearest(pixels, width, height), area);
  const columns = direction(FILTERS[name], pixels.width, width, spanOf(area.left, area.width, width));
  const rows = direction(FILTERS[name], pixels.height, height, spanOf(area.top, area.height, height));
  // PIL/Image.py, `resize`: a picture of more than a hundred times its width is shortened first
  const isShortenedFirst = pixels.height > 100 * pixels.width && height < pixels.height;
  const part = isShortenedFirst
    ? horizontal(vertical(pixels, rows, engine), columns, engine)
    : vertical(horizontal(band(pixels, rows.inputs), columns, engine), rows, engine, rows.inputs.first);
  return partOf(part, { ...area, left: area.left - columns.outputs.first, top: area.top - rows.outputs.first });
}

/** As {@link cutOut}; the picture itself where that is all of it. */
function partOf(pixels: Pixels, area: Rectangle): Pixels {
  const isAll = area.left === 0 && area.top === 0 && area.width === pixels.width && area.height === pixels.height;
  return isAll ? pixels : cutOut(pixels, area);
}

/** From the first to before the end. */
interface Span {
  readonly first: number;
  readonly end: number;
}

/** What of `size` pixels is at [start, start + length): one at least, beside it, where there is nothing. */
function spanOf(start: number, length: number, size: number): Span {
  const first = Math.min(Math.max(start, 0), size - 1);
  return { first, end: Math.max(Math.min(start + length, size), first + 1) };
}

/** Rows of a picture, where they are. */
function band(pixels: Pixels, { first, end }: Span): Pixels {
  const { data, width, height, channels } = pixels;
  if (end - first === height) return pixels;
  return { data: data.subarray(first * width * channels, end * width * channels), width, height: end - first, channels };
}

/** Bytes of rows that are in engine memory at a time, so that a photograph of any size takes little of it and of the cache. */
const STRIP = 2 ** 18;
/** Bytes that the kernels may touch before they notice the end of a strip. */
const SLACK = 16;

function horizontal(pixels: Pixels, { taps, outputs }: Direction, engine: Engine): Pixels {
  if (!taps) return pixels;
  const { height, channels } = pixels;
  const { table, pairs } = taps;
  const width = outputs.end - outputs.first;
  const rowBytes = pixels.width * channels;
  const outRowBytes = width * channels;
  const data = new Uint8Array(height * outRowBytes);
  const strip = Math.min(height, Math.max(1, Math.floor(STRIP / Math.max(rowBytes, outRowBytes))));
  engine.scope(() => {
    const entries = engine.allocate(table.byteLength);
    const input = engine.allocate(strip * rowBytes + SLACK);
    const output = engine.allocate(strip * outRowBytes + SLACK);
    engine.write(entries, table);
    for (let y = 0; y < height; y += strip) {
      const rows = Math.min(strip, height - y);
      engine.write(input, pixels.data.subarray(y * rowBytes, (y + rows) * rowBytes));
      engine.call('u8_resample_horizontal', rows, pixels.width, width, channels, pairs, input, entries, output);
      engine.read(output, data.subarray(y * outRowBytes, (y + rows) * outRowBytes));
    }
  });
  return { data, width, height, channels };
}

/** @param top the row of the whole picture that `pixels` begins with */
function vertical(pixels: Pixels, { taps, outputs }: Direction, engine: Engine, top = 0): Pixels {
  if (!taps) return pixels;
  const { width, channels } = pixels;
  const { table, pairs, entryBytes } = taps;
  const height = outputs.end - outputs.first;
  const rowBytes = width * channels;
  const data = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; ) {
    const first = taps.first(y);
    let end = y + 1;
    while (end < height && (taps.end(end) - first) * rowBytes <= STRIP && (end - y) * rowBytes <= STRIP) end++;
    const from = pixels.data.subarray((first - top) * rowBytes, (taps.end(end - 1) - top) * rowBytes);
    const to = data.subarray(y * rowBytes, end * rowBytes);
    engine.scope(() => {
      const some = table.subarray(y * entryBytes, end * entryBytes);
      const entries = engine.allocate(some.length);
      const input = engine.allocate(from.length + rowBytes + SLACK);
      const output = engine.allocate(to.length + SLACK);
      engine.write(entries, some);
      engine.write(input, from);
      engine.call('u8_resample_vertical', end - y, rowBytes, pairs, first, input, entries, output);
      engine.read(output, to);
    });
    y = end;
  }
  return { data, width, height, channels };
}

/** One direction of a resize. */
interface Direction {
  /** Those that are made: all, where they are the inputs as they are. */
  readonly outputs: Span;
  /** Those that are looked at. */
  readonly inputs: Span;
  readonly taps?: Taps;
}

function direction(filter: Filter, from: number, to: number, outputs: Span): Direction {
  const all = { first: 0, end: to };
  if (from === to) return { outputs: all, inputs: all };
  const taps = filterTaps(filter, from, to, outputs);
  return { outputs, inputs: { first: taps.first(0), end: taps.end(outputs.end - outputs.first - 1) }, taps };
}

/** Which inputs make an output and with which weights. Outputs are counted from the first one that is made. */
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
function filterTaps({ support, weight }: Filter, from: number, to: number, outputs: Span): Taps {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const pairs = Math.ceil(reach) + 1;
  const entryBytes = 8 + 8 * pairs;
  const count = outputs.end - outputs.first;
  const table = new Uint8Array(count * entryBytes);
  const view = new DataView(table.buffer);
  const weights = new Float64Array(2 * pairs);
  for (let output = 0; output < count; output++) {
    const center = (outputs.first + output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - reach + 0.5));
    const taps = Math.min(from, Math.trunc(center + reach + 0.5)) - start;
    let sum = 0;
    for (let i = 0; i < taps; i++) sum += weights[i] = weight((i + start - center + 0.5) * (1 / stretch));
    const entry = output * entryBytes;
    view.setInt32(entry, start, true);
    view.setInt32(entry + 4, Math.ceil(taps / 2), true);
    for (let i = 0; i < taps; i++) {
      const normal = (weights[i] as number) / sum;
      const k = Math.trunc(normal * 2 ** PRECISION + (normal < 0 ? -0.5 : 0.5));
      const at = entry + 8 + 8 * (i >> 1) + 2 * (i & 1);
      view.setInt16(at, k & 0x7fff, true);
      view.setInt16(at + 4, k >> 15, true);
    }
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
