import { ArgumentError, ShapeError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { normals } from '../nn/random.ts';
import { add, type Float32, matmul, mean, Tensor, transpose } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import type { Range } from './depth.ts';
import { orthonormalRows, symmetricEigen } from './eigen.ts';

export interface PcaOptions {
  /** How many components: 1 to the width of the features. Default 3. */
  count?: number;
}

export interface PrincipalComponents {
  /** (width) */
  readonly mean: Float32;
  /**
   * (count, width): orthonormal, in the order of their variances; of no meaning, some perhaps zeros, where the rows vary in fewer
   * directions.
   */
  readonly axes: Float32;
  /** Variance of the rows along each axis, largest first. */
  readonly variances: readonly number[];
}

/**
 * Directions that are followed beside those asked for: the iteration converges with the ratio of the largest variance left out to the
 * smallest asked for.
 */
const OVERSAMPLING = 5;
const MAX_ITERATIONS = 100;
/** By how much covariance * axis may differ from variance * axis, relative to the largest variance: what float32 products reach. */
const TOLERANCE = 2e-6;

/**
 * Principal components of rows (any number, width): the eigenvectors of their covariance with the largest eigenvalues, by subspace
 * iteration with Rayleigh-Ritz (Golub and Van Loan, "Matrix Computations", 8.2). The start is fixed, and of each axis the number that is
 * largest by magnitude is positive: the same rows give the same axes.
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function principalComponents(rows: Tensor, { count = 3 }: PcaOptions = {}): PrincipalComponents {
  checkDims('rows', [-1, -1], rows.dims);
  const [n, width] = rows.dims as [number, number];
  if (n === 0) throw new ShapeError('rows: expected at least one, found none');
  if (!Number.isSafeInteger(count) || count < 1 || count > width) {
    throw new ArgumentError(`count: expected an integer from 1 to ${width}, the width of the rows, found ${count}`);
  }
  const center = mean(rows);
  const centered = subtract(rows, center);
  const scatter = matmul(transpose(centered), centered); // (width, width): covariance * (n - 1)

  let basis = orthonormalRows(randomRows(Math.min(width, count + OVERSAMPLING), width));
  for (let iteration = 1; ; iteration++) {
    const image = matmul(basis, scatter);
    const { values, vectors } = symmetricEigen(matmul(basis, transpose(image)));
    const ritz = matmul(vectors, basis); // (count + oversampling, width): the best guess at eigenvectors within the basis
    const ritzImage = matmul(vectors, image);
    const isClose = values
      .slice(0, count)
      .every((value, i) => distance(ritzImage.at(i), ritz.at(i), value) <= TOLERANCE * (values[0] ?? 0));
    if (isClose || iteration === MAX_ITERATIONS) {
      const variances = values.slice(0, count).map((value) => Math.max(value, 0) / Math.max(n - 1, 1));
      return { mean: center, axes: withSigns(ritz.slice(0, count)), variances };
    }
    basis = orthonormalRows(ritzImage);
  }
}

/**
 * Which patches are the foreground, by a first principal component: those on its `high` or its `low` side, or of these two the one that has less
 * part in the edges of the pictures (`auto`); or `all`, without a look at it.
 */
export const FOREGROUNDS = ['auto', 'high', 'low', 'all'] as const;

export type Foreground = (typeof FOREGROUNDS)[number];

export interface PatchPcaOptions {
  /** Default auto. */
  foreground?: Foreground;
  /**
   * Where the foreground begins, in standard deviations of the first component of the patches of all pictures from its mean: 0 is the rule of the
   * paper, for pictures of the same things. Default: the component is that of what differs within pictures, each without its mean, for between unlike
   * pictures more differs than between foreground and background; and it begins in each where the method of Otsu ("A threshold selection method
   * from gray-level histograms", 1979) divides the values of that picture.
   */
  threshold?: number;
}

/** Patch features as colours. */
export interface PatchColors {
  /** (rows, columns, 3), red, green, blue in 0 to 1: the first three components of the foreground. Those of the background mean nothing. */
  readonly colors: Float32;
  /** (rows, columns), how far on the foreground's side of the threshold the first component is: above 0 in the foreground. */
  readonly foreground: Float32;
}

/** What {@link fitPatchPca} has found; it also colours pictures that it was not found from, such as the next ones of a film. */
export interface PatchPca {
  /** features (rows, columns, width) -> colours. Throws ShapeError and DTypeError. */
  colorsOf(features: Tensor): PatchColors;
}

/** Rows that components are computed from; of more an even sample is taken. */
const MAX_ROWS = 2 ** 15;

/**
 * The picture of figure 1 of the DINOv2 paper (Oquab et al. 2023): a first principal component of the patches tells foreground from background, and
 * three components of the foreground of all pictures are its colours, each scaled so that its 1st percentile is 0 and its 99th is 1. Pictures fitted together share components and scale: like colours mean like features. The same pictures give the same colours,
 * in any order, to rounding.
 * @param features (rows, columns, width) a picture, see `patchFeatures`
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function fitPatchPca(features: readonly Tensor[], { foreground = 'auto', threshold }: PatchPcaOptions = {}): PatchPca {
  if (!FOREGROUNDS.includes(foreground))
    throw new ArgumentError(`foreground: expected one of ${FOREGROUNDS.join(', ')}, found ${describe(foreground)}`);
  if (threshold !== undefined && !Number.isFinite(threshold))
    throw new ArgumentError(`threshold: expected a finite number, found ${threshold}`);
  const width = widthOf(features);
  if (width < COLORS) throw new ShapeError(`features: expected a width of at least ${COLORS}, found ${width}`);
  const inForeground = foreground === 'all' ? everywhere : foregroundOf(features, { foreground, threshold });
  const kept = sampleRows(features, { isWanted: features.map(inForeground) });
  const rows = kept.dims[0] ? kept : sampleRows(features);
  const components = principalComponents(rows, { count: COLORS });
  const ranges = rangesOf(project(rows, components));
  return {
    colorsOf(picture) {
      checkDims('features', [-1, -1, width], picture.dims);
      const [height, breadth] = picture.dims as [number, number, number];
      const colors = project(rowsOf(picture), components);
      for (const [i, score] of colors.data.entries()) colors.data[i] = within(ranges[i % COLORS] as Range, score);
      const mask = new Tensor('float32', inForeground(picture), [height, breadth]);
      return { colors: colors.reshape(height, breadth, COLORS), foreground: mask };
    },
  };
}

const COLORS = 3;

/** Rows on axes: (rows, width) -> (rows, count) */
function project(rows: Float32, { mean: center, axes }: PrincipalComponents): Float32 {
  return transpose(matmul(axes, transpose(subtract(rows, center))));
}

/** Of a picture (rows, columns, width), how far each patch is in the foreground: above 0 where it is. */
type Mask = (picture: Tensor) => Float32Array<ArrayBuffer>;

const everywhere: Mask = ({ dims: [rows = 0, columns = 0] }) => new Float32Array(rows * columns).fill(1);

/** The first component, of all or within pictures, and the side of it that is foreground. */
function foregroundOf(
  features: readonly Tensor[],
  { foreground, threshold }: { foreground: Foreground; threshold: number | undefined },
): Mask {
  const isShared = threshold !== undefined;
  const rows = sampleRows(features, isShared ? {} : { centers: features.map((picture) => mean(rowsOf(picture))) });
  const first = principalComponents(rows, { count: 1 });
  const deviation = Math.sqrt(first.variances[0] as number);
  if (deviation === 0) return everywhere;
  const scoresOf = (picture: Tensor): Float32Array<ArrayBuffer> => {
    const own = rowsOf(picture);
    const scores = project(isShared ? own : subtract(own, mean(own)), first).data;
    const limit = isShared ? threshold * deviation : otsu(scores);
    return Float32Array.from(scores, (score) => score - limit);
  };
  const side = foreground === 'auto' ? innerSide(features, features.map(scoresOf)) : foreground === 'high' ? 1 : -1;
  return (picture) => scoresOf(picture).map((score) => side * score);
}

/** @throws {ShapeError} unless all are (rows, columns, width) */
function widthOf(features: readonly Tensor[]): number {
  const width = features[0]?.dims.at(-1);
  if (!width)
    throw new ShapeError(`features: expected tensors (rows, columns, width), found ${features.length ? `[${features[0]?.dims}]` : 'none'}`);
  for (const { dims } of features) checkDims('features', [-1, -1, width], dims);
  return width;
}

/** (rows, columns, width) -> (rows * columns, width) */
function rowsOf(picture: Tensor): Float32 {
  const [rows, columns, width] = picture.dims as [number, number, number];
  return picture.to('float32').reshape(rows * columns, width);
}

/**
 * Rows of pictures (rows, columns, width), an even sample where they are many.
 * @param options `centers`: what is taken off the rows of each picture, (width); `isWanted`: numbers a picture, those of rows that are meant above 0
 */
function sampleRows(
  features: readonly Tensor[],
  { centers, isWanted }: { centers?: readonly Float32[]; isWanted?: readonly Float32Array[] } = {},
): Float32 {
  const width = widthOf(features);
  const wanted = (picture: number, row: number): boolean => !isWanted || (isWanted[picture]?.[row] as number) > 0;
  const all = features.map(rowsOf);
  let total = 0;
  for (const [picture, { dims }] of all.entries()) for (let row = 0; row < (dims[0] as number); row++) if (wanted(picture, row)) total += 1;
  const step = Math.max(1, total / MAX_ROWS);
  const count = Math.min(total, MAX_ROWS);
  const sample = new Tensor('float32', new Float32Array(count * width), [count, width]);
  let [seen, taken] = [0, 0];
  for (const [picture, { data, dims }] of all.entries()) {
    const center = centers?.[picture]?.data;
    for (let row = 0; row < (dims[0] as number); row++) {
      if (!wanted(picture, row)) continue;
      if (seen >= Math.floor(taken * step) && taken < count) {
        const own = data.subarray(row * width, (row + 1) * width);
        sample.data.set(center ? own.map((x, j) => x - (center[j] as number)) : own, taken * width);
        taken += 1;
      }
      seen += 1;
    }
  }
  return sample;
}

/** 1 where patches with numbers above 0 are less often at the edges of pictures than those below, else -1. */
function innerSide(features: readonly Tensor[], scores: readonly Float32Array[]): 1 | -1 {
  const count = { high: 0, highAtEdge: 0, low: 0, lowAtEdge: 0 };
  for (const [picture, { dims }] of features.entries()) {
    const [rows, columns] = dims as [number, number];
    for (const [i, score] of (scores[picture] as Float32Array).entries()) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      const side = score > 0 ? 'high' : 'low';
      count[side] += 1;
      if (row === 0 || column === 0 || row === rows - 1 || column === columns - 1) count[`${side}AtEdge`] += 1;
    }
  }
  return count.highAtEdge * count.low <= count.lowAtEdge * count.high ? 1 : -1;
}

