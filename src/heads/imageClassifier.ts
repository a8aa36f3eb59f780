import { Linear } from '../nn/linear.ts';
import type { Parameters } from '../nn/parameters.ts';
import { concat, mean } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';

/**
 * The head of Dinov2ForImageClassification: a linear layer on [class tokens of the last blocks, mean of the patch tokens]. transformers
 * takes one class token, that of the last block; facebookresearch/dinov2 (dinov2/hub/classifiers.py) one or four. With no labels it gives
 * these features.
 */
export class ImageClassifier {
  /** Numbers of an output: labels, or without any the width of the features. */
  readonly outputs: number;
  readonly #classifier: Linear | undefined;

  constructor(p: Parameters, { width, labels, layers = 1 }: { width: number; labels: number; layers?: number }) {
    const features = (layers + 1) * width;
    this.outputs = labels || features;
    this.#classifier = labels ? new Linear(p.at('classifier').precise, features, labels) : undefined;
  }

  /** classTokens (layers * width), of the earliest block first, and patches (patches, width), after the final layer norm -> (outputs) */
  forward(classTokens: Float32, patches: Float32): Float32 {
    const features = concat(classTokens, mean(patches)); // ((layers + 1) width)
    return this.#classifier?.forward(features) ?? features;
  }
}
