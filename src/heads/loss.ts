import { ArgumentError, ShapeError } from '../errors.ts';
import type { Float32 } from '../tensor/place.ts';
import { Tensor } from '../tensor/tensor.ts';

export type ProblemType = 'regression' | 'single_label_classification' | 'multi_label_classification';

/** The class that cross entropy passes over, as `torch.nn.CrossEntropyLoss` does. */
const IGNORED = -100;

/**
 * The loss of `Dinov2ForImageClassification` of transformers: mean squared error, cross entropy, or binary cross entropy on logits, averaged.
 * Without a problem type: regression for one label, cross entropy for whole-number labels, else binary cross entropy.
 * @param logits (batch, num_labels)
 * @param labels (batch) or, but for cross entropy, (batch, num_labels); plain numbers are classes where there are several, else values
 * @returns a scalar, computed in float64
 * @throws {ShapeError} {ArgumentError} naming the labels
 */
export function classificationLoss(logits: Float32, labels: Tensor | readonly number[], problem: ProblemType | null): Float32 {
  const [batch, classes] = logits.dims as [number, number];
  const target = labels instanceof Tensor ? labels : fromNumbers(labels, classes, problem);
  const kind = problem ?? infer(classes, target);
  const value =
    kind === 'regression'
      ? squaredError(logits, target)
      : kind === 'single_label_classification'
        ? crossEntropy(logits, target, batch, classes)
        : binaryCrossEntropy(logits, target);
  return new Tensor('float32', [value], []);
}

function fromNumbers(labels: readonly number[], classes: number, problem: ProblemType | null): Tensor {
  if (!Array.isArray(labels)) throw new ArgumentError('labels: expected a Tensor or an array of numbers');
  const whole = problem ? problem === 'single_label_classification' : classes > 1;
  return new Tensor(whole ? 'int32' : 'float32', labels, [labels.length]);
}

function infer(classes: number, labels: Tensor): ProblemType {
  if (classes === 1) return 'regression';
  return labels.dtype === 'int64' || labels.dtype === 'int32' ? 'single_label_classification' : 'multi_label_classification';
}

function squaredError(logits: Float32, labels: Tensor): number {
  const truth = sameSize(logits, labels);
  return meanOf(logits.data, (x, i) => (x - (truth[i] as number)) ** 2);
}

function crossEntropy(logits: Float32, labels: Tensor, batch: number, classes: number): number {
  const truth = labels.to('float32').data;
  if (truth.length !== batch) throw new ShapeError(`labels: expected [${batch}] classes, found [${labels.dims}]`);
  let sum = 0;
  let counted = 0;
  for (const [row, label] of truth.entries()) {
    if (label === IGNORED) continue;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ArgumentError(`labels[${row}]: expected a class from 0 to ${classes - 1}, or ${IGNORED} for none, found ${label}`);
    }
    const { data } = logits.at(row);
    const top = data.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    sum += top + Math.log(data.reduce((total, x) => total + Math.exp(x - top), 0)) - (data[label] as number);
    counted += 1;
  }
  return sum / counted;
}

function binaryCrossEntropy(logits: Float32, labels: Tensor): number {
  const truth = sameSize(logits, labels);
  // max(x, 0) - x y + log(1 + e^-|x|), which neither overflows nor cancels
  return meanOf(logits.data, (x, i) => Math.max(x, 0) - x * (truth[i] as number) + Math.log1p(Math.exp(-Math.abs(x))));
}

function sameSize(logits: Float32, labels: Tensor): Float32Array {
  if (labels.size !== logits.size) throw new ShapeError(`labels: expected as many as logits [${logits.dims}], found [${labels.dims}]`);
  return labels.to('float32').data;
}

function meanOf(values: Float32Array, f: (x: number, i: number) => number): number {
  return values.reduce((sum, x, i) => sum + f(x, i), 0) / values.length;
}
