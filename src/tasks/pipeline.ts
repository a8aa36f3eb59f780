import { Callable } from '../callable.ts';
import { ArgumentError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { ModelSource, Source } from '../files/source.ts';
import { openModel, splitOptions } from '../hub/source.ts';
import { DPTImageProcessor, resizeDepth } from '../image/dptProcessor.ts';
import { PROCESSOR_FILE } from '../image/processing.ts';
import { AutoImageProcessor, type BitImageProcessor, type ProcessorOutput } from '../image/processor.ts';
import { type ImageInput, RawImage, READ_OPTIONS, type ReadOptions } from '../image/rawImage.ts';
import { type Limits, within } from '../limits.ts';
import {
  AutoModel,
  AutoModelForDepthEstimation,
  AutoModelForImageClassification,
  AutoModelForSemanticSegmentation,
} from '../models/auto.ts';
import type { Dinov2Config } from '../models/config.ts';
import type { DepthEstimatorOutput } from '../models/depth.ts';
import type { Dinov2ForImageClassification, Dinov2Model } from '../models/dinov2.ts';
import type { FromPretrainedOptions, ModelInputs } from '../models/pretrained.ts';
import { processorFor } from '../models/processors.ts';
import type { SegmentOptions } from '../models/segmenting.ts';
import { checkOptions } from '../options.ts';
import type { Float32, Tensor } from '../tensor/index.ts';
import { type Classification, classify } from './classify.ts';
import { depthImage } from './depth.ts';
import { maskOf, segmentsOf } from './segmentation.ts';

/** What every call of a pipeline takes: how images are read; its `signal` and `limits.seconds` stop the model too, between two of its blocks. */
export type PipelineCallOptions = ReadOptions;

export interface FeatureExtractionOptions extends PipelineCallOptions {
  /** Whether to give the class tokens alone. Default false. */
  pool?: boolean | null;
}

export interface ClassificationOptions extends PipelineCallOptions {
  /** How many labels; null or 0 for all. Default 5. */
  top_k?: number | null;
}

export interface DepthEstimation {
  /** (height, width) of the image as it was read: metres, or relative depth, which is larger where it is nearer. */
  predicted_depth: Float32;
  /** The same as a grey picture, from the lowest value, black, to the highest, white. */
  depth: RawImage;
}

/** An image gives a result, an array of images an array of results. */
interface OneOrMany<Options, Result> {
  (image: ImageInput, options?: Options): Promise<Result>;
  (images: readonly ImageInput[], options?: Options): Promise<Result[]>;
}

interface Parts<Model, Processor> {
  task: string;
  model: Model;
  processor: Processor;
}

/** A model, and the image processor that makes its inputs. */
abstract class Pipeline<Model extends { dispose(): void }, Processor extends { readonly limits: Limits }> extends Callable<never, unknown> {
  readonly task: string;
  readonly model: Model;
  readonly processor: Processor;

  constructor({ task, model, processor }: Parts<Model, Processor>) {
    super();
    this.task = task;
    this.model = model;
    this.processor = processor;
  }

  /** Gives back the memory of the model. */
  async dispose(): Promise<void> {
    this.model.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /**
   * Does the work of a call on one image, or several that are one batch, within its time: given the options of reading images, and those of the
   * model.
   * @param own options of the call beside those of reading
   * @throws {ArgumentError} naming an option that is none
   */
  protected async run<T extends PipelineCallOptions, R>(
    options: T,
    own: readonly (keyof T & string)[],
    work: (reading: ReadOptions, running: { signal?: AbortSignal }) => Promise<R>,
  ): Promise<R> {
    checkOptions(this.task, options, [...own, ...READ_OPTIONS]);
    const { exifOrientation, decode, limits = this.processor.limits, signal } = options;
    return within(this.task, { limits, signal }, (late) =>
      work({ exifOrientation, decode, limits, signal: late }, late ? { signal: late } : {}),
    );
  }
}

/** {@link Pipeline} as the base of a class whose instances are called in this way. */
type Base<Model extends { dispose(): void }, Processor extends { readonly limits: Limits }, Call> = abstract new (
  parts: Parts<Model, Processor>,
) => Pipeline<Model, Processor> & Call;

async function eachOf<T>(images: ImageInput | readonly ImageInput[], work: (image: ImageInput) => Promise<T>): Promise<T | T[]> {
  if (!Array.isArray(images)) return work(images as ImageInput);
  const results: T[] = [];
  for (const image of images) results.push(await work(image));
  return results;
}

const FeatureExtractionBase = Pipeline as Base<
  Dinov2Model,
  BitImageProcessor,
  (images: ImageInput | readonly ImageInput[], options?: FeatureExtractionOptions) => Promise<Float32>
>;

/**
 * `pipeline('image-feature-extraction')`: the last hidden state (images, tokens, hidden), or with `pool` the class tokens (images, hidden); an
 * image alone is a batch of one, as in transformers.js.
 */
export class ImageFeatureExtractionPipeline extends FeatureExtractionBase {
  override async _call(images: ImageInput | readonly ImageInput[], options: FeatureExtractionOptions = {}): Promise<Float32> {
    return this.run(options, ['pool'], async (reading, running) => {
      const { pixel_values } = await this.processor(images, reading);
      const { last_hidden_state, pooler_output } = await this.model({ pixel_values }, running);
      return options.pool ? pooler_output : last_hidden_state;
    });
  }
}

const ClassificationBase = Pipeline as Base<
  Dinov2ForImageClassification,
  BitImageProcessor,
  OneOrMany<ClassificationOptions, Classification[]>
>;

/** `pipeline('image-classification')`: the labels with the highest scores, best first. */
export class ImageClassificationPipeline extends ClassificationBase {
  override async _call(images: ImageInput | readonly ImageInput[], options: ClassificationOptions = {}): Promise<unknown> {
    const { top_k = 5 } = options;
    return eachOf(images, (image) =>
      this.run(options, ['top_k'], async (reading, running) => {
        const { pixel_values } = await this.processor(image, reading);
        const { logits } = await this.model({ pixel_values }, running);
        const [labels = []] = classify(logits, this.model.config, { topK: top_k || this.model.config.num_labels });
        return labels;
      }),
    );
  }
}

/** What the depth pipeline needs of a model. */
export interface DepthModel {
  (inputs: ModelInputs, options?: { signal?: AbortSignal }): Promise<DepthEstimatorOutput>;
  readonly config: object;
  dispose(): void;
}

const DepthBase = Pipeline as Base<DepthModel, BitImageProcessor | DPTImageProcessor, OneOrMany<PipelineCallOptions, DepthEstimation>>;

/** Pixels of the shorter edge to which larger images are scaled for heads that take images as they are. */
const LARGEST = 518;

/**
 * `pipeline('depth-estimation')`: the depth at the size of the image. It is brought to that size by bicubic interpolation, as transformers
 * does, where transformers.js takes bilinear; images of different sizes may be given together; and an array of one gives an array of one.
 * Heads of facebookresearch/dinov2 (the option `head`) are given the whole image as it is, scaled down only where its shorter edge has more
 * than 518 pixels.
 */
export class DepthEstimationPipeline extends DepthBase {
  override async _call(images: ImageInput | readonly ImageInput[], options: PipelineCallOptions = {}): Promise<unknown> {
    return eachOf(images, (image) =>
      this.run(options, [], async (reading, running): Promise<DepthEstimation> => {
        const { pixel_values, original_sizes } = await this.#inputs(image, reading);
        const outputs = await this.model({ pixel_values }, running);
        const predicted_depth = resizeDepth(outputs.predicted_depth.at(0), original_sizes[0] as [number, number]);
        return { predicted_depth, depth: depthImage(predicted_depth) };
      }),
    );
  }

  async #inputs(image: ImageInput, reading: ReadOptions): Promise<ProcessorOutput> {
    if (this.processor instanceof DPTImageProcessor) return this.processor(image, reading);
    const picture = await RawImage.read(image, reading);
    const do_resize = Math.min(...picture.size) > LARGEST;
    return this.processor(picture, { limits: reading.limits, do_resize, size: { shortest_edge: LARGEST }, do_center_crop: false });
  }
}

export interface SegmentationOptions extends PipelineCallOptions, Omit<SegmentOptions, 'target_size' | 'scores' | 'signal'> {
  /** Only `semantic` segmentation there is. */
  subtask?: 'semantic' | null;
  /** [height, width] of the masks, as an array for the one image. Default the size of the image. */
  target_sizes?: readonly (readonly [height: number, width: number])[] | null;
  /** This and the three below are for instance segmentation in transformers.js: without effect here. */
  threshold?: number;
  mask_threshold?: number;
  overlap_mask_area_threshold?: number;
  label_ids_to_fuse?: readonly number[] | null;
}

/** A label that is in an image, and where. */
export interface ImageSegmentation {
  label: string;
  /** null, as in transformers.js: semantic segmentation gives no score to a segment. */
  score: number | null;
  /** At the size of the image, one channel: 255 where the label is, 0 elsewhere. */
  mask: RawImage;
}

/** What the segmentation pipeline needs of a model. */
export interface SegmentationModel {
  readonly config: { readonly id2label: Readonly<Record<number, string>> };
  /** pixel_values (1, channels, height, width) -> the label of each pixel */
  segment(inputs: ModelInputs, options?: SegmentOptions): Promise<{ segmentation: Tensor<'int32'> }[]>;
  dispose(): void;
}

const SegmentationBase = Pipeline as Base<SegmentationModel, BitImageProcessor, OneOrMany<SegmentationOptions, ImageSegmentation[]>>;

const SLIDING: readonly (keyof SegmentationOptions)[] = ['size', 'window', 'stride', 'scales', 'flip', 'progress_callback'];
const OF_TRANSFORMERS: readonly (keyof SegmentationOptions)[] = [
  ...(['subtask', 'target_sizes', 'threshold', 'mask_threshold', 'overlap_mask_area_threshold', 'label_ids_to_fuse'] as const),
];

/**
 * `pipeline('image-segmentation', encoder, { head })`: for each label that is in the image, its mask at the size of the image, in the order
 * of the labels. The image is seen by windows that slide over it; their size, scales and mirror images are options, as in
 * `Dinov2ForSemanticSegmentation.segment`. Unlike in transformers.js several images can be given, each with its result.
 */
export class ImageSegmentationPipeline extends SegmentationBase {
  override async _call(images: ImageInput | readonly ImageInput[], options: SegmentationOptions = {}): Promise<unknown> {
    const { id2label } = this.model.config;
    return eachOf(images, async (image): Promise<ImageSegmentation[]> => {
      const segmentation = await this.segment(image, options);
      return segmentsOf(segmentation, id2label).map(({ id, label }) => ({ label, score: null, mask: maskOf(segmentation, id) }));
    });
  }

  /** The number of the label of each pixel of an image: (height, width). Throws as a call. */
  async segment(image: ImageInput, options: SegmentationOptions = {}): Promise<Tensor<'int32'>> {
    const { subtask = 'semantic', target_sizes } = options;
    if (subtask !== 'semantic' && subtask !== null) throw new ArgumentError(`subtask: expected "semantic", found ${describe(subtask)}`);
    const own = Object.fromEntries(SLIDING.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]));
    const target_size = target_sizes?.[0];
    return this.run(options, [...SLIDING, ...OF_TRANSFORMERS], async (reading, running) => {
      const { pixel_values } = await this.processor(image, { ...reading, do_resize: false, do_center_crop: false });
      const results = await this.model.segment({ pixel_values }, { ...own, ...running, ...(target_size && { target_size }) });
      return (results[0] as { segmentation: Tensor<'int32'> }).segmentation;
    });
  }
}

