import type { Objective } from './lbfgs.ts';

/** Features and classes of samples, of which some may be chosen. */
export interface Samples {
  /** (samples, width) */
  readonly x: Float32Array;
  readonly width: number;
  /** (samples), from 0. */
  readonly classes: ArrayLike<number>;
  /** How many classes there are. */
  readonly count: number;
}

/** W (count, width), then b (count). */
export type Parameters = Float64Array;

/**
 * Multinomial logistic regression on the rows of samples that are given: the mean cross entropy of softmax(W x + b), and beside it
 * regularization / 2 times the squared length of W. In float64.
 */
export function logisticObjective(samples: Samples, rows: readonly number[], regularization: number): Objective {
  const { x, width, classes, count } = samples;
  const biases = count * width;
  const logs = new Float64Array(count);
  return (parameters, gradient) => {
    let penalty = 0;
    for (let i = 0; i < biases; i++) {
      const w = parameters[i] as number;
      penalty += w * w;
      gradient[i] = regularization * w;
    }
    gradient.fill(0, biases);
    let loss = 0;
    for (const row of rows) {
      logProbabilities(samples, row, parameters, logs);
      const truth = classes[row] as number;
      loss -= logs[truth] as number;
      for (let k = 0; k < count; k++) {
        const error = (Math.exp(logs[k] as number) - Number(k === truth)) / rows.length;
        gradient[biases + k] = (gradient[biases + k] as number) + error;
        const [g, f] = [k * width, row * width];
        for (let i = 0; i < width; i++) gradient[g + i] = (gradient[g + i] as number) + error * (x[f + i] as number);
      }
    }
    return loss / rows.length + (regularization / 2) * penalty;
  };
}

/** log softmax(W x + b) of one row, into `logs` (count). */
export function logProbabilities({ x, width, count }: Samples, row: number, parameters: Parameters, logs: Float64Array): void {
  const f = row * width;
  let top = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < count; k++) {
    const w = k * width;
    let [a, b, c, d] = [parameters[count * width + k] as number, 0, 0, 0]; // four sums, so that none waits for another
    let i = 0;
    for (; i + 4 <= width; i += 4) {
      a += (x[f + i] as number) * (parameters[w + i] as number);
      b += (x[f + i + 1] as number) * (parameters[w + i + 1] as number);
      c += (x[f + i + 2] as number) * (parameters[w + i + 2] as number);
      d += (x[f + i + 3] as number) * (parameters[w + i + 3] as number);
    }
    for (; i < width; i++) a += (x[f + i] as number) * (parameters[w + i] as number);
    logs[k] = a + b + c + d;
    top = Math.max(top, logs[k] as number);
  }
  let sum = 0;
  for (let k = 0; k < count; k++) sum += Math.exp((logs[k] as number) - top);
  const shift = top + Math.log(sum);
  for (let k = 0; k < count; k++) logs[k] = (logs[k] as number) - shift;
}
