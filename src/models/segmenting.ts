import { ArgumentError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { checkOptions, checkSignal } from '../options.ts';
import { softmax, transpose } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import { resample, type Taps, taps } from '../tensor/resample.ts';
import { Tensor } from '../tensor/tensor.ts';

/** How a picture becomes the label of each pixel; see {@link Dinov2ForSemanticSegmentation.segment}. */
export interface SegmentOptions {
  /** Pixels that the shorter edge is scaled to before anything else, or null to leave the picture as it is. Default that of `window`. */
  size?: number | null;
  /** Pixels of the edge of a square that slides over the picture, or null to take it whole. Default 640, for heads on one layer 512. */
  window?: number | null;
  /** Pixels between windows. Default half the window, for heads on one layer two thirds. */
  stride?: number;
  /** Factors of size whose results are averaged. Default [1]; the authors' numbers come of [1, 1.32, 1.73, 2.28, 3]. */
  scales?: readonly number[];
  /** Whether the mirror image is averaged in, as in the authors' numbers. Default false. */
  flip?: boolean;
  /** [height, width] of the result. Default that of the pixels. */
  target_size?: readonly [height: number, width: number];
  /** Whether to give the probabilities of all labels too. Default false. */
  scores?: boolean;
  /** Told after each window. */
  progress_callback?: (info: { done: number; total: number }) => void;
  /** Stops the work between two blocks of the encoder. */
  signal?: AbortSignal;
}

export interface Segmentation {
  /** (height, width): the label with the highest score */
  segmentation: Tensor<'int32'>;
  /** (num_labels, height, width): probabilities, where asked for */
  scores?: Tensor<'float32'>;
}

const OPTIONS: readonly (keyof SegmentOptions)[] = [
  ...(['size', 'window', 'stride', 'scales', 'flip', 'target_size', 'scores', 'progress_callback', 'signal'] as const),
];
/** Rows of the result that are made at a time, so that memory beside the result stays small whatever its size. */
const BAND = 16;
const MAX_SCALES = 20;

type Size = readonly [height: number, width: number];

/** What a model makes of pixels (1, channels, height, width): logits (1, labels, rows, columns). */
export type Logits = (pixels: Float32, signal: AbortSignal | undefined) => Promise<Float32>;

/** Defaults of a head on so many layers. */
export interface Protocol {
  readonly window: number;
  readonly stride: number;
}

/**
 * One picture, as facebookresearch/dinov2 evaluates segmentation with mmsegmentation (`slide_inference`, `aug_test`): scaled, seen through
 * sliding windows whose logits, enlarged, are averaged where they overlap, brought to the size wanted, softmax, averaged over scales and
 * mirror images. The original scales bytes and rounds them; here the normalised numbers are scaled.
 * @param pixels (channels, height, width)
 * @throws {ArgumentError} naming the option
 */
export async function segment(run: Logits, pixels: Float32, protocol: Protocol, options: SegmentOptions): Promise<Segmentation> {
  const plan = planOf(pixels, protocol, options);
  const { target, wantsScores, signal, report } = plan;
  const total = plan.views.reduce((sum, view) => sum + view.rows.length * view.columns.length, 0);
  let done = 0;
  const views: SeenView[] = [];
  for (const view of plan.views) {
    const scaled = resizePlanes(pixels, view.size, view.flip);
    const logits: Float32[] = [];
    for (const y of view.rows) {
      for (const x of view.columns) {
        const seen = await run(cut(scaled, y, x, view.window).reshape(1, pixels.dims[0] as number, ...view.window), signal);
        logits.push(channelsLast(seen.at(0)));
        done += 1;
        report?.({ done, total });
      }
    }
    views.push({ ...view, logits });
  }
  return combine(views, target, wantsScores);
}

/** A picture at one size, once or mirrored, and the windows on it. */
interface View {
  readonly size: Size;
  readonly flip: boolean;
  readonly window: Size;
  /** Where windows begin. */
  readonly rows: readonly number[];
  readonly columns: readonly number[];
}

interface SeenView extends View {
  /** (rows, columns, labels) of each window, row by row. */
  readonly logits: readonly Float32[];
}

interface Plan {
  readonly views: readonly View[];
  readonly target: Size;
  readonly wantsScores: boolean;
  readonly signal: AbortSignal | undefined;
  readonly report: SegmentOptions['progress_callback'];
}

function planOf({ dims }: Float32, protocol: Protocol, options: SegmentOptions): Plan {
  checkOptions('segment', options, OPTIONS);
  const { scales = [1], flip = false, scores = false, progress_callback: report } = options;
  const [, height, width] = dims as [number, number, number];
  const window = options.window === undefined ? protocol.window : options.window;
  const size = options.size === undefined ? window : options.size;
  const stride = options.stride ?? (window === protocol.window || window === null ? protocol.stride : Math.ceil(window / 2));
  const target = options.target_size ?? [height, width];
  expect('window', 'a number of pixels or null', window, (value) => value === null || isCount(value));
  expect('size', 'a number of pixels or null', size, (value) => value === null || isCount(value));
  expect(
    'stride',
    'a number of pixels, at most those of the window',
    stride,
    (value) => isCount(value) && (window === null || value <= window),
  );
  expect('scales', `1 to ${MAX_SCALES} positive numbers`, scales, isScales);
  expect('flip', 'true or false', flip, (value) => typeof value === 'boolean');
  expect('scores', 'true or false', scores, (value) => typeof value === 'boolean');
  expect('target_size', '[height, width]', target, (value) => Array.isArray(value) && value.length === 2 && value.every(isCount));
  const views = scales.flatMap((scale) => {
    const scaled =
      size === null ? toSize([height, width], scale) : toSize([height, width], Math.trunc(size * scale) / Math.min(height, width));
    const edges = scaled.map((edge) => Math.min(edge, window ?? edge)) as [number, number];
    const view = { size: scaled, window: edges, rows: starts(scaled[0], edges[0], stride), columns: starts(scaled[1], edges[1], stride) };
    return (flip ? [false, true] : [false]).map((mirrored) => ({ ...view, flip: mirrored }));
  });
  return { views, target, wantsScores: scores, signal: checkSignal(options.signal), report };
}

/** mmcv, `rescale_size` */
function toSize([height, width]: Size, factor: number): Size {
  return [Math.max(1, Math.trunc(height * factor + 0.5)), Math.max(1, Math.trunc(width * factor + 0.5))];
}

/** Where windows begin along an edge: the last ends where the edge does. */
function starts(edge: number, window: number, stride: number): number[] {
  const count = Math.ceil(Math.max(edge - window, 0) / stride) + 1;
  return Array.from({ length: count }, (_, i) => Math.max(Math.min(i * stride + window, edge) - window, 0));
}

/** The views as one: a band of rows of the result after the other. */
function combine(views: readonly SeenView[], [height, width]: Size, wantsScores: boolean): Segmentation {
  const labels = views[0]?.logits[0]?.dims[2] as number;
  const segmentation = new Int32Array(height * width);
  const scores = wantsScores ? new Float32Array(labels * height * width) : undefined;
  const down = views.map((view) => taps(view.size[0], height, { filter: 'bilinear' }));
  for (let first = 0; first < height; first += BAND) {
    const end = Math.min(height, first + BAND);
    const sums = new Float32Array((end - first) * width * labels); // (rows, width, labels)
    for (const [v, view] of views.entries()) addProbabilities(sums, view, down[v] as Taps, [first, end], width);
    for (let place = 0; place < (end - first) * width; place++) {
      const own = place * labels;
      let best = own;
      for (let n = own + 1; n < own + labels; n++) if ((sums[n] as number) > (sums[best] as number)) best = n;
      for (let label = 0; scores && label < labels; label++) {
        scores[label * height * width + first * width + place] = (sums[own + label] as number) / views.length;
      }
      segmentation[first * width + place] = best - own;
    }
  }
  return {
    segmentation: new Tensor('int32', segmentation, [height, width]),
    ...(scores && { scores: new Tensor('float32', scores, [labels, height, width]) }),
  };
}

/** sums (end - first, width, labels) += the probabilities of a view in these rows of the result */
function addProbabilities(sums: Float32Array, view: SeenView, down: Taps, [first, end]: Size, width: number): void {
  const own = down.indices.subarray(first * down.count, end * down.count);
  const top = own.reduce((a, b) => Math.min(a, b));
  const bottom = own.reduce((a, b) => Math.max(a, b)) + 1;
  const logits = averageOf(view, [top, bottom]); // (bottom - top, columns, labels)
  const [, , labels] = logits.dims as [number, number, number];
  const rows = mixRows(logits, down, [first, end], top); // (end - first, columns, labels)
  const probabilities = softmax(resample(rows, { height: end - first, width, filter: 'bilinear' })).data; // (end - first, width, labels)
  for (let place = 0; place < (end - first) * width; place++) {
    const x = place % width;
    const from = (view.flip ? place - x + (width - 1 - x) : place) * labels;
    for (let label = 0; label < labels; label++)
      sums[place * labels + label] = (sums[place * labels + label] as number) + (probabilities[from + label] as number);
  }
}

/** The logits of the windows, enlarged to their pixels, averaged where they overlap, in rows of the view: (bottom - top, columns, labels) */
function averageOf({ size, window, rows, columns, logits }: SeenView, [top, bottom]: Size): Float32 {
  const labels = logits[0]?.dims[2] as number;
  const width = size[1];
  const sums = new Float32Array((bottom - top) * width * labels);
  const counts = new Float32Array((bottom - top) * width);
  for (const [i, y] of rows.entries()) {
    const [begin, end] = [Math.max(top, y), Math.min(bottom, y + window[0])];
    if (begin >= end) continue;
    for (const [j, x] of columns.entries()) {
      const seen = logits[i * columns.length + j] as Float32;
      const down = taps(seen.dims[0] as number, window[0], { filter: 'bilinear' });
      const mixed = mixRows(seen, down, [begin - y, end - y], 0); // (end - begin, columns of patches, labels)
      const { data } = resample(mixed, { height: end - begin, width: window[1], filter: 'bilinear' });
      for (let row = begin; row < end; row++) {
        const to = (row - top) * width + x;
        const from = (row - begin) * window[1] * labels;
        for (let n = 0; n < window[1] * labels; n++) sums[to * labels + n] = (sums[to * labels + n] as number) + (data[from + n] as number);
        for (let n = 0; n < window[1]; n++) counts[to + n] = (counts[to + n] as number) + 1;
      }
    }
  }
  for (let place = 0; place < counts.length; place++) {
    const count = counts[place] as number;
    if (count === 1) continue;
    for (let n = place * labels; n < (place + 1) * labels; n++) sums[n] = (sums[n] as number) / count;
  }
  return new Tensor('float32', sums, [bottom - top, width, labels]);
}

/** Rows [begin, end) of what x (rows, columns, labels) is along its first dimension after a resampling; x begins with its row `offset` */
function mixRows(x: Float32, { count, indices, weights }: Taps, [begin, end]: Size, offset: number): Float32 {
  const [, columns, labels] = x.dims as [number, number, number];
  const step = columns * labels;
  const { data } = x;
  const mixed = new Float32Array((end - begin) * step);
  for (let row = begin; row < end; row++) {
    for (let t = row * count; t < (row + 1) * count; t++) {
      const weight = weights[t] as number;
      const from = ((indices[t] as number) - offset) * step;
      const to = (row - begin) * step;
      for (let n = 0; n < step; n++) mixed[to + n] = (mixed[to + n] as number) + weight * (data[from + n] as number);
    }
  }
  return new Tensor('float32', mixed, [end - begin, columns, labels]);
}

/** Planes (channels, height, width) at another size, as OpenCV's INTER_LINEAR, mirrored if wanted */
function resizePlanes(pixels: Float32, [height, width]: Size, flip: boolean): Float32 {
  const [channels, rows, columns] = pixels.dims as [number, number, number];
  const data = new Float32Array(channels * height * width);
  for (let c = 0; c < channels; c++) {
    const plane = resample(pixels.at(c).reshape(rows, columns, 1), { height, width, filter: 'bilinear' }).data;
    if (flip) for (let y = 0; y < height; y++) plane.subarray(y * width, (y + 1) * width).reverse();
    data.set(plane, c * height * width);
  }
  return new Tensor('float32', data, [channels, height, width]);
}

function cut(planes: Float32, y: number, x: number, [height, width]: Size): Float32 {
  const [channels, rows, columns] = planes.dims as [number, number, number];
  const data = new Float32Array(channels * height * width);
  for (let line = 0; line < channels * height; line++) {
    const from = (Math.floor(line / height) * rows + y + (line % height)) * columns + x;
    data.set(planes.data.subarray(from, from + width), line * width);
  }
  return new Tensor('float32', data, [channels, height, width]);
}

/** (labels, rows, columns) -> (rows, columns, labels) */
function channelsLast(x: Float32): Float32 {
  const [labels, rows, columns] = x.dims as [number, number, number];
  return transpose(x.reshape(labels, rows * columns)).reshape(rows, columns, labels);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 2 ** 16;
}

function isScales(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length >= 1 && value.length <= MAX_SCALES && value.every((x) => Number.isFinite(x) && x > 0 && x <= 100)
  );
}

function expect<T>(name: string, expected: string, value: T, is: (value: T) => boolean): void {
  if (!is(value)) throw new ArgumentError(`${name}: expected ${expected}, found ${describe(value)}`);
}
