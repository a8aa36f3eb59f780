import { ArgumentError } from '../errors.ts';
import { jsonFile, writeFiles } from '../files/output.ts';
import { fileSystem } from '../files/source.ts';
import { AutoImageProcessor, AutoModelForImageClassification } from '../index.ts';
import {
  type Evaluation,
  evaluate,
  type FeatureClassifier,
  type FittedProbe,
  fitLinearProbe,
  KnnClassifier,
  type LinearProbe,
  loadFeatureClassifier,
} from '../tasks/index.ts';
import { argmax, type Float32, Tensor } from '../tensor/index.ts';
import { forEachImage, type ModelChoice, type ModelSetup, setUpModel } from './batch.ts';
import { checkFits, type FrozenEncoder, openEncoder } from './frozen.ts';
import { findLabelledFolders, type LabelledFolder } from './images.ts';
import { showProgress } from './progress.ts';
import { orHostError } from './results.ts';
import { lineOf, Pipe, type Terminal } from './terminal.ts';

export const CLASSIFIERS = ['linear', 'knn'] as const;

export interface FitProbeOptions extends ModelChoice {
  /** The .safetensors file for the classifier; or a folder for a whole model, the encoder with a linear classifier. */
  readonly output: string;
  /** What is fitted: a linear layer, or nothing, the features themselves being kept. Default linear. */
  readonly classifier?: (typeof CLASSIFIERS)[number];
  /** Of the linear layer: see `fitLinearProbe`. Default by cross-validation. */
  readonly regularization?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Neighbours that vote. Default 20. */
  readonly k?: number;
  readonly json?: boolean;
}

export interface TestProbeOptions extends ModelChoice {
  /** The file that {@link fitProbe} has written. */
  readonly head: string;
  readonly json?: boolean;
  /** A .json file for the result. */
  readonly output?: string;
}

/**
 * `dinov2 probe fit`: a classifier from a folder of a folder of images for each class.
 * @returns how many images and folders could not be used
 * @throws what keeps it from working at all; the reason of `terminal.signal`
 */
export async function fitProbe(folder: string, options: FitProbeOptions, terminal: Terminal): Promise<number> {
  const { output, classifier: kind = 'linear', json = false } = options;
  const isWhole = !output.endsWith('.safetensors');
  if (isWhole && kind === 'knn')
    throw new ArgumentError(`${output}: expected the name of a .safetensors file for nearest neighbours, found another`);
  await checkWritable(isWhole ? fileSystem().join(output, 'model.safetensors') : output);
  const { classes, problems } = await findLabelledFolders(folder, options);
  if (classes.length < 2) throw new ArgumentError(`${folder}: expected folders of two classes at least, found ${classes.length}`);
  const labels = classes.map(({ label }) => label);
  const setup = await setUpModel(options, terminal);
  const encoder = await openEncoder(setup, { pooling: kind === 'linear' ? 'both' : 'cls' });
  const { features, truth, failures } = await collect(classes, encoder, terminal).finally(() => encoder.dispose());

  const fitted = kind === 'linear' ? await fitLinear(features, truth, labels, options, terminal) : undefined;
  const classifier = fitted?.probe ?? new KnnClassifier(features, truth, labels, { ...(options.k && { k: options.k }) });
  await orHostError(output, isWhole ? saveWhole(output, classifier as LinearProbe, setup) : classifier.save(output));
  const counts = labels.map((label, k) => ({ label, images: truth.filter((number) => number === k).length }));
  const report = { output, classes: counts, width: classifier.width, ...(fitted && validationOf(fitted)) };
  const text = `${textOfFit(report, classifier)}\n`;
  await new Pipe(terminal.stdout).write(json ? `${JSON.stringify(report, null, 2)}\n` : text);
  return tell([...problems.map((problem) => lineOf(problem)), ...failures], terminal);
}

/**
 * `dinov2 probe test`: how well a classifier does on a folder of a folder of images for each class.
 * @returns how many images and folders could not be used
 * @throws what keeps it from working at all; the reason of `terminal.signal`
 */
