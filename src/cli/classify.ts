import type { ProcessorOutput } from '../image/processor.ts';
import { AutoModelForImageClassification } from '../index.ts';
import {
  type Classification,
  classify,
  classifyFeatures,
  isFeatureClassifier,
  labelScores,
  loadFeatureClassifier,
} from '../tasks/index.ts';
import type { Float32 } from '../tensor/index.ts';
import { type BatchOptions, type Job, runBatch, type Setup } from './batch.ts';
import { checkFits, openEncoder } from './frozen.ts';
import { readLabels } from './labels.ts';
import { FORMATS, type Result } from './results.ts';
import type { Terminal } from './terminal.ts';

export interface ClassifyOptions extends BatchOptions {
  /** Labels an image, in text and JSON; files of tensors have the scores of all. Default 5. */
  readonly top?: number;
  /** In place of the model's: a classifier that `dinov2 probe fit` has written, or a linear head of facebookresearch/dinov2. */
  readonly head?: string;
  /** A file with the names of the labels, in place of the model's. */
  readonly labels?: string;
}

/** `dinov2 classify`: the labels with the highest scores. See {@link runBatch}. */
export function classifyImages(inputs: readonly string[], options: ClassifyOptions, terminal: Terminal): Promise<number> {
  const { head } = options;
  return runBatch(inputs, options, terminal, {
    formats: FORMATS,
    open: async (setup) => {
      const isFitted = head !== undefined && (await isFeatureClassifier(head));
      return isFitted ? byHead(head, setup, options) : byModel(setup, options);
    },
  });
}

async function byModel({ source, loading, processor, reader }: Setup, { head, labels: file, top = 5 }: ClassifyOptions): Promise<Job> {
  const options = { ...loading, ...(await readLabels(file)), ...(head !== undefined && { head }) };
  const model = await AutoModelForImageClassification.from_pretrained(source, options);
  return {
    ahead: reader.ahead,
    prepare: (image) => reader.process(processor, image, { signal: loading.signal }),
    async run(image, { pixel_values }: ProcessorOutput) {
      const { logits } = await model({ pixel_values }, { signal: loading.signal });
      const [labels = []] = classify(logits, model.config, { topK: top });
      return resultOf(image, labels, labelScores(logits, model.config).at(0));
    },
    dispose: () => model.dispose(),
  };
}

async function byHead(head: string, setup: Setup, { top = 5 }: ClassifyOptions): Promise<Job> {
  const classifier = await loadFeatureClassifier(head);
  const encoder = await openEncoder(setup, { pooling: classifier.pooling });
  await checkFits(head, classifier, encoder);
  return {
    ahead: encoder.ahead,
    prepare: (image) => encoder.prepare(image),
    async run(image, pixel_values: Float32) {
      const features = await encoder.encode(pixel_values);
      const [labels = []] = classifyFeatures(classifier, features, { topK: top });
      return resultOf(image, labels, classifier.scores(features).at(0));
    },
    dispose: () => encoder.dispose(),
  };
}

/** @param tensor scores (labels) */
function resultOf(image: string, labels: readonly Classification[], tensor: Float32): Result {
  return { image, tensor, fields: () => ({ labels }), text: [image, ...labels.map(lineOfLabel)].join('\n') };
}

function lineOfLabel({ label, score }: Classification): string {
  return `  ${(score * 100).toFixed(1).padStart(5)} %  ${label}`;
}