/** The pipelines by their tasks. */
export interface Pipelines {
  'image-feature-extraction': ImageFeatureExtractionPipeline;
  'image-classification': ImageClassificationPipeline;
  'depth-estimation': DepthEstimationPipeline;
  'image-segmentation': ImageSegmentationPipeline;
}

/** A model that sees the middle of a picture, or all of it as it is, and its image processor. */
type Opened<Model> = Omit<Parts<Model, BitImageProcessor>, 'task'>;

type Open<T> = (source: Source, options: FromPretrainedOptions) => Promise<T>;

const OPEN: { readonly [Task in keyof Pipelines]: Open<Pipelines[Task]> } = {
  async 'image-feature-extraction'(source, options) {
    const parts = await partsOf(source, await AutoModel.from_pretrained(source, options));
    return new ImageFeatureExtractionPipeline({ task: 'image-feature-extraction', ...(parts as Opened<Dinov2Model>) });
  },
  async 'image-classification'(source, options) {
    const parts = await partsOf(source, await AutoModelForImageClassification.from_pretrained(source, options));
    return new ImageClassificationPipeline({
      task: 'image-classification',
      ...(parts as Opened<Dinov2ForImageClassification>),
    });
  },
  async 'depth-estimation'(source, options) {
    const parts = await partsOf(source, await AutoModelForDepthEstimation.from_pretrained(source, options));
    return new DepthEstimationPipeline({ task: 'depth-estimation', ...parts });
  },
  async 'image-segmentation'(source, options) {
    const parts = await partsOf(source, await AutoModelForSemanticSegmentation.from_pretrained(source, options));
    return new ImageSegmentationPipeline({ task: 'image-segmentation', ...(parts as Opened<SegmentationModel>) });
  },
};

