/** Slow, obvious versions of the operations in float64: the formula and nothing else. Row-major, any array of numbers. */
import type { Activation } from '../../src/runtime/kernels.ts';

type Numbers = ArrayLike<number>;

const at = (x: Numbers, i: number): number => x[i] as number;

export function sum(count: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}

function fill(count: number, value: (i: number) => number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => value(i));
}

/** a (m, k), b (k, n) -> (m, n) */
export function matmul(a: Numbers, b: Numbers, { m, k, n }: { m: number; k: number; n: number }): Float64Array {
  return fill(m * n, (e) => sum(k, (i) => at(a, Math.floor(e / n) * k + i) * at(b, i * n + (e % n))));
}

/** activation(x weight^T + bias): x (rows, inputs), weight (outputs, inputs), bias (outputs) -> (rows, outputs) */
export function linear(
  x: Numbers,
  weight: Numbers,
  bias: Numbers | undefined,
  { rows, inputs, outputs, activation = 'none' }: { rows: number; inputs: number; outputs: number; activation?: Activation },
): Float64Array {
  const product = matmul(x, transpose(weight, outputs, inputs), { m: rows, k: inputs, n: outputs });
  return product.map((value, e) => ACTIVATIONS[activation](value + (bias ? at(bias, e % outputs) : 0)));
}

export function softmax(x: Numbers, columns: number): Float64Array {
  const result = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const row = fill(columns, (i) => at(x, start + i));
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const total = sum(columns, (i) => Math.exp(at(row, i) - top));
    for (let i = 0; i < columns; i++) result[start + i] = Math.exp(at(row, i) - top) / total;
  }
  return result;
}

export function layerNorm(x: Numbers, weight: Numbers, bias: Numbers, epsilon: number): Float64Array {
  const columns = weight.length;
  const result = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const mean = sum(columns, (i) => at(x, start + i)) / columns;
    const variance = sum(columns, (i) => (at(x, start + i) - mean) ** 2) / columns;
    for (let i = 0; i < columns; i++) {
      result[start + i] = ((at(x, start + i) - mean) / Math.sqrt(variance + epsilon)) * at(weight, i) + at(bias, i);
    }
  }
  return result;
}

/** (2 / sqrt pi) e^(-x^2) times the sum of 2^n x^(2n + 1) / (2n + 1)!!, whose terms have one sign. */
export function erf(x: number): number {
  if (!(Math.abs(x) < 6)) return Math.sign(x);
  let term = x;
  let total = 0;
  for (let n = 1; Math.abs(term) > Math.abs(total) * 1e-17; n++) {
    total += term;
    term *= (2 * x * x) / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const ACTIVATIONS: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  geluTanh: (x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2,
  quickGelu: (x) => x * sigmoid(1.702 * x),
  relu: (x) => Math.max(x, 0),
  silu: (x) => x * sigmoid(x),
  selu: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  sigmoid,
};

/** x (rows, 2 width) -> (rows, width) */
export function swiglu(x: Numbers, width: number): Float64Array {
  return fill(x.length / 2, (e) => {
    const first = Math.floor(e / width) * 2 * width + (e % width);
    return ACTIVATIONS.silu(at(x, first)) * at(x, first + width);
  });
}

export interface AttentionSizes {
  queries: number;
  keys: number;
  heads: number;
  /** Of a head. */
  width: number;
  scale?: number;
  headMask?: Numbers;
}

/** q (queries, heads width), k and v (keys, heads width) -> out (queries, heads width), probabilities (heads, queries, keys) */
export function attention(
  q: Numbers,
  k: Numbers,
  v: Numbers,
  { queries, keys, heads, width, scale = width ** -0.5, headMask }: AttentionSizes,
): { out: Float64Array; probabilities: Float64Array } {
  const hidden = heads * width;
  const out = new Float64Array(queries * hidden);
  const probabilities = new Float64Array(heads * queries * keys);
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < queries; query++) {
      const from = head * width;
      const scores = fill(keys, (j) => scale * sum(width, (i) => at(q, query * hidden + from + i) * at(k, j * hidden + from + i)));
      const row = softmax(scores, keys).map((p) => p * (headMask ? at(headMask, head) : 1));
      probabilities.set(row, (head * queries + query) * keys);
      for (let i = 0; i < width; i++) out[query * hidden + from + i] = sum(keys, (j) => at(row, j) * at(v, j * hidden + from + i));
    }
  }
  return { out, probabilities };
}

/** x (channels, height, width) -> (rows columns, channels patchHeight patchWidth), as a convolution with one output a weight sees it */
export function patchify(
  x: Numbers,
  [channels, height, width]: readonly [number, number, number],
  [patchHeight, patchWidth]: readonly [number, number],
): Float64Array {
  const result: number[] = [];
  for (let top = 0; top + patchHeight <= height; top += patchHeight) {
    for (let left = 0; left + patchWidth <= width; left += patchWidth) {
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < patchHeight; i++) {
          for (let j = 0; j < patchWidth; j++) result.push(at(x, (c * height + top + i) * width + left + j));
        }
      }
    }
  }
  return Float64Array.from(result);
}

/** (rows, columns) -> (columns, rows) */
export function transpose(x: Numbers, rows: number, columns: number): Float64Array {
  return fill(rows * columns, (e) => at(x, (e % rows) * columns + Math.floor(e / rows)));
}

/** (rows, columns) -> (columns) */
export function mean(x: Numbers, rows: number, columns: number): Float64Array {
  return fill(columns, (column) => sum(rows, (row) => at(x, row * columns + column)) / rows);
}

/** The mean of `values` under the weights max(x, 0) + 0.1 of each row of x. */
export function binMean(x: Numbers, values: Numbers): Float64Array {
  const columns = values.length;
  return Float64Array.from({ length: x.length / columns }, (_, row) => {
    const weights = Array.from({ length: columns }, (_, i) => Math.max(x[row * columns + i] as number, 0) + 0.1);
    const sum = weights.reduce((total, weight, i) => total + weight * (values[i] as number), 0);
    return sum / weights.reduce((total, weight) => total + weight, 0);
  });
}

/** x / max(|x|, epsilon) for each row. */
export function l2Norm(x: Numbers, columns: number, epsilon: number): Float64Array {
  return Float64Array.from({ length: x.length }, (_, i) => {
    const first = Math.floor(i / columns) * columns;
    const length = Math.sqrt(sum(columns, (c) => at(x, first + c) ** 2)); // Math.hypot would take an infinity for more than NaN
    return (x[i] as number) / Math.max(length, epsilon);
  });
}

/** x (rows, k) times query (k) -> (rows) */
export function dotRows(x: ArrayLike<number>, query: ArrayLike<number>, rows: number): number[] {
  const k = query.length;
  return Array.from({ length: rows }, (_, i) => Array.from(query).reduce((sum, q, j) => sum + q * (x[i * k + j] as number), 0));
}
