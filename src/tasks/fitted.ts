import { openCheckpoint } from '../checkpoint/shards.ts';
import type { ModelSource } from '../files/source.ts';
import type { Tensor } from '../tensor/index.ts';
import { type Classification, ranked } from './classify.ts';
import type { FeatureClassifier } from './featureClassifier.ts';
import { KnnClassifier } from './knn.ts';
import { LinearProbe } from './linearProbe.ts';

export type { FeatureClassifier } from './featureClassifier.ts';

/**
 * A classifier that was fitted and saved, of whichever kind the file has.
 * @throws {NotFoundError} when there is no such file, {CheckpointError} when it is another or damaged
 */
export async function loadFeatureClassifier(source: ModelSource): Promise<FeatureClassifier> {
  const file = await openCheckpoint(source);
  await file.close();
  return file.entries.has('knn.features') ? KnnClassifier.load(source) : LinearProbe.load(source);
}

/**
 * Whether it is a file that a {@link FeatureClassifier} was saved to, and not a head of another origin.
 * @throws {NotFoundError} when there is no such file, {CheckpointError} when it is damaged
 */
export async function isFeatureClassifier(source: ModelSource): Promise<boolean> {
  const file = await openCheckpoint(source);
  await file.close();
  return file.entries.has('knn.features') || (file.entries.has('classifier.weight') && file.metadata.has('labels'));
}

/**
 * The labels of each picture with the highest scores, best first; of equal ones the first.
 * @param features (batch, width), of the pooling that the classifier takes
 * @param options `topK`: how many labels, at most all. Default 5.
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function classifyFeatures(classifier: FeatureClassifier, features: Tensor, options: { topK?: number } = {}): Classification[][] {
  return ranked(classifier.scores(features), classifier.labels, options);
}