/** The value that divides others into two groups with the largest variance between them. */
function otsu(values: Float32Array): number {
  const sorted = Float64Array.from(values).sort();
  const total = sorted.reduce((sum, value) => sum + value, 0);
  let [below, best, limit] = [0, -1, 0];
  for (let n = 1; n < sorted.length; n++) {
    below += sorted[n - 1] as number;
    const distance = below / n - (total - below) / (sorted.length - n);
    const between = n * (sorted.length - n) * distance ** 2;
    if (between > best) [best, limit] = [between, ((sorted[n - 1] as number) + (sorted[n] as number)) / 2];
  }
  return limit;
}

function randomRows(count: number, width: number): Float32 {
  const random = normals(0, 'pca');
  return new Tensor('float32', Float32Array.from({ length: count * width }, random), [count, width]);
}

function subtract(rows: Tensor, row: Float32): Float32 {
  return add(
    rows,
    new Tensor(
      'float32',
      row.data.map((x) => -x),
      row.dims,
    ),
  );
}

/** || x - scale * y || */
function distance(x: Float32, y: Float32, scale: number): number {
  const other = y.data;
  return Math.sqrt(x.data.reduce((sum, value, i) => sum + (value - scale * (other[i] as number)) ** 2, 0));
}

/** Turns the axes whose largest number is negative, as `svd_flip` of scikit-learn. In place. */
function withSigns(axes: Float32): Float32 {
  for (let i = 0; i < (axes.dims[0] as number); i++) {
    const { data } = axes.at(i);
    const largest = data.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    if (largest < 0) for (let j = 0; j < data.length; j++) data[j] = -(data[j] as number);
  }
  return axes;
}

/** The 1st and 99th percentile of each column of scores (rows, count). */
function rangesOf(scores: Float32): Range[] {
  return Array.from({ length: scores.dims[1] as number }, (_, i) => {
    const sorted = transpose(scores).at(i).data.slice().sort();
    return { low: percentile(sorted, 0.01), high: percentile(sorted, 0.99) };
  });
}

/** Where a value is in a range, from 0 to 1, clipped; a half where the range is a point. */
function within({ low, high }: Range, value: number): number {
  return high > low ? Math.min(Math.max((value - low) / (high - low), 0), 1) : 0.5;
}

/** With linear interpolation between the neighbours, as numpy's default. */
export function percentile(sorted: Float32Array, fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  const above = sorted[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}