export async function testProbe(folder: string, options: TestProbeOptions, terminal: Terminal): Promise<number> {
  const { head, json = false, output } = options;
  if (output !== undefined) await checkWritable(output);
  const classifier = await loadFeatureClassifier(head);
  const { classes, problems } = await findLabelledFolders(folder, options);
  const unknown = classes.find(({ label }) => !classifier.labels.includes(label));
  if (unknown) {
    throw new ArgumentError(
      `${folder}: expected folders named as the classes of ${head}, ${classifier.labels.join(', ')}, found "${unknown.label}"`,
    );
  }
  const encoder = await openEncoder(await setUpModel(options, terminal), { pooling: classifier.pooling });
  await checkFits(head, classifier, encoder);
  const { features, truth, failures } = await collect(classes, encoder, terminal).finally(() => encoder.dispose());
  const labelOf = new Map(classes.map(({ label }, k) => [k, classifier.labels.indexOf(label)]));
  if (truth.length > 0) {
    const scores = classifier.scores(features);
    const found = truth.map((_, i) => argmax(scores.at(i)));
    const evaluation = evaluate(
      truth.map((k) => labelOf.get(k) as number),
      found,
      classifier.labels,
    );
    if (output !== undefined) await orHostError(output, writeFiles([jsonFile(output, evaluation)]));
    const text = json ? JSON.stringify(evaluation, null, 2) : textOfEvaluation(evaluation, truth.length);
    await new Pipe(terminal.stdout).write(`${text}\n`);
  }
  return tell([...problems.map((problem) => lineOf(problem)), ...failures], terminal);
}

/** The encoder and the classifier as one model, with its image processor: what `--model` takes. */
async function saveWhole(folder: string, probe: LinearProbe, { source, loading }: ModelSetup): Promise<void> {
  const id2label = Object.fromEntries(probe.labels.entries());
  const head = { 'head.safetensors': await probe.toBytes() };
  const model = await AutoModelForImageClassification.from_pretrained(source, { ...loading, head, config: { id2label } });
  try {
    await model.save_pretrained(folder, { processor: await AutoImageProcessor.from_pretrained(source) });
  } finally {
    model.dispose();
  }
}

interface Collected {
  /** (pictures, width) */
  readonly features: Float32;
  /** Of each picture, the number of its class. */
  readonly truth: number[];
  /** A line for each image that could not be used. */
  readonly failures: string[];
}

/** The features of all images. Those that cannot be read are left out. */
async function collect(classes: readonly LabelledFolder[], encoder: FrozenEncoder, { stderr, signal }: Terminal): Promise<Collected> {
  const classOf = new Map(classes.flatMap(({ images }, k) => images.map((image) => [image, k] as const)));
  const rows: Float32[] = [];
  const truth: number[] = [];
  const failures: string[] = [];
  const progress = showProgress(classOf.size, stderr, { bar: stderr.isTTY === true });
  await forEachImage([...classOf.keys()], {
    ahead: encoder.ahead,
    prepare: (image) => encoder.prepare(image),
    async work(image, pixel_values) {
      rows.push(await encoder.encode(pixel_values));
      truth.push(classOf.get(image) as number);
    },
    signal,
    onFailure: (image, error) => failures.push(lineOf(error, image)),
    onDone: () => progress.step(),
  }).finally(() => progress.stop());
  const features = new Tensor('float32', new Float32Array(rows.length * encoder.width), [rows.length, encoder.width]);
  for (const [i, row] of rows.entries()) features.at(i).data.set(row.data);
  return { features, truth, failures };
}

async function fitLinear(
  features: Float32,
  truth: readonly number[],
  labels: readonly string[],
  { regularization, seed = 0 }: FitProbeOptions,
  { stderr, signal }: Terminal,
): Promise<FittedProbe> {
  const steps = 100;
  let done = 0;
  const progress = showProgress(steps, stderr, { bar: stderr.isTTY === true, unit: '% of the fit at most' });
  try {
    return await fitLinearProbe(features, truth, labels, {
      ...(regularization !== undefined && { regularization }),
      seed,
      signal,
      progress_callback: ({ progress: part }) => {
        for (; done < Math.floor(part * steps); done++) progress.step();
      },
    });
  } finally {
    progress.stop();
  }
}

