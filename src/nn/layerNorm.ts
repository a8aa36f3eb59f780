import type { Operand, PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import type { InputStatistics } from '../tensor/matrix/quantize.ts';
import { layerNorm } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

/** Standard deviations to the largest of some hundred numbers that are distributed normally, and a little more. */
const DEVIATIONS = 4;

/** Layer normalisation over the last dimension (Ba et al. 2016). */
export class LayerNorm {
  readonly #weight: () => Float32;
  readonly #bias: () => Float32;
  readonly #epsilon: number;

  constructor(p: Parameters, width: number, epsilon: number) {
    this.#weight = p.tensor('weight', [width], 1);
    this.#bias = p.tensor('bias', [width], 0);
    this.#epsilon = epsilon;
  }

  /**
   * What its outputs are like for inputs of any kind, which it brings to a mean of 0 and a variance of 1: of what a checkpoint tells, the best guess
   * for quantising what reads them.
   */
  get statistics(): InputStatistics {
    const bias = this.#bias().data;
    const largest = this.#weight().data.map((weight, i) => DEVIATIONS * Math.abs(weight) + Math.abs(bias[i] as number));
    return { largest, mean: new Float32Array(largest.length) };
  }

  /** (..., width) -> (..., width) */
  forward(x: Float32): Float32 {
    return layerNorm(x, this.#weight(), this.#bias(), this.#epsilon);
  }

  /** The same in the form in which a matrix reads it. */
  forwardTo(reader: PackedMatrix, x: Float32): Operand {
    return reader.normalized(x, this.#weight(), this.#bias(), this.#epsilon);
  }
}
