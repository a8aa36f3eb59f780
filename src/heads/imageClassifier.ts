import { Linear } from '../nn/linear.ts';
import type { Parameters } from '../nn/parameters.ts';
import { concat, mean } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';

/**
 * The head of Dinov2ForImageClassification: a linear layer on [class token, mean of the patch tokens]. With no labels it gives these
 * features.
 */
export class ImageClassifier {
  /** Numbers of an output: labels, or without any the width of the features. */
  readonly outputs: number;
  readonly #classifier: Linear | undefined;

  constructor(p: Parameters, width: number, labels: number) {
    this.outputs = labels || 2 * width;
    this.#classifier = labels ? new Linear(p.at('classifier'), 2 * width, labels) : undefined;
  }

  /** classToken (width) and patches (patches, width), after the final layer norm -> (outputs) */
  forward(classToken: Float32, patches: Float32): Float32 {
    const features = concat(classToken, mean(patches)); // (2 width)
    return this.#classifier?.forward(features) ?? features;
  }
}