/** Writes what was left out. @returns how much it was */
function tell(lines: readonly string[], { stderr }: Terminal): number {
  for (const line of lines) stderr.write(line);
  return lines.length;
}

/** Before long work: that its result can be written. @throws {ArgumentError} {HostError} */
async function checkWritable(path: string): Promise<void> {
  const files = fileSystem();
  if ((await files.kind(path)) === 'folder') throw new ArgumentError(`${path}: expected the name of a file to write, found a folder`);
  await orHostError(
    path,
    files.create(path).then((writer) => writer.abort()),
  );
}

interface FitReport extends Partial<ReturnType<typeof validationOf>> {
  readonly output: string;
  readonly classes: readonly { readonly label: string; readonly images: number }[];
  readonly width: number;
}

function validationOf({ regularization, validations, isConverged }: FittedProbe) {
  return { regularization, isConverged, validations };
}

function textOfFit(
  { output, classes, width, regularization, validations = [], isConverged = true }: FitReport,
  classifier: FeatureClassifier,
): string {
  const images = classes.reduce((sum, one) => sum + one.images, 0);
  const chosen = validations.find((one) => one.regularization === regularization);
  return [
    `${images} images of ${classes.length} classes, features of ${width} numbers`,
    ...(classifier instanceof KnnClassifier ? [`nearest neighbours: ${classifier.k} vote`] : []),
    ...(regularization === undefined
      ? []
      : [`linear layer: regularization ${regularization}${chosen ? `, the best of ${validations.length} tried` : ''}`]),
    ...(chosen ? [`cross-validation: ${percent(chosen.accuracy)} right, cross entropy ${chosen.loss.toFixed(3)}`] : []),
    ...(isConverged ? [] : ['the weights have not settled: give more regularization']),
    `written to ${output}`,
  ].join('\n');
}

/** Classes beyond which a table would not fit a terminal. */
const MAX_COLUMNS = 20;
/** Mistakes that are listed in its place. */
const LISTED = 20;

function textOfEvaluation({ accuracy, balancedAccuracy, confusion, classes }: Evaluation, images: number): string {
  const width = Math.max(...classes.map(({ label }) => label.length), 'class'.length);
  const lines = [`${percent(accuracy)} of ${images} images are right; the mean over the classes is ${percent(balancedAccuracy)}`, ''];
  lines.push(`${'class'.padEnd(width)}  images   found  precision`);
  for (const { label, count, recall, precision } of classes) {
    lines.push(`${label.padEnd(width)}  ${String(count).padStart(6)} ${percent(recall).padStart(7)} ${percent(precision).padStart(10)}`);
  }
  lines.push('');
  if (classes.length > MAX_COLUMNS) return [...lines, ...mistakes(confusion, classes)].join('\n');
  const cell = Math.max(...confusion.flat().map((n) => String(n).length), String(classes.length).length) + 1;
  lines.push('what the images are, a row each, and what they were taken for, a column each');
  lines.push(`${' '.repeat(width + 4)}${classes.map((_, k) => String(k + 1).padStart(cell)).join('')}`);
  for (const [row, counts] of confusion.entries()) {
    const label = (classes[row] as { label: string }).label;
    lines.push(`${label.padEnd(width)} ${String(row + 1).padStart(3)}${counts.map((n) => (n || '.').toString().padStart(cell)).join('')}`);
  }
  return lines.join('\n');
}

/** The most frequent mistakes, a line each. */
function mistakes(confusion: Evaluation['confusion'], classes: Evaluation['classes']): string[] {
  const all = confusion.flatMap((counts, row) => counts.map((count, column) => ({ row, column, count })));
  const wrong = all.filter(({ row, column, count }) => row !== column && count > 0).sort((a, b) => b.count - a.count);
  const name = (k: number): string => classes[k]?.label as string;
  const listed = wrong
    .slice(0, LISTED)
    .map(({ row, column, count }) => `${String(count).padStart(4)}  ${name(row)} taken for ${name(column)}`);
  return wrong.length > LISTED ? [...listed, `      and ${wrong.length - LISTED} more pairs`] : listed;
}

function percent(part: number): string {
  return Number.isNaN(part) ? '-' : `${(part * 100).toFixed(1)} %`;
}
