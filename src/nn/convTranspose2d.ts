import type { Engine } from '../runtime/engine.ts';
import { convolveTransposed, transposedOrder } from '../tensor/conv.ts';
import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

/**
 * Transposed convolution whose stride is its kernel, of an image with the channels last; weight (inputs, outputs, kernel, kernel) and bias
 * (outputs) as of `torch.nn.ConvTranspose2d`.
 */
export class ConvTranspose2d {
  readonly #engine: Engine;
  readonly #matrix: () => PackedMatrix;
  readonly #kernel: readonly [number, number];

  constructor(p: Parameters, inputs: number, outputs: number, { kernel, bias = true }: { kernel: number; bias?: boolean }) {
    this.#engine = p.engine;
    this.#matrix = p.orderedMatrix([inputs, outputs, kernel, kernel], bias ? outputs : 0, transposedOrder(inputs, outputs, kernel, kernel));
    this.#kernel = [kernel, kernel];
  }

  /** (rows, columns, inputs) -> (rows * kernel, columns * kernel, outputs) */
  forward(x: Float32): Float32 {
    return convolveTransposed(this.#engine, x, this.#matrix(), this.#kernel);
  }
}
