import type { Operand, PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { layerNorm } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

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

  /** (..., width) -> (..., width) */
  forward(x: Float32): Float32 {
    return layerNorm(x, this.#weight(), this.#bias(), this.#epsilon);
  }

  /** The same in the form in which a matrix reads it. */
  forwardTo(reader: PackedMatrix, x: Float32): Operand {
    return reader.normalized(x, this.#weight(), this.#bias(), this.#epsilon);
  }
}
