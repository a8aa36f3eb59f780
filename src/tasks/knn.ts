import { ArgumentError, CheckpointError } from '../errors.ts';
import type { ModelSource } from '../files/source.ts';
import { checkOptions } from '../options.ts';
import { type Float32, linear, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import type { Pooling } from './embed.ts';
import { checkLabelled, type FeatureClassifier, saveFeatureClassifier, withSavedClassifier } from './featureClassifier.ts';
import { unitRows } from './unitRows.ts';

export interface KnnOptions {
  /** How many neighbours vote; all where there are fewer. Default 20. */
  k?: number;
  /** A vote counts exp(similarity / temperature). Default 0.07. */
  temperature?: number;
}

const FEATURES = 'knn.features';
const CLASSES = 'knn.classes';

/**
 * Nearest neighbours among the features of labelled pictures, as DINO and DINOv2 evaluate features: of the class token, by cosine
 * similarity, each of the k nearest voting for its class with the weight exp(similarity / temperature) (Wu et al. 2018, "Unsupervised
 * Feature Learning via Non-Parametric Instance Discrimination"; facebookresearch/dinov2, dinov2/eval/knn.py). Nothing is trained.
 */
export class KnnClassifier implements FeatureClassifier {
  readonly pooling: Pooling = 'cls';
  readonly labels: readonly string[];
  readonly k: number;
  readonly temperature: number;
  readonly #features: Float32;
  readonly #classes: readonly number[];

  /**
   * @param features (pictures, width), of any length: {@link embed} makes them
   * @param classes of each picture, from 0
   * @param labels names of the classes
   * @throws {ShapeError} {DTypeError} {ArgumentError}
   */
  constructor(features: Tensor, classes: ArrayLike<number>, labels: readonly string[], options: KnnOptions = {}) {
    checkOptions('KnnClassifier', options, ['k', 'temperature']);
    const { k = 20, temperature = 0.07 } = options;
    const labelled = checkLabelled(features, classes, labels);
    if (labelled.classes.length === 0) throw new ArgumentError('features: expected those of one picture at least, found none');
    if (!Number.isSafeInteger(k) || k < 1) throw new ArgumentError(`k: expected an integer of at least 1, found ${k}`);
    if (!(temperature > 0)) throw new ArgumentError(`temperature: expected a number above 0, found ${temperature}`);
    this.labels = labelled.labels;
    this.k = k;
    this.temperature = temperature;
    this.#features = unitRows(labelled.features);
    this.#classes = labelled.classes;
  }

  get width(): number {
    return this.#features.dims[1] as number;
  }

  scores(features: Tensor): Float32 {
    checkDims('features', [-1, this.width], features.dims);
    const similarities = linear(unitRows(features.to('float32')), this.#features); // (batch, pictures)
    const [batch] = features.dims as [number];
    const scores = new Tensor('float32', new Float32Array(batch * this.labels.length), [batch, this.labels.length]);
    for (let i = 0; i < batch; i++) this.#vote(similarities.at(i).data, scores.at(i).data);
    return scores;
  }

  async save(path: string): Promise<void> {
    const classes = new Tensor('int32', this.#classes, [this.#classes.length]);
    const tensors = Object.entries({ [FEATURES]: this.#features, [CLASSES]: classes }).map(([name, { dtype, dims, data }]) => ({
      name,
      dtype,
      dims,
      data,
    }));
    await saveFeatureClassifier(path, tensors, { labels: this.labels, k: this.k, temperature: this.temperature });
  }

  /**
   * What {@link save} has written.
   * @throws {NotFoundError} when there is no such file, {CheckpointError} when it is another or damaged
   */
  static async load(source: ModelSource): Promise<KnnClassifier> {
    return withSavedClassifier(source, async ({ name, labels, read, number }) => {
      const features = await read(FEATURES, [-1, -1]);
      const classes = await read(CLASSES, [features.dims[0] as number]);
      if (!labels) throw new CheckpointError(`${name}: expected labels in the metadata, found none`);
      const [k, temperature] = [number('k'), number('temperature')];
      try {
        return new KnnClassifier(features, classes.to('int32').data, labels, { ...(k && { k }), ...(temperature && { temperature }) });
      } catch (cause) {
        throw new CheckpointError(`${name}: ${(cause as Error).message}`, { cause });
      }
    });
  }

  /** The votes of the nearest pictures into scores (labels), which are zeros. */
  #vote(similarities: Float32Array, scores: Float32Array): void {
    const nearest = Array.from(similarities.keys())
      .sort((a, b) => (similarities[b] as number) - (similarities[a] as number) || a - b)
      .slice(0, this.k);
    const top = similarities[nearest[0] as number] as number; // taken from all, so that no vote is too large for float32
    const votes = nearest.map((picture) => Math.exp(((similarities[picture] as number) - top) / this.temperature));
    const sum = votes.reduce((total, vote) => total + vote, 0);
    for (const [i, picture] of nearest.entries()) {
      const label = this.#classes[picture] as number;
      scores[label] = (scores[label] as number) + (votes[i] as number) / sum;
    }
  }
}
