import { ArgumentError, ShapeError } from '../errors.ts';
import type { Float32 } from '../tensor/place.ts';
import { Tensor } from '../tensor/tensor.ts';

export type ProblemType = 'regression' | 'single_label_classification' | 'multi_label_classification';

/** The class that cross entropy passes over, as `torch.nn.CrossEntropyLoss` does. */
const IGNORED = -100;

/**
 * The loss of `Dinov2ForImageClassification` of transformers: mean squared error, cross entropy, or binary cross entropy on logits,
 * averaged. Without a problem type: regression for one label, cross entropy for whole-number labels, else binary cross entropy.
 * @param logits (batch, num_labels)
 * @param labels (batch) classes for cross entropy, else (batch, num_labels), or (batch) where there is one label; plain numbers in that order, which
 * without a problem type are classes where there are several
 * @returns a scalar, computed in float64
 * @throws {ShapeError} {ArgumentError} naming the labels
 */
export function classificationLoss(logits: Float32, labels: Tensor | readonly number[], problem: ProblemType | null): Float32 {
  const [batch, classes] = logits.dims as [number, number];
  const kind = problem ?? infer(classes, labels);
  const target = labels instanceof Tensor ? labels : fromNumbers(labels, logits.dims);
  const value =
    kind === 'regression'
      ? squaredError(logits, target)
      : kind === 'single_label_classification'
        ? crossEntropy(logits, target, batch, classes)
        : binaryCrossEntropy(logits, target);
  return new Tensor('float32', [value], []);
}

function fromNumbers(labels: readonly number[], [batch, classes]: readonly number[]): Tensor {
  if (!Array.isArray(labels)) throw new ArgumentError(`labels: expected a Tensor or an array of numbers, found ${typeof labels}`);
  const dims = labels.length === batch ? [batch] : [labels.length / (classes as number), classes as number];
  if (!Number.isInteger(dims[0])) throw new ShapeError(`labels: expected ${batch}, or ${classes} for each, found ${labels.length}`);
  return new Tensor('float32', labels, dims);
}

function infer(classes: number, labels: Tensor | readonly number[]): ProblemType {
  if (classes === 1) return 'regression';
  const whole = !(labels instanceof Tensor) || labels.dtype === 'int64' || labels.dtype === 'int32';
  return whole ? 'single_label_classification' : 'multi_label_classification';
}

function squaredError(logits: Float32, labels: Tensor): number {
  const truth = oneEach(logits, labels);
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
  const truth = oneEach(logits, labels);
  // max(x, 0) - x y + log(1 + e^-|x|), which neither overflows nor cancels
  return meanOf(logits.data, (x, i) => Math.max(x, 0) - x * (truth[i] as number) + Math.log1p(Math.exp(-Math.abs(x))));
}

/** The labels that stand for the logits one by one; with a single class they may lack its dimension. */
function oneEach(logits: Float32, labels: Tensor): Float32Array {
  const squeezed = logits.dims[1] === 1 && labels.dims.length === 1;
  if (String(squeezed ? [...labels.dims, 1] : labels.dims) !== String(logits.dims)) {
    throw new ShapeError(`labels: expected as logits [${logits.dims}], found [${labels.dims}]`);
  }
  return labels.to('float32').data;
}

function meanOf(values: Float32Array, f: (x: number, i: number) => number): number {
  return values.reduce((sum, x, i) => sum + f(x, i), 0) / values.length;
}
