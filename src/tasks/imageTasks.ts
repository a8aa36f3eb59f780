import { ArgumentError } from '../errors.ts';
import { describe, shortest } from '../files/json.ts';
import type { ModelSource } from '../files/source.ts';
import { openModel, splitOptions } from '../hub/source.ts';
import { AutoImageProcessor, type BitImageProcessor } from '../image/processor.ts';
import type { ImageInput, ReadOptions } from '../image/rawImage.ts';
import type { ImageReader } from '../image/reader.ts';
import { AutoModel, AutoModelForImageClassification } from '../models/auto.ts';
import { AutoConfig, type Dinov2Config } from '../models/config.ts';
import type { FromPretrainedOptions } from '../models/pretrained.ts';
import { checkCount, checkOptions } from '../options.ts';
import type { Float32 } from '../tensor/index.ts';
import { type Classification, classify } from './classify.ts';
import { embed, POOLINGS, type Pooling } from './embed.ts';
import { classifyFeatures, type FeatureClassifier, isFeatureClassifier, loadFeatureClassifier } from './fitted.ts';

/** What can be asked about a picture. */
export const IMAGE_TASKS = ['embed', 'classify'] as const;

export type ImageTask = (typeof IMAGE_TASKS)[number];

export interface ImageTasksOptions extends FromPretrainedOptions, ReadOptions {
  /**
   * In place of the model's classifier: a file that a {@link FeatureClassifier} was saved to, as `dinov2 probe fit` does, or a linear head of
   * facebookresearch/dinov2.
   */
  head?: ModelSource;
  /** Reads pictures, in place of the processor with the options of reading here. */
  reader?: Pick<ImageReader, 'process'>;
}

/** For each task the options of a request. */
export interface ImageTaskRequests {
  /** What the embedding is: by default cls. */
  embed: { pooling?: Pooling };
  /** How many labels: by default 5. */
  classify: { top?: number };
}

/** For each task its result, as it goes into JSON. */
export interface ImageTaskResults {
  /** In the fewest digits that tell float32 numbers apart. */
  embed: { embedding: number[] };
  /** Best first. */
  classify: { labels: Classification[] };
}

export interface RunOptions {
  /** Stops the work between two blocks of the model. */
  signal?: AbortSignal | undefined;
}

const REQUEST_OPTIONS: { readonly [Task in ImageTask]: readonly (keyof ImageTaskRequests[Task])[] } = {
  embed: ['pooling'],
  classify: ['top'],
};

/**
 * From the bytes of a picture to a result, for what serves many: one model with its image processor, which gives embeddings and, where there
 * is a classifier, labels. Runs of the model go one after the other.
 */
export class ImageTasks {
  readonly #model: Model;
  readonly #processor: BitImageProcessor;
  readonly #classifier: FeatureClassifier | undefined;
  readonly #reader: Pick<ImageReader, 'process'>;

  private constructor(
    model: Model,
    processor: BitImageProcessor,
    classifier: FeatureClassifier | undefined,
    reader: Pick<ImageReader, 'process'>,
  ) {
    this.#model = model;
    this.#processor = processor;
    this.#classifier = classifier;
    this.#reader = reader;
  }

  /**
   * @param source as `from_pretrained` takes it. Its classifier is loaded when config.json says it has one (`architectures`).
   * @param options those of `from_pretrained` and of reading pictures, and `head`
   * @throws as `from_pretrained`; {ArgumentError} when the head was fitted to another model
   */
  static async open(source: ModelSource, options: ImageTasksOptions = {}): Promise<ImageTasks> {
    const { head, exifOrientation, decode, reader = inLine({ exifOrientation, decode, limits: options.limits }), ...loading } = options;
    const files = await openModel(source, splitOptions(loading).hub);
    const processor = await AutoImageProcessor.from_pretrained(files);
    const fitted = head !== undefined && (await isFeatureClassifier(head)) ? await loadFeatureClassifier(head) : undefined;
    const model = await (fitted ? openEncoder(files, loading) : openModelWith(head, files, loading));
    const { hidden_size } = model.config;
    const width = fitted?.pooling === 'both' ? 2 * hidden_size : hidden_size;
    if (!fitted || fitted.width === width) return new ImageTasks(model, processor, fitted, reader);
    model.dispose();
    throw new ArgumentError(`head: expected one fitted to features of ${width} numbers, as this model gives, found ${fitted.width}`);
  }

  get config(): Dinov2Config {
    return this.#model.config;
  }

  /** What can be asked: a model without a classifier only embeds. */
  get available(): readonly ImageTask[] {
    return this.#classifier || this.#model.classifies ? IMAGE_TASKS : ['embed'];
  }

  /** Bytes that the model has taken from the host. */
  get memory(): number {
    return this.#model.memory;
  }

