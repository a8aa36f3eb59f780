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
 * Which patches are the foreground, by the first principal component of all: those on its `high` or its `low` side, or of these two the one
 * that has less part in the edges of the pictures (`auto`); or `all`, without a look at it.
 */
export const FOREGROUNDS = ['auto', 'high', 'low', 'all'] as const;

export type Foreground = (typeof FOREGROUNDS)[number];

export interface PatchPcaOptions {
  /** Default auto. */
  foreground?: Foreground;
  /**
   * Where the foreground begins, in standard deviations of the first component from its mean; the paper takes 0. Default: where Otsu's method
   * ("A threshold selection method from gray-level histograms", 1979) divides its values.
   */
  threshold?: number;
}

/** Patch features as colours. */
export interface PatchColors {
  /** (rows, columns, 3), red, green, blue in 0 to 1: the first three components of the foreground. Those of the background mean nothing. */
  readonly colors: Float32;
  /** (rows, columns), how far on the foreground's side of the threshold the first component of all is: above 0 in the foreground. */
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
 * The picture of figure 1 of the DINOv2 paper (Oquab et al. 2023): the first principal component of the patches of all pictures tells
 * foreground from background, and three components of the foreground are its colours, each scaled so that its 1st percentile is 0 and its
 * 99th is 1. Pictures fitted together share components and scale: like colours mean like features. The same pictures give the same colours,
 * in any order, to rounding.
 * @param features (rows, columns, width) a picture, see `patchFeatures`
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function fitPatchPca(features: readonly Tensor[], { foreground = 'auto', threshold }: PatchPcaOptions = {}): PatchPca {
  if (!FOREGROUNDS.includes(foreground))
    throw new ArgumentError(`foreground: expected one of ${FOREGROUNDS.join(', ')}, found ${describe(foreground)}`);
  if (threshold !== undefined && !Number.isFinite(threshold))
    throw new ArgumentError(`threshold: expected a finite number, found ${threshold}`);
  const { rows, isEdge } = sampleRows(features);
  const width = rows.dims[1] as number;
  if (width < COLORS) throw new ShapeError(`features: expected a width of at least ${COLORS}, found ${width}`);

  let inForeground = (of: Float32): Float32Array => new Float32Array(of.dims[0] as number).fill(1);
  if (foreground !== 'all') {
    const first = principalComponents(rows, { count: 1 });
    const deviation = Math.sqrt(first.variances[0] as number);
    const firstOf = (of: Float32): Float32Array => project(of, first).data;
    const scores = firstOf(rows);
    const limit = threshold === undefined ? otsu(scores) : threshold * deviation;
    const side = foreground === 'auto' ? innerSide(scores, isEdge, limit) : foreground === 'high' ? 1 : -1;
    if (deviation > 0) inForeground = (of) => firstOf(of).map((score) => side * (score - limit));
  }

  const kept = rowsWhere(rows, inForeground(rows));
  const components = principalComponents(kept.dims[0] ? kept : rows, { count: COLORS });
  const ranges = rangesOf(project(kept.dims[0] ? kept : rows, components));
  return {
    colorsOf(picture) {
      checkDims('features', [-1, -1, width], picture.dims);
      const [height, breadth] = picture.dims as [number, number, number];
      const own = picture.to('float32').reshape(height * breadth, width);
      const colors = project(own, components);
      for (const [i, score] of colors.data.entries()) colors.data[i] = within(ranges[i % COLORS] as Range, score);
      const mask = new Tensor('float32', Array.from(inForeground(own)), [height, breadth]);
      return { colors: colors.reshape(height, breadth, COLORS), foreground: mask };
    },
  };
}

const COLORS = 3;

/** Rows on axes: (rows, width) -> (rows, count) */
function project(rows: Float32, { mean: center, axes }: PrincipalComponents): Float32 {
  return transpose(matmul(axes, transpose(subtract(rows, center))));
}

/** Rows of features (rows, columns, width), an even sample where they are many, and for each whether it is at an edge of its picture. */
function sampleRows(features: readonly Tensor[]): { rows: Float32; isEdge: boolean[] } {
  const width = features[0]?.dims.at(-1);
  if (!width)
    throw new ShapeError(`features: expected tensors (rows, columns, width), found ${features.length ? `[${features[0]?.dims}]` : 'none'}`);
  for (const { dims } of features) checkDims('features', [-1, -1, width], dims);
  const total = features.reduce((sum, { size }) => sum + size / width, 0);
  const step = Math.max(1, total / MAX_ROWS);
  const data = new Float32Array(Math.min(total, MAX_ROWS) * width);
  const isEdge: boolean[] = [];
  let seen = 0;
  for (const tensor of features) {
    const [height, breadth] = tensor.dims as [number, number, number];
    const own = tensor.to('float32').data;
    for (let i = 0; i < height * breadth; i++, seen++) {
      if (seen < Math.floor(isEdge.length * step) || isEdge.length * width === data.length) continue;
      data.set(own.subarray(i * width, (i + 1) * width), isEdge.length * width);
      const [row, column] = [Math.floor(i / breadth), i % breadth];
      isEdge.push(row === 0 || column === 0 || row === height - 1 || column === breadth - 1);
    }
  }
  return { rows: new Tensor('float32', data, [data.length / width, width]), isEdge };
}

/** Rows whose number is above 0. */
function rowsWhere(rows: Float32, values: Float32Array): Float32 {
  const width = rows.dims[1] as number;
  const chosen = Array.from(values.keys()).filter((i) => (values[i] as number) > 0);
  const data = new Float32Array(chosen.length * width);
  for (const [to, from] of chosen.entries()) data.set(rows.data.subarray(from * width, (from + 1) * width), to * width);
  return new Tensor('float32', data, [chosen.length, width]);
}

/** 1 where the values above the limit are less often at the edges of pictures than those below, else -1. */
function innerSide(scores: Float32Array, isEdge: readonly boolean[], limit: number): 1 | -1 {
  const count = { high: 0, highAtEdge: 0, low: 0, lowAtEdge: 0 };
  for (const [i, score] of scores.entries()) {
    const side = score > limit ? 'high' : 'low';
    count[side] += 1;
    if (isEdge[i]) count[`${side}AtEdge`] += 1;
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
