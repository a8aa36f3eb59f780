import { matmul, transpose } from '../ops.ts';
import type { Float32 } from '../place.ts';
import { Tensor } from '../tensor.ts';
import { GROUP } from './int8Layout.ts';

/** What is known of the inputs of a linear layer. */
export interface InputStatistics {
  /** (inputs) */
  readonly mean: Float32Array;
  /** (inputs, 128): of each input with those of its group, in their order; 0 beyond the last. */
  readonly covariance: Float32Array;
}

/** Rows that are looked at together: what is made of them is to be small. */
const PIECE = 512;

/** Gathers the mean and the covariance of the inputs of a linear layer, batch by batch. */
export class InputObserver {
  #sum = new Float64Array(0);
  #products = new Float64Array(0);
  #rows = 0;

  /** x (..., inputs) */
  see(x: Float32): void {
    const inputs = x.dims.at(-1) as number;
    if (this.#rows === 0) [this.#sum, this.#products] = [new Float64Array(inputs), new Float64Array(inputs * GROUP)];
    const { data } = x;
    for (let e = 0; e < data.length; e += PIECE * inputs) this.#see(data.subarray(e, e + PIECE * inputs), inputs);
  }

  /** Undefined before the first batch. */
  get statistics(): InputStatistics | undefined {
    if (this.#rows === 0) return undefined;
    const mean = this.#sum.map((sum) => sum / this.#rows);
    const covariance = new Float32Array(this.#products.length);
    for (let i = 0, e = 0; i < mean.length; i++) {
      const first = i - (i % GROUP);
      for (let j = first; j < first + GROUP; j++, e++) {
        if (j < mean.length) covariance[e] = (this.#products[e] as number) / this.#rows - (mean[i] as number) * (mean[j] as number);
      }
    }
    return { mean: Float32Array.from(mean), covariance };
  }

  #see(data: Float32Array, inputs: number): void {
    const rows = data.length / inputs;
    this.#rows += rows;
    for (let first = 0; first < inputs; first += GROUP) {
      const columns = Math.min(GROUP, inputs - first);
      const group = new Float32Array(rows * columns);
      for (let r = 0; r < rows; r++) group.set(data.subarray(r * inputs + first, r * inputs + first + columns), r * columns);
      const x = new Tensor('float32', group, [rows, columns]);
      const products = matmul(transpose(x), x).data; // (columns, columns)
      for (let i = 0; i < columns; i++) {
        for (let r = 0; r < rows; r++) (this.#sum[first + i] as number) += group[r * columns + i] as number;
        for (let j = 0; j < columns; j++) (this.#products[(first + i) * GROUP + j] as number) += products[i * columns + j] as number;
      }
    }
  }
}

/**
 * What rounding takes from the mean of the outputs, for the bias to give back (Nagel et al. 2019, "Data-free quantization through weight equalization
 * and bias correction"): weight and rounded (outputs, inputs), the mean of the inputs (inputs) -> (outputs)
 */
export function biasCorrection(weight: Float32, rounded: Float32, mean: Float32Array): Float32Array<ArrayBuffer> {
  const [outputs, inputs] = weight.dims as [number, number];
  const [before, after] = [weight.data, rounded.data];
  return Float32Array.from({ length: outputs }, (_, o) => {
    let missing = 0;
    for (let i = 0, e = o * inputs; i < inputs; i++, e++) missing += ((before[e] as number) - (after[e] as number)) * (mean[i] as number);
    return missing;
  });
}
