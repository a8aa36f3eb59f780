import type { Engine } from '../runtime/engine.ts';
import { type ConvolutionOptions, convolutionOrder, convolve } from '../tensor/conv.ts';
import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

export interface Conv2dOptions extends Pick<ConvolutionOptions, 'stride' | 'padding'> {
  /** Height and width. */
  kernel: number;
  /** Default true. */
  bias?: boolean;
}

/** Convolution of an image with the channels last; weight (outputs, inputs, kernel, kernel) and bias (outputs) as of `torch.nn.Conv2d`. */
export class Conv2d {
  readonly #engine: Engine;
  readonly #matrix: () => PackedMatrix;
  readonly #kernel: readonly [number, number];
  readonly #geometry: Pick<ConvolutionOptions, 'stride' | 'padding'>;

  constructor(p: Parameters, inputs: number, outputs: number, { kernel, bias = true, ...geometry }: Conv2dOptions) {
    this.#engine = p.engine;
    this.#matrix = p.orderedMatrix(
      [outputs, inputs, kernel, kernel],
      bias ? outputs : 0,
      convolutionOrder(outputs, inputs, kernel, kernel),
    );
    this.#kernel = [kernel, kernel];
    this.#geometry = geometry;
  }

  /** (rows, columns, inputs) -> (floor((rows + 2 padding - kernel) / stride) + 1, the same of columns, outputs) */
  forward(x: Float32, options: Pick<ConvolutionOptions, 'activation' | 'inputRelu'> = {}): Float32 {
    return convolve(this.#engine, x, this.#matrix(), this.#kernel, { ...this.#geometry, ...options });
  }

  /** residual += the convolution of x, in place; residual and x are different places */
  addTo(residual: Float32, x: Float32, options: Pick<ConvolutionOptions, 'inputRelu'> = {}): void {
    convolve(this.#engine, x, this.#matrix(), this.#kernel, { ...this.#geometry, ...options, residual });
  }
}
