import { Linear } from '../nn/linear.ts';
import type { Parameters } from '../nn/parameters.ts';
import { WeightNormLinear } from '../nn/weightNormLinear.ts';
import { normalize } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';

export interface DinoHeadOptions {
  /** Of the tokens. */
  width: number;
  /** Linear layers before the prototypes, one or more. */
  layers: number;
  hidden: number;
  /** Width of what is compared with the prototypes. */
  bottleneck: number;
  prototypes: number;
}

/**
 * The projection head of the DINO and iBOT losses (Caron et al. 2021, Zhou et al. 2021): facebookresearch/dinov2,
 * dinov2/layers/dino_head.py, `DINOHead` without batch norm. The logits are cosines, times the length of each prototype, which is 1 in
 * training.
 */
export class DinoHead {
  readonly #mlp: readonly Linear[];
  readonly #prototypes: WeightNormLinear;

  constructor(p: Parameters, { width, layers, hidden, bottleneck, prototypes }: DinoHeadOptions) {
    // an activation stands between two layers, and counts in their names
    this.#mlp = Array.from({ length: layers }, (_, i) => {
      const own = layers === 1 ? p.at('mlp') : p.at(`mlp.${2 * i}`);
      return new Linear(own, i === 0 ? width : hidden, i === layers - 1 ? bottleneck : hidden);
    });
    this.#prototypes = new WeightNormLinear(p.at('last_layer'), bottleneck, prototypes);
  }

  /** (..., width) -> (..., prototypes) */
  forward(tokens: Float32): Float32 {
    let x = tokens;
    for (const [i, layer] of this.#mlp.entries()) x = layer.forward(x, i < this.#mlp.length - 1 ? 'gelu' : 'none');
    return this.#prototypes.forward(normalize(x));
  }
}
