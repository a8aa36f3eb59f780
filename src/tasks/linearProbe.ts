import { host } from '#host';
import type { NamedTensor } from '../checkpoint/safetensors.ts';
import { ArgumentError } from '../errors.ts';
import type { ModelSource } from '../files/source.ts';
import { checkOptions } from '../options.ts';
import { type Float32, linear, softmax, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import type { Pooling } from './embed.ts';
import {
  checkLabelled,
  encodeFeatureClassifier,
  type FeatureClassifier,
  type LabelledFeatures,
  saveFeatureClassifier,
  withSavedClassifier,
} from './featureClassifier.ts';
import { stratifiedFolds } from './folds.ts';
import { type Minimum, minimize } from './lbfgs.ts';
import { logisticObjective, logProbabilities, type Parameters, type Samples } from './logistic.ts';

/** The names that Dinov2ForImageClassification has for them. */
const WEIGHT = 'classifier.weight';
const BIAS = 'classifier.bias';

/**
 * A linear classifier on [class token, mean of the patch tokens]: the head of Dinov2ForImageClassification, with its names, on a frozen
 * encoder from elsewhere.
 */
export class LinearProbe implements FeatureClassifier {
  readonly pooling: Pooling = 'both';
  /** (labels, width) */
  readonly weight: Float32;
  /** (labels) */
  readonly bias: Float32;
  readonly labels: readonly string[];

  /** @throws {ShapeError} {DTypeError} {ArgumentError} when they do not go together */
  constructor(weight: Tensor, bias: Tensor, labels: readonly string[]) {
    checkDims('weight', [labels.length, -1], weight.dims);
    checkDims('bias', [labels.length], bias.dims);
    this.weight = weight.to('float32');
    this.bias = bias.to('float32');
    this.labels = [...labels];
  }

  get width(): number {
    return this.weight.dims[1] as number;
  }

  /** Features (batch, width) -> (batch, labels). @throws {ShapeError} {DTypeError} */
  logits(features: Tensor): Float32 {
    checkDims('features', [-1, this.width], features.dims);
    return linear(features, this.weight, this.bias);
  }

  scores(features: Tensor): Float32 {
    return softmax(this.logits(features));
  }

  save(path: string): Promise<void> {
    return saveFeatureClassifier(path, this.#tensors, { labels: this.labels });
  }

  /** What {@link save} writes: for the option `head` of `from_pretrained`, with which a probe becomes the classifier of a model. */
  toBytes(): Promise<Uint8Array> {
    return encodeFeatureClassifier(this.#tensors, { labels: this.labels });
  }

  /**
   * What {@link save} has written, or the classifier of any checkpoint; without names its labels are LABEL_0, LABEL_1, ...
   * @throws {NotFoundError} when there is no such file, {CheckpointError} when it is another or damaged
   */
  static async load(source: ModelSource): Promise<LinearProbe> {
    return withSavedClassifier(source, async ({ labels, read }) => {
      const weight = await read(WEIGHT, [labels?.length ?? -1, -1]);
      const [count] = weight.dims as [number, number];
      const names = labels ?? Array.from({ length: count }, (_, i) => `LABEL_${i}`);
      return new LinearProbe(weight, await read(BIAS, [count]), names);
    });
  }

  get #tensors(): NamedTensor[] {
    return Object.entries({ [WEIGHT]: this.weight, [BIAS]: this.bias }).map(([name, { dtype, dims, data }]) => ({
      name,
      dtype,
      dims,
      data,
    }));
  }
}

export interface FitProgress {
  /** The regularization that is tried, or at last fitted with. */
  readonly regularization: number;
  /** Part of the work that is done at most, 0 to 1: it may end earlier. */
  readonly progress: number;
}

export interface FitOptions {
  /**
   * How much the weights are held back: the factor of half the squared length of the weights, for features of deviation 1, beside the mean
   * cross entropy. One number, or several of which cross-validation chooses. Default 10, 3, 1, ... 0.0001.
   */
  regularization?: number | readonly number[];
  /** Parts for cross-validation. Default 5, or as many as the smallest class has pictures. */
  folds?: number;
  /** For how pictures are dealt out to the folds. Default 0. */
  seed?: number;
  progress_callback?: (progress: FitProgress) => void;
  /** Stops the work. */
  signal?: AbortSignal;
}

/** How one regularization did on pictures that the fit had not seen. */
export interface Validation {
  readonly regularization: number;
  /** 0 to 1. */
  readonly accuracy: number;
  /** Mean cross entropy. */
  readonly loss: number;
}

export interface FittedProbe {
  readonly probe: LinearProbe;
  readonly regularization: number;
  /** Of each regularization that was tried; empty where one was given. */
  readonly validations: readonly Validation[];
  /** Whether the weights are at the minimum. They may not be where so little holds them back that they grow without end. */
  readonly isConverged: boolean;
}

const REGULARIZATIONS: readonly number[] = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001];
const MAX_FOLDS = 5;
/** Values after the best at which the search ends: the loss has one valley. */
const PATIENCE = 2;
/** Of the gradient: enough to compare regularizations, and for the result. */
const ROUGH = 1e-4;
const FINE = 1e-6;

/**
 * Fits a linear classifier to features: multinomial logistic regression with L2 regularization, by L-BFGS in float64. Features are
 * standardised for it, and the weights say so afterwards: the probe takes features as they are. The regularization is the one with the
 * smallest cross entropy over the folds of a stratified cross-validation, unless it is given. The same features, options and seed give
 * the same probe.
 * @param features (pictures, width): [class token, mean of the patch tokens], as `embed(..., { pooling: 'both' })` gives them
 * @param classes of each picture, from 0
 * @param labels names of the classes, two at least
 * @throws {ShapeError} {DTypeError} {ArgumentError}; the signal's reason
 */
export async function fitLinearProbe(
  features: Tensor,
  classes: ArrayLike<number>,
  labels: readonly string[],
  options: FitOptions = {},
): Promise<FittedProbe> {
  checkOptions('fitLinearProbe', options, ['regularization', 'folds', 'seed', 'progress_callback', 'signal']);
  const { regularization: given = REGULARIZATIONS, seed = 0, progress_callback: report, signal } = options;
  const labelled = checkLabelled(features, classes, labels);
  const candidates = checkCandidates(given);
  const counts = countClasses(labelled);
  const { samples, unfold } = standardise(labelled);
  const work = new Work(samples, candidates, report, signal);

  const validations: Validation[] = [];
  let regularization = candidates[0] as number;
  if (candidates.length > 1) {
    const folds = stratifiedFolds(labelled.classes, checkFolds(options.folds, counts, labels), seed);
    validations.push(...(await work.validate(folds)));
    regularization = validations.reduce((best, one) => (one.loss < best.loss ? one : best)).regularization;
  }
  const all = labelled.classes.map((_, row) => row);
  const { x, isConverged } = await work.fit(all, regularization, { tolerance: FINE });
  return { probe: unfold(x), regularization, validations, isConverged };
}

/** The fits of one call, in the order in which they are made. */
class Work {
  readonly #samples: Samples;
  readonly #candidates: readonly number[];
  readonly #report: ((progress: FitProgress) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  #progress = 0;

  constructor(
    samples: Samples,
    candidates: readonly number[],
    report: ((progress: FitProgress) => void) | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#samples = samples;
    this.#candidates = candidates;
    this.#report = report;
    this.#signal = signal;
  }

  /** Each fold in turn is held back. The largest regularization comes first, and where a fit ended the next one starts. */
  async validate(folds: readonly (readonly number[])[]): Promise<Validation[]> {
    const states = folds.map((held) => {
      const isHeld = new Set(held);
      return { held, rows: Array.from(this.#samples.classes, (_, row) => row).filter((row) => !isHeld.has(row)), start: this.#zeros() };
    });
    const validations: Validation[] = [];
    let best = 0;
    for (const regularization of this.#candidates) {
      let [loss, right] = [0, 0];
      for (const [i, state] of states.entries()) {
        this.#progress = (validations.length + i / states.length) / (this.#candidates.length + 1);
        state.start = (await this.fit(state.rows, regularization, { tolerance: ROUGH, start: state.start })).x;
        const judged = this.#judge(state.held, state.start);
        loss += judged.loss;
        right += judged.right;
      }
      const count = this.#samples.classes.length;
      validations.push({ regularization, accuracy: right / count, loss: loss / count });
      if (loss / count < (validations[best] as Validation).loss) best = validations.length - 1;
      if (validations.length - 1 - best >= PATIENCE) break;
    }
    this.#progress = this.#candidates.length / (this.#candidates.length + 1);
    return validations;
  }

  async fit(
    rows: readonly number[],
    regularization: number,
    { tolerance, start = this.#zeros() }: { tolerance: number; start?: Parameters },
  ): Promise<Minimum> {
    this.#signal?.throwIfAborted();
    this.#report?.({ regularization, progress: this.#progress });
    return minimize(logisticObjective(this.#samples, rows, regularization), {
      start,
      tolerance,
      onIteration: async () => {
        await host.pause();
        this.#signal?.throwIfAborted();
      },
    });
  }

  /** The sum of the cross entropy of rows, and how many of them are classified right. */
  #judge(rows: readonly number[], parameters: Parameters): { loss: number; right: number } {
    const logs = new Float64Array(this.#samples.count);
    let [loss, right] = [0, 0];
    for (const row of rows) {
      logProbabilities(this.#samples, row, parameters, logs);
      const truth = this.#samples.classes[row] as number;
      loss -= logs[truth] as number;
      right += Number(logs.every((log, k) => k === truth || log < (logs[truth] as number)));
    }
    return { loss, right };
  }

  #zeros(): Parameters {
    return new Float64Array(this.#samples.count * (this.#samples.width + 1));
  }
}

/** A deviation so small beside the mean is rounding of float32, and the feature the same for all. */
const CONSTANT = 2 ** -22;

/** Features of mean 0 and deviation 1 (0, where they are all the same), and how parameters for them become those for the features. */
function standardise({ features, classes, labels }: LabelledFeatures): { samples: Samples; unfold(parameters: Parameters): LinearProbe } {
  const [rows, width] = features.dims as [number, number];
  const { data } = features;
  const means = new Float64Array(width);
  const variances = new Float64Array(width);
  for (let i = 0; i < data.length; i++) means[i % width] = (means[i % width] as number) + (data[i] as number) / rows;
  for (let i = 0; i < data.length; i++) {
    variances[i % width] = (variances[i % width] as number) + ((data[i] as number) - (means[i % width] as number)) ** 2 / rows;
  }
  const scales = variances.map((variance, i) => {
    const deviation = Math.sqrt(variance);
    return deviation > CONSTANT * Math.abs(means[i] as number) ? 1 / deviation : 0;
  });
  const x = data.map((value, i) => (value - (means[i % width] as number)) * (scales[i % width] as number));
  const count = labels.length;
  return {
    samples: { x, width, classes, count },
    unfold(parameters) {
      const weight = new Float32Array(count * width);
      const bias = new Float32Array(count);
      for (let k = 0; k < count; k++) {
        let shift = 0;
        for (let i = 0; i < width; i++) {
          const w = (parameters[k * width + i] as number) * (scales[i] as number);
          weight[k * width + i] = w;
          shift += w * (means[i] as number);
        }
        bias[k] = (parameters[count * width + k] as number) - shift;
      }
      return new LinearProbe(new Tensor('float32', weight, [count, width]), new Tensor('float32', bias, [count]), labels);
    },
  };
}

/** Pictures of each class. @throws {ArgumentError} unless each has one, and there are two */
function countClasses({ classes, labels }: LabelledFeatures): number[] {
  if (labels.length < 2) throw new ArgumentError(`labels: expected two classes at least, found ${labels.length}`);
  const counts = labels.map((_, k) => classes.filter((number) => number === k).length);
  const empty = counts.indexOf(0);
  if (empty !== -1) throw new ArgumentError(`class "${labels[empty]}": expected a picture at least, found none`);
  return counts;
}

/** From the largest to the smallest. */
function checkCandidates(given: number | readonly number[]): number[] {
  const candidates = Array.isArray(given) ? [...given] : [given];
  if (candidates.length === 0 || !candidates.every((value) => value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(`regularization: expected a number above 0, or several, found ${JSON.stringify(given)}`);
  }
  return candidates.sort((a, b) => b - a);
}

function checkFolds(folds: number | undefined, counts: readonly number[], labels: readonly string[]): number {
  const least = Math.min(...counts);
  if (least < 2) {
    const expected = 'two pictures at least, to try regularizations on one and fit them to the other';
    throw new ArgumentError(`class "${labels[counts.indexOf(least)]}": expected ${expected}, found ${least}: give one regularization`);
  }
  const number = folds ?? Math.min(MAX_FOLDS, least);
  if (!Number.isSafeInteger(number) || number < 2 || number > counts.reduce((sum, n) => sum + n, 0)) {
    throw new ArgumentError(`folds: expected an integer from 2 to the number of pictures, found ${folds}`);
  }
  return number;
}
