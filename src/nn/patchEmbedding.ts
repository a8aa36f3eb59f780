import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { patchify } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Parameters } from './parameters.ts';

/** Narrower models, which take little time anyway, lose by patches of 8 bits. */
const NARROW = 64;

/** A convolution whose stride is its kernel: each patch of pixels becomes one token (Dosovitskiy et al. 2020). */
export class PatchEmbedding {
  readonly #projection: () => PackedMatrix;
  readonly #patch: readonly [number, number];

  constructor(p: Parameters, channels: number, patch: readonly [height: number, width: number], width: number) {
    this.#projection = p.at('projection').matrix(width, [channels, ...patch], {
      bias: true,
      dtype: p.dtype === 'int8' && width < NARROW ? 'float32' : p.dtype,
    });
    this.#patch = patch;
  }

  /** (channels, height, width) -> (rows * columns, width); pixels beyond the last whole patch have no effect */
  forward(pixels: Float32): Float32 {
    return this.#projection().multiply(patchify(pixels, this.#patch));
  }
}
