import { createMatrix } from '../tensor/matrix/createMatrix.ts';
import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { checkDims, type Float32 } from '../tensor/place.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import type { Initial, Parameters } from './parameters.ts';

/** The parameters (channels) of `torch.nn.BatchNorm2d`, by its names. */
export interface BatchNorm {
  weight: Float32;
  bias: Float32;
  running_mean: Float32;
  running_var: Float32;
  /** Default 1e-5. */
  epsilon?: number;
}

/** The parameters of `torch.nn.Conv2d`. */
export interface Convolution {
  /** (outputs, inputs, kernel height, kernel width) */
  weight: Float32;
  /** (outputs); none is zeros */
  bias?: Float32 | undefined;
}

/**
 * The convolution that does the work of one and of the batch norm behind it at inference, y = (x - mean) / sqrt(variance + epsilon) *
 * weight + bias (Ioffe and Szegedy 2015, algorithm 2). In float64, rounded once.
 * @throws {ShapeError} naming the parameter
 */
export function foldBatchNormBehind({ weight, bias }: Convolution, norm: BatchNorm): Required<Convolution> {
  const outputs = weight.dims[0] as number;
  const { scale, shift } = affine(norm, outputs);
  const columns = weight.size / outputs;
  const b = bias?.data;
  return {
    weight: new Tensor(
      'float32',
      weight.data.map((w, e) => w * (scale[Math.floor(e / columns)] as number)),
      weight.dims,
    ),
    bias: new Tensor(
      'float32',
      Float32Array.from(shift, (s, o) => s + (b?.[o] ?? 0) * (scale[o] as number)),
      [outputs],
    ),
  };
}

/**
 * The same for a batch norm in front of a 1x1 convolution without padding: zeros around the image would come in between.
 * @throws {ShapeError} naming the parameter
 */
export function foldBatchNormInFront({ weight, bias }: Convolution, norm: BatchNorm): Required<Convolution> {
  checkDims('batch norm in front of a convolution: weight', [-1, -1, 1, 1], weight.dims);
  const [outputs, inputs] = weight.dims as [number, number, number, number];
  const { scale, shift } = affine(norm, inputs);
  const w = weight.data;
  const b = bias?.data;
  return {
    weight: new Tensor(
      'float32',
      w.map((value, e) => value * (scale[e % inputs] as number)),
      weight.dims,
    ),
    bias: new Tensor(
      'float32',
      Float32Array.from({ length: outputs }, (_, o) => shift.reduce((sum, s, i) => sum + s * (w[o * inputs + i] as number), b?.[o] ?? 0)),
      [outputs],
    ),
  };
}

/** A batch norm as x * scale + shift. */
function affine({ epsilon = 1e-5, ...parameters }: BatchNorm, channels: number): { scale: Float64Array; shift: Float64Array } {
  for (const [name, { dims }] of Object.entries(parameters)) checkDims(`batch norm: ${name}`, [channels], dims);
  const mean = parameters.running_mean.data;
  const variance = parameters.running_var.data;
  const scale = Float64Array.from(parameters.weight.data, (weight, i) => weight / Math.sqrt((variance[i] as number) + epsilon));
  const shift = Float64Array.from(parameters.bias.data, (bias, i) => bias - (mean[i] as number) * (scale[i] as number));
  return { scale, shift };
}

/**
 * Batch norm and behind it a 1x1 convolution, of an image with the channels last, as one product; parameters as of `torch.nn.BatchNorm2d`
 * and `Conv2d`.
 */
export class BatchNormConv2d {
  readonly #matrix: () => PackedMatrix;

  constructor(
    norm: Parameters,
    convolution: Parameters,
    inputs: number,
    outputs: number,
    { epsilon = 1e-5, bias = true }: { epsilon?: number; bias?: boolean } = {},
  ) {
    let packed: PackedMatrix | undefined;
    const keep = (p: Parameters, name: string, dims: readonly number[], initial: Initial): Kept => {
      let loaded: Float32 | undefined;
      const value = (): Float32 => loaded ?? new Tensor('float32', new Float32Array(sizeOf(dims)), dims);
      const matrix = p.declare(name, dims, initial, {
        allocate: () => {
          packed ??= createMatrix(p.engine, p.precise.dtype, outputs, inputs);
          return packed;
        },
        load: (form, given) => {
          loaded = given.clone();
          fold(form);
        },
        read: () => value().clone(),
      });
      return { value, matrix };
    };
    const gamma = keep(norm, 'weight', [inputs], 1);
    const beta = keep(norm, 'bias', [inputs], 0);
    const mean = keep(norm, 'running_mean', [inputs], 0);
    const variance = keep(norm, 'running_var', [inputs], 1);
    const weight = keep(convolution, 'weight', [outputs, inputs, 1, 1], 'normal');
    const ownBias = bias ? keep(convolution, 'bias', [outputs], 0) : undefined;
    // after each, since they come in any order; what is not there yet counts as zeros
    const fold = (matrix: PackedMatrix): void => {
      const folded = foldBatchNormInFront(
        { weight: weight.value(), bias: ownBias?.value() },
        { weight: gamma.value(), bias: beta.value(), running_mean: mean.value(), running_var: variance.value(), epsilon },
      );
      matrix.pack(folded.weight.reshape(outputs, inputs), folded.bias);
    };
    this.#matrix = weight.matrix;
  }

  /** (..., inputs) -> (..., outputs) */
  forward(x: Float32): Float32 {
    return this.#matrix().multiply(x);
  }
}

/** A parameter as it was loaded, outside the engine, and the matrix that is made of all of them. */
interface Kept {
  value(): Float32;
  matrix(): PackedMatrix;
}
