import { createMatrix } from '../tensor/matrix/createMatrix.ts';
import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { multiply } from '../tensor/ops.ts';
import { addressOf, type Float32, place } from '../tensor/place.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Parameters } from './parameters.ts';

/**
 * A linear layer without bias whose rows have a length of their own: y = g * (x v^T) / |v| for each output (Salimans and Kingma 2016,
 * "Weight Normalization"); weight_g (outputs, 1) and weight_v (outputs, inputs) as of `torch.nn.utils.weight_norm`.
 */
export class WeightNormLinear {
  readonly #matrix: () => PackedMatrix;
  readonly #scale: () => Float32;

  constructor(p: Parameters, inputs: number, outputs: number) {
    const lengths = new Float64Array(outputs).fill(1);
    const gains = new Float32Array(outputs).fill(1);
    const { engine } = p;
    this.#scale = p.declare('weight_g', [outputs, 1], 1, {
      allocate: () => place(engine, 'float32', [outputs]),
      load: (scale, value) => {
        gains.set(value.data);
        rescale(scale);
      },
      read: () => new Tensor('float32', gains.slice(), [outputs, 1]),
    });
    this.#matrix = p.declare<PackedMatrix>('weight_v', [outputs, inputs], 'normal', {
      dtype: p.dtype,
      allocate: () => createMatrix(engine, p.dtype, outputs, inputs),
      load: (matrix, value) => {
        matrix.pack(value);
        const { data } = value;
        for (let o = 0; o < outputs; o++) {
          lengths[o] = Math.sqrt(data.subarray(o * inputs, (o + 1) * inputs).reduce((sum, v) => sum + v * v, 0));
        }
        rescale(this.#scale());
      },
      read: (matrix) => matrix.unpack().weight,
    });
    const rescale = (scale: Float32): void =>
      engine.write(
        addressOf(scale),
        gains.map((g, o) => g / (lengths[o] as number)),
      );
  }

  /** (..., inputs) -> (..., outputs) */
  forward(x: Float32): Float32 {
    return multiply(this.#matrix().multiply(x), this.#scale());
  }
}
