import { ArgumentError, ShapeError } from '../errors.ts';
import { normals } from '../nn/random.ts';
import { add, type Float32, matmul, mean, Tensor, transpose } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
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
 * Patch features as colours: the projections of features (..., width) on their first principal components, each scaled so that its 1st
 * percentile is 0 and its 99th is 1, and clipped -> (..., count) in 0 to 1. Tensors given together share components and scale: equal
 * colours mean like features. It is what figure 1 of the DINOv2 paper (Oquab et al. 2023) shows, without the removal of the background.
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function pca(features: readonly Tensor[], options: PcaOptions = {}): Float32[] {
  const rows = stackRows(features);
  const { mean: center, axes } = principalComponents(rows, options);
  const scores = matmul(axes, transpose(subtract(rows, center))); // (count, rows)
  const count = axes.dims[0] as number;
  for (let i = 0; i < count; i++) stretch(scores.at(i).data);
  const colors = transpose(scores); // (rows, count)
  let row = 0;
  return features.map(({ dims, size }) => {
    const begin = row;
    row += size / (dims.at(-1) as number);
    return colors
      .slice(begin, row)
      .clone()
      .reshape(...dims.slice(0, -1), count);
  });
}

/** All rows of features (..., width), one tensor after the other. */
function stackRows(features: readonly Tensor[]): Float32 {
  const width = features[0]?.dims.at(-1);
  if (!width) throw new ShapeError(`features: expected tensors (..., width), found ${features.length ? `[${features[0]?.dims}]` : 'none'}`);
  for (const { dims } of features) checkDims('features', [...dims.slice(0, -1), width], dims);
  const size = features.reduce((sum, tensor) => sum + tensor.size, 0);
  const data = new Float32Array(size);
  let at = 0;
  for (const tensor of features) {
    data.set(tensor.to('float32').data, at);
    at += tensor.size;
  }
  return new Tensor('float32', data, [size / width, width]);
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

/** Maps the 1st to the 99th percentile to 0 to 1, in place; a half where they are equal. */
function stretch(values: Float32Array): void {
  const sorted = values.slice().sort();
  const low = percentile(sorted, 0.01);
  const range = percentile(sorted, 0.99) - low;
  for (let i = 0; i < values.length; i++) {
    values[i] = range > 0 ? Math.min(Math.max(((values[i] as number) - low) / range, 0), 1) : 0.5;
  }
}

/** With linear interpolation between the neighbours, as numpy's default. */
function percentile(sorted: Float32Array, fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  const above = sorted[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}