  /**
   * Does what a request asks, of which anything may be wrong.
   * @throws {ArgumentError} naming what is wrong with the request; {ImageError} on a picture that cannot be read or is too large; the signal's
   * reason
   */
  async run<Task extends ImageTask>(
    task: Task,
    image: ImageInput,
    request: ImageTaskRequests[Task] = {},
    options: RunOptions = {},
  ): Promise<ImageTaskResults[Task]> {
    this.check(task, request);
    let result: ImageTaskResults[ImageTask];
    if (task === 'embed') {
      const vector = await this.embed(image, request as ImageTaskRequests['embed'], options);
      result = { embedding: Array.from(vector.data, shortest) };
    } else {
      const labels = await this.classify(image, request as ImageTaskRequests['classify'], options);
      result = { labels: labels.map(({ label, score }) => ({ label, score: shortest(score) })) };
    }
    return result as ImageTaskResults[Task];
  }

  /** Throws {@link ArgumentError} unless {@link run} takes such a request; before a picture is decoded. */
  check(task: ImageTask, request: object = {}): void {
    checkTask(task, request, this.available);
  }

  /** The embedding of a picture: (1, hidden), or (1, 2 hidden) for both. Throws as {@link run}. */
  async embed(image: ImageInput, { pooling = 'cls' }: ImageTaskRequests['embed'] = {}, options: RunOptions = {}): Promise<Float32> {
    return this.#pooled(await this.#see(image, options), pooling);
  }

  /** The labels of a picture with the highest scores, best first. Throws as {@link run}. */
  async classify(image: ImageInput, request: ImageTaskRequests['classify'] = {}, options: RunOptions = {}): Promise<Classification[]> {
    this.check('classify', request);
    const topK = request.top ?? 5;
    const seen = await this.#see(image, options);
    const [labels = []] = this.#classifier
      ? classifyFeatures(this.#classifier, this.#pooled(seen, this.#classifier.pooling), { topK })
      : classify(seen.logits as Float32, this.config, { topK });
    return labels;
  }

  /** Gives back the memory of the model. */
  dispose(): void {
    this.#model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #see(image: ImageInput, { signal }: RunOptions): Promise<Seen> {
    signal?.throwIfAborted();
    const { pixel_values } = await this.#reader.process(this.#processor, image, { signal });
    return this.#model.see(pixel_values, signal ? { signal } : {});
  }

  #pooled({ last_hidden_state }: Seen, pooling: Pooling): Float32 {
    return embed(last_hidden_state, { pooling, registers: this.config.registers });
  }
}

/** Throws {@link ArgumentError} unless it is one of the tasks that are available, and it takes such a request. */
export function checkTask(task: ImageTask, request: object, available: readonly ImageTask[]): void {
  if (!IMAGE_TASKS.includes(task)) throw new ArgumentError(`task: expected one of ${IMAGE_TASKS.join(', ')}, found ${describe(task)}`);
  if (!available.includes(task)) {
    throw new ArgumentError(`${task}: expected a model with a classifier, found an encoder alone: load it with a head, or load another`);
  }
  checkOptions(task, request, REQUEST_OPTIONS[task]);
  const { pooling, top } = request as ImageTaskRequests['embed'] & ImageTaskRequests['classify'];
  if (pooling !== undefined && !POOLINGS.includes(pooling)) {
    throw new ArgumentError(`pooling: expected one of ${POOLINGS.join(', ')}, found ${describe(pooling)}`);
  }
  if (top !== undefined) checkCount('top', top);
}

function inLine(reading: ReadOptions): Pick<ImageReader, 'process'> {
  return { process: (processor, image) => processor(image, reading as object) };
}

/** What a model makes of a picture. */
interface Seen {
  /** (1, tokens, hidden) */
  readonly last_hidden_state: Float32;
  /** (1, labels), of a model that classifies. */
  readonly logits?: Float32;
}

/** With a classifier or without. */
interface Model {
  readonly config: Dinov2Config;
  readonly classifies: boolean;
  readonly memory: number;
  see(pixel_values: Float32, options: { signal?: AbortSignal }): Promise<Seen>;
  dispose(): void;
}

async function openModelWith(head: ModelSource | undefined, source: ModelSource, loading: FromPretrainedOptions): Promise<Model> {
  const { architectures } = (await AutoConfig.from_pretrained(source, loading.config)).to_dict();
  const classifies = Array.isArray(architectures) && architectures.some((name) => String(name).endsWith('ForImageClassification'));
  if (head === undefined && !classifies) return openEncoder(source, loading);
  const model = await AutoModelForImageClassification.from_pretrained(source, { ...loading, ...(head !== undefined && { head }) });
  return modelOf(model, true, async (pixel_values, options) => {
    const { logits, last_hidden_state } = await model({ pixel_values }, { ...options, output_last_hidden_state: true });
    return { logits, last_hidden_state: last_hidden_state as Float32 };
  });
}

async function openEncoder(source: ModelSource, loading: FromPretrainedOptions): Promise<Model> {
  const model = await AutoModel.from_pretrained(source, loading);
  return modelOf(model, false, (pixel_values, options) => model({ pixel_values }, options));
}

function modelOf(model: Pick<Model, 'config' | 'memory' | 'dispose'>, classifies: boolean, see: Model['see']): Model {
  return {
    config: model.config,
    classifies,
    see,
    get memory() {
      return model.memory;
    },
    dispose: () => model.dispose(),
  };
}