/** The model with its image processor: that of preprocessor_config.json, or without one that with which such models were released. */
async function partsOf<Model extends { readonly config: Dinov2Config; dispose(): void }>(
  source: Source,
  model: Model,
): Promise<Omit<Parts<Model, BitImageProcessor | DPTImageProcessor>, 'task'>> {
  try {
    const isThere = await source.has(PROCESSOR_FILE);
    const { limits } = source;
    return { model, processor: isThere ? await AutoImageProcessor.from_pretrained(source) : processorFor(model.config, { limits }) };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/**
 * From an image to a result, as in transformers.js: `const classifier = await pipeline('image-classification', folder)`, then `await
 * classifier('cat.png')`. What is called gives an array for an array, and has `dispose`.
 * @param model a folder or files, as `from_pretrained` takes them; there is no default
 * @param options those of `from_pretrained`
 * @throws {ArgumentError} on an unknown task; as `from_pretrained`
 */
export async function pipeline<Task extends keyof Pipelines>(
  task: Task,
  model: ModelSource,
  options: FromPretrainedOptions = {},
): Promise<Pipelines[Task]> {
  if (!Object.hasOwn(OPEN, task)) throw new ArgumentError(`task: expected one of ${Object.keys(OPEN).join(', ')}, found ${describe(task)}`);
  if (model == null)
    throw new ArgumentError('model: expected the folder of a model, or its files by name, found none: there is no default');
  return OPEN[task](await openModel(model, splitOptions(options).hub), options);
}
