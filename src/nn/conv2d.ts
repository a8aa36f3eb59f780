import type { Engine } from '../runtime/engine.ts';
import { type ConvolutionOptions, type ConvolveOptions, convolutionOrder, convolve } from '../tensor/conv.ts';
import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

export interface Conv2dOptions extends Pick<ConvolutionOptions, 'stride' | 'padding'> {
  /** Height and width. */
  kernel: number;
  /** Default true. */
  bias?: boolean;
}

/** Fewer outputs are those next to the result. */
const FEW_OUTPUTS = 64;

/**
 * Convolution of an image with the channels last; weight (outputs, inputs, kernel, kernel) and bias (outputs) as of `torch.nn.Conv2d`. 8 bits are for
 * those that lose least by it: 1x1 convolutions and those of few outputs, a tenth of DPT's arithmetic and two fifths of that of Depth Anything S, would
 * take the depth further off than all others together (bench/README.md).
 */
export class Conv2d {
  readonly #engine: Engine;
  readonly #matrix: () => PackedMatrix;
  readonly #kernel: readonly [number, number];
  readonly #geometry: Pick<ConvolutionOptions, 'stride' | 'padding'>;

  constructor(p: Parameters, inputs: number, outputs: number, { kernel, bias = true, ...geometry }: Conv2dOptions) {
    this.#engine = p.engine;
    const own = kernel === 1 || outputs < FEW_OUTPUTS ? p.precise : p;
    this.#matrix = own.orderedMatrix(
      [outputs, inputs, kernel, kernel],
      bias ? outputs : 0,
      convolutionOrder(outputs, inputs, kernel, kernel),
    );
    this.#kernel = [kernel, kernel];
    this.#geometry = geometry;
  }

  /** (rows, columns, inputs) -> (floor((rows + 2 padding - kernel) / stride) + 1, the same of columns, outputs) */
  forward(x: Float32, options: Pick<ConvolveOptions, 'activation' | 'inputRelu' | 'enlargeTo'> = {}): Float32 {
    return convolve(this.#engine, x, this.#matrix(), this.#kernel, { ...this.#geometry, ...options });
  }

  /** residual += the convolution of x, in place; residual and x are different places */
  addTo(residual: Float32, x: Float32, options: Pick<ConvolutionOptions, 'inputRelu'> = {}): void {
    convolve(this.#engine, x, this.#matrix(), this.#kernel, { ...this.#geometry, ...options, residual });
  }
}
