import type { Activation } from '../runtime/kernels.ts';
import type { Operand, PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

/** y = x W^T + b */
export class Linear {
  readonly #matrix: () => PackedMatrix;

  constructor(p: Parameters, inputs: number, outputs: number, { bias = true }: { bias?: boolean } = {}) {
    this.#matrix = p.matrix(outputs, [inputs], { bias });
  }

  /** What reads the input. */
  get reader(): PackedMatrix {
    return this.#matrix();
  }

  /** (..., inputs) -> (..., outputs), through an activation if one is named */
  forward(x: Operand, activation?: Activation): Float32 {
    return this.#matrix().multiply(x, activation);
  }

  /**
   * residual += scale * (x W^T + b), in place: layer scale (Touvron et al. 2021, "Going deeper with image transformers") and residual in
   * the same step
   */
  addTo(residual: Float32, x: Operand, scale: Float32): void {
    this.#matrix().multiplyAdd(x, scale, residual);
  }
}
