import { Callable } from '../callable.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { isQuantized } from '../checkpoint/quantized.ts';
import type { NamedTensor } from '../checkpoint/safetensors.ts';
import { openCanonical, type SaveOptions, saveCheckpoint } from '../checkpoint/shards.ts';
import { ArgumentError, DTypeError, MemoryError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { OutputFile } from '../files/output.ts';
import type { ModelSource } from '../files/source.ts';
import type { KernelBuild } from '../hosts/host.ts';
import { HUB_OPTIONS, type HubOptions, openModel, splitOptions } from '../hub/source.ts';
import { Parameters } from '../nn/parameters.ts';
import { POS_EMBEDS, type PosEmbed } from '../nn/positionEmbedding.ts';
import { checkOptions } from '../options.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import { InputObserver } from '../tensor/matrix/calibration.ts';
import type { WeightDType } from '../tensor/matrix/packedMatrix.ts';
import { addressOf, checkDims, type Float32, fetch, owned, place, placed } from '../tensor/place.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import { Dinov2Config, type Dinov2ConfigFields } from './config.ts';
import { Dinov2Encoder, type Observer } from './encoder.ts';
import type { DepthRange } from './heads.ts';
import { type CallOptions, checkPixelDims, type Request, resolveRequest } from './inputs.ts';
import {
  type Calibration,
  copiedTensor,
  isOfHead,
  type LoadOptions,
  loadCheckpoint,
  match,
  progressOf,
  randomize,
  savedTensors,
} from './loading.ts';
import { bytesOfOutput, cloneOutput, type EncoderOutput } from './outputs.ts';

export interface ModelOptions extends EngineOptions {
  /**
   * The kind of number in which weights are kept: `float32`, `float16` (half the memory, arithmetic in float32) or `int8` (a quarter; inputs are
   * made integers too, several times faster), or what transformers.js and others call them (fp32, f32, fp16, f16, q8). Default `float32`, on loading
   * `int8` where the checkpoint is.
   */
  dtype?: keyof typeof DTYPE_NAMES;
  /** How position embeddings are interpolated. Default `offset`, as the authors of the checkpoints without registers do. */
  posEmbed?: PosEmbed;
  /** For the random weights of a model that is built from a configuration alone. Default 0. */
  seed?: number;
  /** `false` leaves the weights unset, to be loaded. Default true. */
  initialize?: boolean;
}

export interface FromPretrainedOptions extends ModelOptions, HubOptions, Pick<LoadOptions, 'calibration'> {
  /** Fields that replace those of config.json. */
  config?: Dinov2ConfigFields;
  /**
   * A head in a file of its own, as facebookresearch/dinov2 publishes them, to go on the encoder that the source is: the path of
   * `dinov2_vits14_nyu_dpt_head.pth` and the like. For the classes of models with such heads.
   */
  head?: ModelSource;
  /** For {@link Dinov2ForDepthEstimation}: metres that the head was trained for, where its name tells neither `nyu` nor `kitti`. */
  depthRange?: DepthRange;
}

export interface SavePretrainedOptions extends Pick<SaveOptions, 'max_shard_size'> {
  /** Default: the kind of number in which the model keeps its weights. `int8` needs a model that is. */
  dtype?: SavedDType;
  /** An image processor whose preprocessor_config.json is written with the model. */
  processor?: { fileIn(folder: string): OutputFile };
}

/** pixel_values (batch, channels, height, width), alone or by name as an image processor gives them. */
export type ModelInputs = Tensor | { pixel_values: Tensor };

/** A model fixed to one shape of input. */
export interface Traced<Output> {
  (inputs: ModelInputs): Promise<Output>;
  /** The shape: [batch, channels, height, width]. */
  readonly dims: readonly number[];
  /** Gives back the memory set aside for it. */
  dispose(): void;
}

export interface TraceShape {
  /** Default 1. */
  batch?: number;
  height: number;
  width: number;
}

const MODEL_OPTIONS: readonly (keyof ModelOptions)[] = ['posEmbed', 'seed', 'initialize', 'dtype', 'build', 'threads', 'memoryLimit'];
const LOADING_OPTIONS: readonly (keyof FromPretrainedOptions)[] = ['config', 'calibration', ...HUB_OPTIONS, ...MODEL_OPTIONS];

const DTYPE_NAMES = {
  float32: 'float32',
  fp32: 'float32',
  f32: 'float32',
  float16: 'float16',
  fp16: 'float16',
  f16: 'float16',
  int8: 'int8',
  q8: 'int8',
} as const satisfies Record<string, WeightDType>;

/** Bytes of an output that is kept to be filled again by the next run of its kind, and pictures of a run whose steps are kept. */
const MOST_KEPT = { bytes: 2 ** 22, pictures: 8 } as const;

const SAVED_DTYPES = ['float32', 'float16', 'bfloat16', 'int8'] as const;
/** Of weights that go from file to file. */
const COPIED_DTYPES = ['float32', 'float16', 'bfloat16'] as const;
type SavedDType = (typeof SAVED_DTYPES)[number];

/** What a class tells of how it is loaded. */
export interface Loading {
  readonly Config: typeof Dinov2Config;
  readonly loadingOptions: readonly (keyof FromPretrainedOptions)[];
  open(source: ModelSource, options: FromPretrainedOptions): Promise<Opened>;
}

/** What a model is loaded from. */
export interface Opened {
  readonly config: Dinov2Config;
  /** To be closed. */
  readonly checkpoint: Checkpoint;
}

/**
 * What DINOv2 models share: configuration, weights, calls one after the other. An instance is called like a function. It has an engine,
 * that is a memory, of its own, which {@link dispose} gives back.
 */
export abstract class Dinov2PreTrainedModel<Output extends EncoderOutput, Options extends CallOptions> extends Callable<
  [inputs: ModelInputs & Options, options?: Options],
  Promise<Output>
> {
  /** The class of its configuration. */
  static readonly Config: typeof Dinov2Config = Dinov2Config;
  /** What the names of the encoder's parameters begin with: nothing, or the name of the part that it is of the model. */
  static readonly encoderName: string | undefined = undefined;

  /** Options of {@link from_pretrained} beside those of every model. */
  static readonly loadingOptions: readonly (keyof FromPretrainedOptions)[] = [];

  readonly config: Dinov2Config;
  protected readonly engine: Engine;
  protected readonly parameters: Parameters;
  protected readonly encoder: Dinov2Encoder;
  #last: Promise<unknown> = Promise.resolve();
  #lastRun: { readonly kind: string; repeat?: { readonly result: Output; again(): void } } | undefined;
  #isWatched = false;

  /**
   * A model with random weights, the same for the same seed. Subclasses declare what they have beside the encoder and then {@link
   * initialize}.
   * @throws {ArgumentError} naming the option; {ConfigError}, {HostError}, {MemoryError} as the configuration and the engine do
   */
  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super();
    checkOptions('model', options, MODEL_OPTIONS);
    this.config = config instanceof new.target.Config ? config : new new.target.Config(config as Dinov2ConfigFields);
    const { posEmbed = this.config.posEmbed, dtype = 'float32', build, threads, memoryLimit } = options;
    checkDType(dtype, Object.keys(DTYPE_NAMES));
    if (!POS_EMBEDS.includes(posEmbed))
      throw new ArgumentError(`posEmbed: expected one of ${POS_EMBEDS.join(', ')}, found ${describe(posEmbed)}`);
    this.engine = new Engine({
      ...(build && { build }),
      ...(threads !== undefined && { threads }),
      ...(memoryLimit !== undefined && { memoryLimit }),
    });
    this.parameters = new Parameters(this.engine, DTYPE_NAMES[dtype]);
    const { encoderName } = new.target;
    this.encoder = new Dinov2Encoder(encoderName ? this.parameters.at(encoderName) : this.parameters, this.config, posEmbed);
  }

  /** Sets the weights at random, unless they are to be loaded. */
  protected initialize({ initialize = true, seed = 0 }: ModelOptions): void {
    if (!Number.isSafeInteger(seed)) throw new ArgumentError(`seed: expected an integer, found ${describe(seed)}`);
    if (initialize) randomize(this.parameters, { deviation: this.config.initializer_range, seed });
  }

  /** Options of a call beside those that every model takes. */
  protected abstract get accepts(): readonly string[];

  /** Computes on the engine: pixels (batch, channels, height, width), placed. Every tensor of the output owns its data. */
  protected abstract run(pixels: Float32, request: Request): Promise<Output>;

  /** Before the names of the encoder's tensors in a checkpoint of a model with a head. */
  protected get basePrefix(): string {
    return `${this.config.model_type}.`;
  }

  /** Before the names of the encoder's tensors in a checkpoint of this model. */
  protected get prefix(): string {
    return '';
  }

  /** What is left to do with the output outside the engine. */
  protected complete(output: Output, _request: Request): Output {
    return output;
  }

  /**
   * Runs the model on pictures of any size from one patch on. Also reached by calling the instance.
   * @throws {ShapeError} {DTypeError} {ArgumentError} naming the argument; {DisposedError}; the signal's reason
   */
  async forward(inputs: ModelInputs & Options, options?: Options): Promise<Output> {
    const request = resolveRequest(this.config, [...this.accepts, 'attention_callback'], inputs, { ...options });
    const output = await this.#turn(() => this.engine.scopeAsync(() => this.#perform(request)));
    return this.#deliver(this.complete(output, request), request);
  }

  /** Runs a request. From the third of a kind on what the second did is done again, which spares making tensors: a hundredth, more with threads. */
  async #perform(request: Request): Promise<Output> {
    const pixels = placed(this.engine, request.pixels);
    const kind = this.#kindOf(request, pixels);
    const last = this.#lastRun;
    this.#lastRun = undefined;
    if (kind === undefined || last?.kind !== kind) {
      const output = await this.run(pixels, request);
      if (kind !== undefined && bytesOfOutput(output) <= MOST_KEPT.bytes) this.#lastRun = { kind };
      return output;
    }
    if (last.repeat) last.repeat.again();
    else last.repeat = await this.engine.follow(() => this.run(pixels, request));
    this.#lastRun = last;
    return cloneOutput(last.repeat.result);
  }

  /** The same for requests that do the same on the same places; undefined for one that does more than kernels do. */
  #kindOf({ headMask, masked, labels, attentionCallback, signal, ...request }: Request, pixels: Float32): string | undefined {
    if (headMask || masked || labels || attentionCallback || signal || request.pixels.place) return undefined;
    if (this.encoder.streamed || this.#isWatched || (pixels.dims[0] as number) > MOST_KEPT.pictures) return undefined;
    const { attentions, hiddenStates, lastHiddenState } = request;
    return JSON.stringify([addressOf(pixels), pixels.dims, attentions, hiddenStates, lastHiddenState]);
  }

  override _call(inputs: ModelInputs & Options, options?: Options): Promise<Output> {
    return this.forward(inputs, options);
  }

  /**
   * The model fixed to one shape, as `torch.jit.trace`: memory is set aside and every step written down once, a call then only repeats the
   * steps. The results are those of the eager model, to the bit.
   * @param example the shape, or inputs of that shape
   * @throws {ShapeError} {ArgumentError} {MemoryError}; a call {DisposedError} after the trace's dispose()
   */
  async trace(
    example: TraceShape | ModelInputs,
    options?: Pick<CallOptions, 'output_attentions' | 'output_hidden_states' | 'return_dict'>,
  ): Promise<Traced<Output>> {
    const dims = this.#traceDims(example);
    this.#checkResident('trace');
    const recording = await this.#turn(() =>
      this.engine.record(async () => {
        const input = place(this.engine, 'float32', dims);
        const request = resolveRequest(this.config, [], input, { ...options });
        return { input, request, output: await this.run(input, request) };
      }),
    );
    const call = async (inputs: ModelInputs): Promise<Output> =>
      this.#turn(async () => {
        const { pixels } = resolveRequest(this.config, [], inputs);
        checkDims('pixel_values (of a traced model)', dims, pixels.dims);
        const { input, request, output } = recording.result;
        this.engine.write(addressOf(input), pixels.data);
        recording.replay();
        return this.#deliver(cloneOutput(output), request);
      });
    return Object.assign(call, { dims, dispose: recording.dispose });
  }

  /**
   * Runs the model on pictures and gives what was seen of the inputs of its layers, for loading it with dtype `int8`: a few photographs of the kind it
   * will see.
   * @param batches pixel_values each
   * @throws as {@link forward}, and {DTypeError} of a model that is int8
   */
  async calibrate(
    batches: Iterable<ModelInputs> | AsyncIterable<ModelInputs>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Calibration> {
    if (this.dtype === 'int8') throw new DTypeError('calibrate: expected a model with dtype "float32" or "float16", found "int8"');
    this.#isWatched = true;
    const observers = new Map<string, InputObserver>();
    const endings = this.parameters.all.map(({ name, watch }) => {
      const observer = new InputObserver();
      observers.set(name, observer);
      return watch?.((x) => observer.see(x));
    });
    try {
      for await (const inputs of batches) await this.forward(inputs as ModelInputs & Options, { ...(signal && { signal }) } as Options);
    } finally {
      for (const end of endings) end?.();
      this.#isWatched = false;
    }
    return new Map([...observers].flatMap(([name, { statistics }]) => (statistics ? [[name, statistics]] : [])));
  }

  /**
   * The weights by the names they have in a checkpoint of this model, each read when its turn comes, in memory of its own.
   * @param wanted of which names; default all
   */
  *weights(wanted: (name: string) => boolean = () => true): Generator<[name: string, weight: Tensor<'float32'>]> {
    this.#checkResident('weights');
    for (const parameter of this.parameters.all) {
      const name = this.#checkpointName(parameter.name);
      if (wanted(name)) yield [name, parameter.read()];
    }
  }

  /** Writes config.json and model.safetensors, or shards of it, into a folder. @throws {DTypeError} {ArgumentError} naming the option */
  async save_pretrained(folder: string, { dtype = this.dtype, ...options }: SavePretrainedOptions = {}): Promise<void> {
    checkDType(dtype, SAVED_DTYPES);
    this.#checkResident('save_pretrained');
    if (dtype === 'int8' && this.dtype !== 'int8') {
      throw new DTypeError(`save_pretrained: dtype "int8" needs a model that was loaded or made with dtype "int8", found "${this.dtype}"`);
    }
    const tensors = this.parameters.all.flatMap((parameter) => savedTensors(parameter, this.#checkpointName(parameter.name), dtype));
    await this.#save(folder, dtype, tensors, options);
  }

  /**
   * The same with the weights of a checkpoint, of which no more than one is in memory at a time: this model takes no memory for its own.
   * @param checkpoint under the names of the parameters, as {@link open} gives it
   * @throws {CheckpointError} when it does not fit, before anything is written; {DTypeError} for another dtype than of floats; the signal's reason
   */
  async saveFrom(
    checkpoint: Checkpoint,
    folder: string,
    { dtype = 'float32', progress_callback, signal, ...options }: SavePretrainedOptions & LoadOptions = {},
  ): Promise<void> {
    checkDType(dtype, COPIED_DTYPES);
    const kind = dtype as (typeof COPIED_DTYPES)[number];
    const sources = match(this.parameters, checkpoint, (name) => this.parameterOf(name));
    const tell = progressOf(checkpoint, sources, progress_callback);
    const report = (file: string): void => {
      signal?.throwIfAborted();
      tell(file);
    };
    const tensors = this.parameters.all.map((parameter) => {
      const from = sources.get(parameter) as string;
      return copiedTensor(parameter, this.#checkpointName(parameter.name), kind, { checkpoint, from, report });
    });
    await this.#save(folder, dtype, tensors, options);
    report(checkpoint.name);
  }

  async #save(
    folder: string,
    dtype: SavedDType,
    tensors: readonly NamedTensor[],
    { processor, ...options }: Omit<SavePretrainedOptions, 'dtype'>,
  ): Promise<void> {
    const config = new (this.config.constructor as typeof Dinov2Config)({
      ...this.config.to_dict(),
      architectures: [this.constructor.name],
      torch_dtype: dtype === 'int8' ? 'float32' : dtype,
    });
    const beside = [...(processor ? [processor.fileIn(folder)] : []), config.fileIn(folder)];
    await saveCheckpoint(folder, tensors, { ...options, beside });
  }

  /** The configuration and the tensors that {@link from_pretrained} makes a model of. */
  static async open(this: Loading, source: ModelSource, { config }: FromPretrainedOptions): Promise<Opened> {
    return { config: await this.Config.from_pretrained(source, config), checkpoint: await openCanonical(source) };
  }

  /**
   * A model with the weights of a checkpoint: config.json and model.safetensors, or its shards.
   * @param source a model on the hub like "facebook/dinov2-small", a folder, or the files by name
   * @throws {NotFoundError} when a file is missing; {ConfigError} or {CheckpointError} when one is wrong; {MemoryError}; the signal's reason;
   * on the way from the hub {AccessError}, {NetworkError}, {IntegrityError}, and {HostError} when the cache cannot be written
   */
  static async from_pretrained<T extends Dinov2PreTrainedModel<EncoderOutput, CallOptions>>(
    this: (new (config: Dinov2Config, options: ModelOptions) => T) & Loading,
    source: ModelSource,
    options: FromPretrainedOptions = {},
  ): Promise<T> {
    checkOptions('from_pretrained', options, [...LOADING_OPTIONS, ...this.loadingOptions]);
    const { hub, rest: own } = splitOptions(options);
    const { config: _, head: _h, depthRange: _d, calibration, ...rest } = own;
    const { progress_callback, signal } = hub;
    const { config, checkpoint } = await this.open(await openModel(source, hub), options);
    let model: T | undefined;
    try {
      model = new this(config, { ...(isQuantized(checkpoint) && { dtype: 'int8' }), ...rest, initialize: false });
      const made = model;
      const { encoder } = made;
      const shape = { blocks: encoder.blocks, width: config.hidden_size };
      encoder.streamed = await loadCheckpoint(made.parameters, checkpoint, (name) => made.parameterOf(name), shape, {
        ...(progress_callback && { progress_callback }),
        ...(signal && { signal }),
        ...(calibration && { calibration }),
      });
      if (!encoder.streamed) await checkpoint.close();
      return model;
    } catch (error) {
      model?.dispose();
      await checkpoint.close();
      throw error;
    }
  }

  /** The parameter that a tensor of a checkpoint is for; undefined for what belongs to a head that this model has not. */
  protected parameterOf(tensor: string): string | undefined {
    const name = tensor.startsWith(this.basePrefix) ? tensor.slice(this.basePrefix.length) : tensor;
    return isOfHead(name) && !this.parameters.all.some((parameter) => parameter.name === name) ? undefined : name;
  }

  /** The kind of number in which weights are kept. */
  get dtype(): WeightDType {
    return this.parameters.dtype;
  }

  /** How many threads share the work. */
  get threads(): number {
    return this.engine.threads;
  }

  /** How many numbers its weights are. */
  num_parameters(): number {
    return this.parameters.all.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
  }

  /** The build of the kernels that the model runs on. */
  get build(): KernelBuild {
    return this.engine.build;
  }

  /** Bytes that the model has taken from the host for weights and activations. */
  get memory(): number {
    return this.engine.reserved;
  }

  /** Gives back the model's memory. It cannot be used from then on. */
  dispose(): void {
    this.#lastRun = undefined;
    this.engine.dispose();
    void this.encoder.streamed?.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** As {@link dispose}, after the runs that are under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.dispose();
  }

  #checkpointName(parameter: string): string {
    return isOfHead(parameter) ? parameter : this.prefix + parameter;
  }

  #checkResident(what: string): void {
    if (this.encoder.streamed) {
      throw new MemoryError(
        `${what}: expected all weights in memory, but blocks stay in their file within ${this.engine.limit} bytes: raise memoryLimit`,
      );
    }
  }

  /** One run at a time: they share the memory for activations. */
  #turn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(body);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** The output as it was asked for: with `return_dict: false` a tuple, which the type leaves to who asks for it. */
  #deliver(output: Output, { asObject }: Request): Output {
    return asObject ? output : (Object.values(output) as unknown as Output);
  }

  #traceDims(example: TraceShape | ModelInputs): readonly number[] {
    if (typeof example !== 'object' || example === null) {
      throw new ArgumentError(`trace: expected { height, width } or inputs of that shape, found ${describe(example)}`);
    }
    const pixels = example instanceof Tensor ? example : 'pixel_values' in example ? example.pixel_values : undefined;
    const dims = pixels?.dims ?? [
      (example as TraceShape).batch ?? 1,
      this.config.num_channels,
      (example as TraceShape).height,
      (example as TraceShape).width,
    ];
    checkPixelDims(this.config, dims);
    return dims;
  }
}

function checkDType(dtype: unknown, known: readonly string[]): void {
  if (!known.includes(dtype as string)) throw new DTypeError(`dtype: expected one of ${known.join(', ')}, found ${describe(dtype)}`);
}

/** Collects what a call asks for besides its main output. */
export function observe(request: Request): { observer: Observer; output: EncoderOutput } {
  const batch = request.pixels.dims[0] as number;
  const hidden_states: Float32[] = [];
  const attentions: Float32[] = [];
  const observer: Observer = {};
  if (request.hiddenStates) {
    observer.hidden = (_, x) => {
      const state = owned(x.dims);
      fetch(x, state);
      hidden_states.push(state);
    };
  }
  const { attentionCallback } = request;
  if (request.attentions || attentionCallback) {
    observer.attention = (layer, picture, probabilities) => {
      if (request.attentions) {
        attentions[layer] ??= owned([batch, ...probabilities.dims]);
        fetch(probabilities, attentions[layer].at(picture));
      }
      attentionCallback?.(probabilities.clone(), { layer, picture });
    };
  }
  return { observer, output: { ...(request.hiddenStates && { hidden_states }), ...(request.attentions && { attentions }) } };
}
