import { ArgumentError } from '../errors.ts';
import type { Dinov2Config } from '../models/config.ts';
import { type Float32, softmax, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';

/** As the image classification pipeline of transformers.js gives it. */
export interface Classification {
  readonly label: string;
  /** From 0 to 1. */
  readonly score: number;
}

type Classes = Pick<Dinov2Config, 'id2label' | 'num_labels' | 'problem_type'>;

/**
 * The scores of all labels, logits (batch, num_labels) -> (batch, num_labels): the softmax or, where labels do not exclude each other or
 * there is but one, 1 / (1 + e^-x) of each, as transformers chooses (pipelines/image_classification.py).
 * @throws {ShapeError} {DTypeError}
 */
export function labelScores(logits: Tensor, { num_labels, problem_type }: Classes): Float32 {
  checkDims('logits', [-1, num_labels], logits.dims);
  if (problem_type !== 'multi_label_classification' && num_labels !== 1) return softmax(logits);
  return new Tensor(
    'float32',
    logits.to('float32').data.map((x) => 1 / (1 + Math.exp(-x))),
    logits.dims,
  );
}

/**
 * The labels of each picture with the highest scores, best first; of equal ones the first: logits (batch, num_labels) -> batch lists of
 * `topK` or, if there are less, all labels.
 * @param config of the model, which has the labels
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function classify(logits: Tensor, config: Classes, options: { topK?: number } = {}): Classification[][] {
  const labels = Array.from({ length: config.num_labels }, (_, id) => config.id2label[id] ?? `LABEL_${id}`);
  return ranked(labelScores(logits, config), labels, options);
}

/** scores (batch, labels) -> the labels with the `topK` highest of each, best first. @throws {ArgumentError} */
export function ranked(scores: Float32, labels: readonly string[], { topK = 5 }: { topK?: number } = {}): Classification[][] {
  if (!Number.isSafeInteger(topK) || topK < 1) throw new ArgumentError(`topK: expected an integer of at least 1, found ${topK}`);
  return Array.from({ length: scores.dims[0] as number }, (_, i) =>
    Array.from(scores.at(i).data, (score, id) => ({ label: labels[id] as string, score }))
      .sort((a, b) => b.score - a.score)
      .slice(0, topK),
  );
}
