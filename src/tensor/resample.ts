import { ArgumentError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import { addressOf, checkDims, type Float32, operate, place } from './place.ts';
import type { Tensor } from './tensor.ts';

export interface ResampleOptions {
  height: number;
  width: number;
  filter: 'bilinear' | 'bicubic';
  /** Whether the centres of the corner pixels of both images coincide, else their outer corners. */
  alignCorners?: boolean;
  /** Whether the filter widens when the image shrinks. */
  antialias?: boolean;
  /**
   * Factors that tell source coordinates in place of the ratio of the sizes, as `scale_factor` of `torch.nn.functional.interpolate` does.
   */
  scaleFactor?: readonly [height: number, width: number];
}

/** For each output along one axis, which inputs it is made of and how much of each. */
export interface Taps {
  /** Inputs of one output. */
  readonly count: number;
  /** (outputs, count) */
  readonly indices: Int32Array;
  /** (outputs, count) */
  readonly weights: Float32Array;
}

/** Bytes of rows brought to the final width at a time: between the two directions they stay in a third-level cache. */
const BAND_BYTES = 2 ** 22;

/**
 * `torch.nn.functional.interpolate` in float32, on an image with the channels last: x (rows, columns, channels) -> (height, width,
 * channels). Without antialias bicubic is Keys' with A = -0.75 on four clamped taps, with it A = -0.5 and cut at the border
 * (ATen/native/UpSample.h, UpSampleKernel.cpp).
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function resample(x: Tensor, { height, width, scaleFactor, ...options }: ResampleOptions): Float32 {
  checkDims('resample', [-1, -1, -1], x.dims);
  const [rows, columns, channels] = x.dims as [number, number, number];
  if (!(rows && columns && [height, width].every((size) => Number.isSafeInteger(size) && size >= 1))) {
    throw new ArgumentError(`resample: expected sizes of at least 1, found [${x.dims}] to ${height} x ${width}`);
  }
  if (scaleFactor && !scaleFactor.every((factor) => factor > 0 && factor < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(`resample: scaleFactor: expected two positive numbers, found ${scaleFactor}`);
  }
  const step = Math.max(1, Math.floor((BAND_BYTES / (width * channels * 4)) * (height / rows)));
  const sample = rowSampler([rows, columns], { height, width, ...(scaleFactor && { scaleFactor }), ...options });
  return operate('resample', [x], (engine, [a]) => {
    const y = place(engine, 'float32', [height, width, channels]);
    for (let first = 0; first < height; first += step) {
      const end = Math.min(height, first + step);
      sample(a, [first, end], y.slice(first, end));
    }
    return y;
  });
}

/**
 * What writes rows [first, end) of what {@link resample} makes of x (rows, columns, channels) to y (end - first, width, channels), all on one
 * engine. For who needs them a few at a time.
 */
export function rowSampler(
  [rows, columns]: readonly [rows: number, columns: number],
  { height, width, scaleFactor, ...options }: ResampleOptions,
): (x: Float32, rows: readonly [first: number, end: number], y: Float32) => void {
  const across = taps(columns, width, { ...options, ...(scaleFactor && { factor: scaleFactor[1] }) });
  const down = taps(rows, height, { ...options, ...(scaleFactor && { factor: scaleFactor[0] }) });
  return (x, [first, end], y) => {
    const engine = x.place?.engine as Engine;
    engine.scope(() => {
      const { top, bottom, ...band } = part(down, first, end);
      const wide = place(engine, 'float32', [bottom - top, width, x.dims[2] as number]);
      along(engine, across, x.slice(top, bottom), wide, [bottom - top, columns, width, x.dims[2] as number]);
      along(engine, band, wide, y, [1, bottom - top, end - first, width * (x.dims[2] as number)]);
    });
  };
}

/** One axis: x (outer, size, inner) -> y (outer, to, inner) */
function along(
  engine: Engine,
  { count, indices, weights }: Taps,
  x: Float32,
  y: Float32,
  [outer, size, to, inner]: readonly [outer: number, size: number, to: number, inner: number],
): void {
  engine.scope(() => {
    const indexPlace = engine.allocate(indices.byteLength);
    const weightPlace = engine.allocate(weights.byteLength);
    engine.write(indexPlace, indices);
    engine.write(weightPlace, weights);
    const [from, into, line] = [addressOf(x), addressOf(y), inner * 4];
    if (outer > 1) {
      engine.parallel(outer, 1, (first, some) => [
        ...(['f32_resample', some, size, to, inner, count, from + first * size * line] as const),
        ...([indexPlace, weightPlace, into + first * to * line] as const),
      ]);
    } else {
      engine.parallel(to, 1, (first, some) => [
        ...(['f32_resample', 1, size, some, inner, count, from] as const),
        ...([indexPlace + first * count * 4, weightPlace + first * count * 4, into + first * line] as const),
      ]);
    }
  });
}

/** The taps of the outputs [first, end), for which the inputs [top, bottom) are enough, counted from the first of these. */
function part({ count, indices, weights }: Taps, first: number, end: number): Taps & { top: number; bottom: number } {
  const own = indices.subarray(first * count, end * count);
  const top = own.reduce((a, b) => Math.min(a, b));
  const bottom = own.reduce((a, b) => Math.max(a, b)) + 1;
  return { count, indices: own.map((index) => index - top), weights: weights.subarray(first * count, end * count), top, bottom };
}

/** The taps of one axis, from `size` inputs to `to` outputs. */
export function taps(
  size: number,
  to: number,
  {
    filter,
    alignCorners = false,
    antialias = false,
    factor,
  }: Omit<ResampleOptions, 'height' | 'width' | 'scaleFactor'> & { factor?: number },
): Taps {
  if (filter !== 'bilinear' && filter !== 'bicubic') {
    throw new ArgumentError(`resample: filter: expected "bilinear" or "bicubic", found ${JSON.stringify(filter)}`);
  }
  if (antialias && alignCorners) throw new ArgumentError('resample: antialias and alignCorners exclude each other');
  const step = alignCorners ? (to > 1 ? (size - 1) / (to - 1) : 0) : factor !== undefined ? 1 / factor : size / to;
  const stretch = antialias ? Math.max(step, 1) : 1;
  const reach = (filter === 'bicubic' ? 2 : 1) * stretch;
  const kernel = filter === 'bicubic' ? cubic(antialias ? -0.5 : -0.75) : triangle;
  const count = antialias ? Math.ceil(reach) * 2 + 1 : 2 * reach;

  const indices = new Int32Array(to * count);
  const weights = new Float32Array(to * count);
  for (let j = 0; j < to; j++) {
    let center = alignCorners ? step * j : step * (j + 0.5) - 0.5;
    if (filter === 'bilinear' && !antialias) center = Math.max(center, 0); // PyTorch clamps the coordinate of bilinear, the taps of bicubic
    const first = antialias ? Math.max(Math.floor(center - reach + 1), 0) : Math.floor(center) - reach + 1;
    const last = antialias ? Math.min(Math.floor(center + reach + 1), size) : first + count;
    const inside = Math.max(0, last - first);
    const weightOf = (t: number): number => (t < inside ? kernel((first + t - center) / stretch) : 0);
    let sum = antialias ? 0 : 1;
    if (antialias) for (let t = 0; t < inside; t++) sum += weightOf(t);
    for (let t = 0; t < count; t++) {
      // at a border the taps left over repeat the last one with weight 0, so that no input outside the filter can spread a NaN
      indices[j * count + t] = Math.min(Math.max(first + Math.min(t, inside - 1), 0), size - 1);
      weights[j * count + t] = weightOf(t) / sum;
    }
  }
  return { count, indices, weights };
}

/** Keys 1981, "Cubic convolution interpolation for digital image processing". */
function cubic(a: number): (x: number) => number {
  return (x) => {
    const d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    if (d < 2) return ((d - 5) * d + 8) * d * a - 4 * a;
    return 0;
  };
}

function triangle(x: number): number {
  return Math.max(0, 1 - Math.abs(x));
}
