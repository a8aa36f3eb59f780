import { findCheckpoint, HUB_FILES, openCheckpoint } from '../checkpoint/shards.ts';
import { ConfigError } from '../errors.ts';
import { describe, isJsonObject, type JsonObject } from '../files/json.ts';
import { jsonFile, type OutputFile, writeFiles } from '../files/output.ts';
import { fileSystem, type ModelSource, readJson } from '../files/source.ts';
import { type HubOptions, openModel, splitOptions } from '../hub/source.ts';
import type { PosEmbed } from '../nn/positionEmbedding.ts';
import { isDepthAnything, recogniseDepthAnything, recogniseDinov2 } from './recognition.ts';

export const CONFIG_FILE = 'config.json';

const HIDDEN_ACTS = ['gelu', 'relu', 'selu', 'gelu_new', 'gelu_pytorch_tanh', 'quick_gelu', 'silu'] as const;
const PROBLEM_TYPES = ['regression', 'single_label_classification', 'multi_label_classification'] as const;

/** Activations, by their names in transformers (`ACT2FN`). */
export type HiddenAct = (typeof HIDDEN_ACTS)[number];
export type ProblemType = (typeof PROBLEM_TYPES)[number];
/** Pixels: a square, or [height, width]. */
export type Size = number | readonly [height: number, width: number];

/** Bounds on numbers that become arrays. */
const MAX_LAYERS = 1000;
const MAX_LABELS = 1_000_000;
export const MAX_REGISTERS = 1000;
/** Levels of nesting in an unknown field; an object that contains itself has more. */
const MAX_DEPTH = 64;

/** Fields that every kind of model has, with the defaults at which they are not written. */
const GENERIC = {
  problem_type: null,
  output_attentions: false,
  output_hidden_states: false,
  return_dict: true,
  classifier_layers: 1,
} as const;

/**
 * What an override in `from_pretrained` makes void in the file unless it agrees with it: other ways to say the same, and what follows from
 * it.
 */
const SUPERSEDED: ReadonlyMap<string, readonly string[]> = new Map([
  ['num_hidden_layers', ['out_features', 'out_indices']],
  ['out_features', ['out_indices']],
  ['out_indices', ['out_features']],
  ['num_labels', ['id2label', 'label2id']],
  ['id2label', ['label2id']],
]);

type Computed =
  | ('to_dict' | 'toJSON' | 'save_pretrained' | 'stage_names' | 'use_return_dict')
  | ('registers' | 'posEmbed' | 'patchSize' | 'imageSize' | 'grid' | 'headSize' | 'mlpSize' | 'swigluSize');

/** Fields as in config.json, all optional; others are kept too. */
export type Dinov2ConfigFields = Partial<Omit<Dinov2Config, Computed | 'out_features' | 'out_indices'>> & {
  readonly out_features?: readonly string[] | null;
  readonly out_indices?: readonly number[] | null;
  readonly [field: string]: unknown;
};

/**
 * The configuration of a DINOv2 model: fields, defaults and meanings of transformers v4.37.2 (configuration_dinov2.py,
 * configuration_utils.py), and `use_mask_token` of v5. Unknown fields are kept and written back. Immutable: for another one, `new
 * Dinov2Config({ ...config.to_dict(), ... })`.
 */
export class Dinov2Config {
  /** Width of the encoder and of the pooled output. */
  readonly hidden_size: number;
  /** Encoder blocks. */
  readonly num_hidden_layers: number;
  /** Attention heads in a block. */
  readonly num_attention_heads: number;
  /** Width of the MLP relative to hidden_size. */
  readonly mlp_ratio: number;
  readonly hidden_act: HiddenAct;
  /** 0 to 1. As the other two rates, for training only: kept, without effect here. */
  readonly hidden_dropout_prob: number;
  readonly attention_probs_dropout_prob: number;
  readonly drop_path_rate: number;
  /** Standard deviation of the truncated normal distribution from which random weights are drawn. */
  readonly initializer_range: number;
  readonly layer_norm_eps: number;
  /** Pixels for which the position embeddings were trained. */
  readonly image_size: Size;
  /** Pixels. */
  readonly patch_size: Size;
  readonly num_channels: number;
  /** Whether queries, keys and values have a bias. */
  readonly qkv_bias: boolean;
  /** Value with which layer scales start. */
  readonly layerscale_value: number;
  /** A SwiGLU feed-forward in place of the MLP. */
  readonly use_swiglu_ffn: boolean;
  /** "stem", "stage1", ...: what {@link out_features} and {@link out_indices} refer to. */
  readonly stage_names: readonly string[];
  /** Stages that a backbone returns; always given here, the last if the configuration names none. */
  readonly out_features: readonly string[];
  /** The same stages by number, as given: -1 is the last. */
  readonly out_indices: readonly number[];
  /** Whether a backbone's feature maps go through the final layer norm. */
  readonly apply_layernorm: boolean;
  /** Whether a backbone's feature maps are (batch, hidden, height, width), else (batch, tokens, hidden). */
  readonly reshape_hidden_states: boolean;
  /** Whether the checkpoint has a mask token, for `bool_masked_pos`. */
  readonly use_mask_token: boolean;
  /** Label of each class. */
  readonly id2label: Readonly<Record<number, string>>;
  readonly label2id: Readonly<Record<string, number>>;
  /** Which loss a classifier computes; null to infer it from the labels. */
  readonly problem_type: ProblemType | null;
  /**
   * Of how many blocks, from the last back, a classifier takes the class token. 1 but for the 4-layer heads of facebookresearch/dinov2,
   * which transformers does not have.
   */
  readonly classifier_layers: number;
  readonly output_attentions: boolean;
  readonly output_hidden_states: boolean;
  readonly return_dict: boolean;
  readonly #unknown: JsonObject;

  /** @throws {ConfigError} naming the field that has the wrong type, or that does not go with another */
  constructor(fields: Dinov2ConfigFields = {}) {
    if (!isJsonObject(fields)) throw new ConfigError(`config: expected an object, found ${describe(fields)}`);
    const rest = new Map(Object.entries(fields).filter(([, value]) => value !== undefined));
    const take = <T>(key: string, kind: Kind<T>, fallback: NoInfer<T>): T => {
      const value = rest.get(key);
      return rest.delete(key) ? (copyJson(key, check(key, kind, value), 0) as T) : fallback;
    };
    take('model_type', oneOf([this.model_type]), this.model_type);
    this.hidden_size = take('hidden_size', POSITIVE_INTEGER, 768);
    this.num_hidden_layers = take('num_hidden_layers', LAYERS, 12);
    this.num_attention_heads = take('num_attention_heads', POSITIVE_INTEGER, 12);
    this.mlp_ratio = take('mlp_ratio', POSITIVE_NUMBER, 4);
    this.hidden_act = take('hidden_act', oneOf(HIDDEN_ACTS), 'gelu');
    this.hidden_dropout_prob = take('hidden_dropout_prob', RATE, 0);
    this.attention_probs_dropout_prob = take('attention_probs_dropout_prob', RATE, 0);
    this.initializer_range = take('initializer_range', NUMBER_FROM_ZERO, 0.02);
    this.layer_norm_eps = take('layer_norm_eps', NUMBER_FROM_ZERO, 1e-6);
    this.image_size = take('image_size', SIZE, 224);
    this.patch_size = take('patch_size', SIZE, 16);
    this.num_channels = take('num_channels', POSITIVE_INTEGER, 3);
    this.qkv_bias = take('qkv_bias', BOOLEAN, true);
    this.layerscale_value = take('layerscale_value', NUMBER, 1);
    this.drop_path_rate = take('drop_path_rate', RATE, 0);
    this.use_swiglu_ffn = take('use_swiglu_ffn', BOOLEAN, false);
    this.apply_layernorm = take('apply_layernorm', BOOLEAN, true);
    this.reshape_hidden_states = take('reshape_hidden_states', BOOLEAN, true);
    this.use_mask_token = take('use_mask_token', BOOLEAN, true);
    this.problem_type = take('problem_type', orNull(oneOf(PROBLEM_TYPES)), null);
    this.output_attentions = take('output_attentions', BOOLEAN, false);
    this.output_hidden_states = take('output_hidden_states', BOOLEAN, false);
    this.return_dict = take('return_dict', BOOLEAN, true);
    this.classifier_layers = take('classifier_layers', integer(1, this.num_hidden_layers), 1);
    const outFeatures = take('out_features', orNull(STRINGS), null);
    const outIndices = take('out_indices', orNull(INTEGERS), null);
    const id2label = take('id2label', orNull(LABELS), null);
    const label2id = take('label2id', orNull(LABEL_NUMBERS), null);
    const numLabels = take('num_labels', integer(0, MAX_LABELS), 2);
    rest.delete('stage_names'); // follow from the number of layers

    this.stage_names = ['stem', ...Array.from({ length: this.num_hidden_layers }, (_, i) => `stage${i + 1}`)];
    [this.out_features, this.out_indices] = alignStages(outFeatures, outIndices, this.stage_names);
    if (label2id && !id2label) throw refuse('label2id', 'id2label beside it', label2id);
    this.id2label = id2label ?? numberedLabels(numLabels);
    this.label2id = label2id ?? invert(this.id2label);
    this.#unknown = Object.fromEntries([...rest].map(([key, value]) => [key, copyJson(key, value, 0)]));
    this.#checkSizes();
  }

  /** What config.json says of the kind of model. */
  get model_type(): string {
    return 'dinov2';
  }

  /** Tokens between the class token and the patches. */
  get registers(): number {
    return 0;
  }

  /** How the authors of these checkpoints interpolate position embeddings. */
  get posEmbed(): PosEmbed {
    return 'offset';
  }

  /** Classes of a classifier: as many as {@link id2label} has. */
  get num_labels(): number {
    return Object.keys(this.id2label).length;
  }

  /** The name transformers gives to {@link return_dict}. */
  get use_return_dict(): boolean {
    return this.return_dict;
  }

  /** Pixels, [height, width]. */
  get patchSize(): readonly [height: number, width: number] {
    return pair(this.patch_size);
  }

  /** Pixels, [height, width]. */
  get imageSize(): readonly [height: number, width: number] {
    return pair(this.image_size);
  }

  /** Patches for which the position embeddings were trained, [rows, columns]. */
  get grid(): readonly [rows: number, columns: number] {
    const [height, width] = this.imageSize;
    const [patchHeight, patchWidth] = this.patchSize;
    return [Math.floor(height / patchHeight), Math.floor(width / patchWidth)];
  }

  /** Width of an attention head. */
  get headSize(): number {
    return this.hidden_size / this.num_attention_heads;
  }

  /** Width of the hidden layer of the MLP. */
  get mlpSize(): number {
    return Math.floor(this.hidden_size * this.mlp_ratio);
  }

  /** Width of the hidden layer of the SwiGLU feed-forward: two thirds of the MLP's, up to a multiple of 8. */
  get swigluSize(): number {
    return Math.ceil(Math.floor((this.mlpSize * 2) / 3) / 8) * 8;
  }

  /**
   * The fields as they stand in config.json: all of DINOv2's, the unknown ones, and of those that every model has the ones that differ from
   * the default, as `PretrainedConfig.to_diff_dict` does. A new object each time.
   */
  to_dict(): JsonObject {
    const own = [['model_type', this.model_type], ...Object.entries(this)];
    const fields: JsonObject = structuredClone(Object.fromEntries([...Object.entries(this.#unknown), ...own]));
    for (const [key, value] of Object.entries(GENERIC)) {
      if (fields[key] === value) delete fields[key];
    }
    if (this.#hasDefaultLabels()) {
      delete fields.id2label;
      delete fields.label2id;
    }
    return fields;
  }

  /** For JSON.stringify. */
  toJSON(): JsonObject {
    return this.to_dict();
  }

  /** Writes config.json into a folder. */
  async save_pretrained(folder: string): Promise<void> {
    await writeFiles([this.fileIn(folder)]);
  }

  /** What {@link save_pretrained} writes. */
  fileIn(folder: string): OutputFile {
    return jsonFile(fileSystem().join(folder, CONFIG_FILE), this.to_dict());
  }

  /**
   * The configuration in a model's config.json, with fields of `options` in place of what it says. For a checkpoint that comes without one, such as
   * those of facebookresearch/dinov2, what its tensors tell (recogniseDinov2).
   * @param options fields, and options about the hub
   * @throws {NotFoundError} when there is neither
   * @throws {ConfigError} when it is no JSON, or no configuration of this kind; {CheckpointError} when the tensors are those of another kind
   */
  static async from_pretrained<T extends Dinov2Config>(
    this: new (
      fields?: Dinov2ConfigFields,
    ) => T,
    source: ModelSource,
    options: Dinov2ConfigFields & HubOptions = {},
  ): Promise<T> {
    const { hub, rest: overrides } = splitOptions(options);
    return construct(this, await readConfig(source, overrides, hub), overrides);
  }

  #checkSizes(): void {
    if (this.hidden_size % this.num_attention_heads !== 0) {
      throw refuse('num_attention_heads', `a divisor of hidden_size ${this.hidden_size}`, this.num_attention_heads);
    }
    const width = this.use_swiglu_ffn ? this.swigluSize : this.mlpSize;
    if (!Number.isSafeInteger(width) || width === 0) {
      throw refuse('mlp_ratio', `a hidden layer of 1 to 2^53 units for hidden_size ${this.hidden_size}`, this.mlp_ratio);
    }
    if (this.grid.includes(0)) throw refuse('image_size', `at least one patch of ${describe(this.patch_size)}`, this.image_size);
  }

  #hasDefaultLabels(): boolean {
    const labels = numberedLabels(2);
    return JSON.stringify([this.id2label, this.label2id]) === JSON.stringify([labels, invert(labels)]);
  }
}

/**
 * The same with register tokens (Darcet et al. 2023, "Vision Transformers Need Registers"): transformers'
 * configuration_dinov2_with_registers.py.
 */
export class Dinov2WithRegistersConfig extends Dinov2Config {
  readonly num_register_tokens: number;

  /** @throws as {@link Dinov2Config} */
  constructor(fields: Dinov2ConfigFields = {}) {
    super(fields);
    this.num_register_tokens = check('num_register_tokens', integer(0, MAX_REGISTERS), fields.num_register_tokens ?? 4);
  }

  override get model_type(): string {
    return 'dinov2_with_registers';
  }

  override get registers(): number {
    return this.num_register_tokens;
  }

  override get posEmbed(): PosEmbed {
    return 'antialias';
  }
}

const CONFIGS: ReadonlyMap<unknown, typeof Dinov2Config> = new Map([
  ['dinov2', Dinov2Config],
  ['dinov2_with_registers', Dinov2WithRegistersConfig],
]);

/** The configuration of whichever kind of model config.json says it is for. */
export const AutoConfig = {
  /**
   * @throws {ConfigError} when `model_type` is none that is supported
   * @throws as {@link Dinov2Config.from_pretrained}
   */
  async from_pretrained(source: ModelSource, options: Dinov2ConfigFields & HubOptions = {}): Promise<Dinov2Config> {
    const { hub, rest: overrides } = splitOptions(options);
    const file = await readConfig(source, overrides, hub);
    const type = file.fields.model_type;
    const Config = CONFIGS.get(type);
    if (!Config) {
      throw new ConfigError(
        `${file.name}: config "model_type": expected one of ${[...CONFIGS.keys()].map(describe).join(', ')}, found ${describe(type)}`,
      );
    }
    return construct(Config, file, overrides);
  },
};

interface ConfigFile {
  /** For messages. */
  readonly name: string;
  readonly fields: JsonObject;
  /** Overrides that were of use in recognising the fields and are none themselves. */
  readonly used?: readonly string[];
}

/** config.json or, for a checkpoint that comes without one or with that of timm, what its tensors tell. */
export async function readConfig(from: ModelSource, overrides: Dinov2ConfigFields = {}, hub: HubOptions = {}): Promise<ConfigFile> {
  const source = await openModel(from, hub);
  if (!(await source.has(CONFIG_FILE))) {
    const file = await findCheckpoint(source);
    if (file !== undefined && !HUB_FILES.includes(file)) return recognise(source, overrides);
  }
  const name = `${source.name}: ${CONFIG_FILE}`;
  const fields = await readJson(source, CONFIG_FILE);
  if (!isJsonObject(fields)) throw new ConfigError(`${name}: expected an object, found ${describe(fields)}`);
  const isTimm = fields.model_type === undefined && typeof fields.architecture === 'string';
  return isTimm ? recognise(source, overrides) : { name, fields };
}

async function recognise(source: ModelSource, overrides: Dinov2ConfigFields): Promise<ConfigFile> {
  const checkpoint = await openCheckpoint(source);
  await checkpoint.close();
  const { name } = checkpoint;
  if (!isDepthAnything(checkpoint)) return { name, fields: recogniseDinov2(checkpoint, overrides) };
  return { name, fields: recogniseDepthAnything(checkpoint, overrides), used: ['num_attention_heads', 'out_indices'] };
}

function construct<T>(
  Config: new (fields: Dinov2ConfigFields) => T,
  { name, fields, used = [] }: ConfigFile,
  overrides: Dinov2ConfigFields,
): T {
  const given = Object.entries(overrides).filter(([key, value]) => value !== undefined && !used.includes(key));
  const says: JsonObject = {
    ...fields,
    num_labels: isJsonObject(fields.id2label) ? Object.keys(fields.id2label).length : fields.num_labels,
  };
  const superseded = new Set(given.flatMap(([key, value]) => (says[key] === value ? [] : (SUPERSEDED.get(key) ?? []))));
  const kept = Object.entries(fields).filter(([key]) => !superseded.has(key));
  try {
    return new Config(Object.fromEntries([...kept, ...given]));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${name}${given.length > 0 ? ' with overrides' : ''}: ${error.message}`);
  }
}

/** A kind of value that a field may have. */
export interface Kind<T> {
  readonly expected: string;
  is(value: unknown): value is T;
}

export const BOOLEAN: Kind<boolean> = { expected: 'true or false', is: (value) => typeof value === 'boolean' };
const NUMBER: Kind<number> = { expected: 'a number', is: (value): value is number => Number.isFinite(value) };
export const NUMBER_FROM_ZERO = number('a number of at least 0', (value) => value >= 0);
export const POSITIVE_NUMBER = number('a positive number', (value) => value > 0);
export const POSITIVE_INTEGER = number('a positive integer', (value) => Number.isSafeInteger(value) && value > 0);
export const LAYERS = integer(1, MAX_LAYERS);
const RATE = number('a number from 0 to 1', (value) => value >= 0 && value <= 1);

const SIZE: Kind<Size> = {
  expected: 'a positive integer or a pair of them, [height, width]',
  is: (value): value is Size =>
    POSITIVE_INTEGER.is(value) || (Array.isArray(value) && value.length === 2 && value.every(POSITIVE_INTEGER.is)),
};
const STRINGS: Kind<readonly string[]> = {
  expected: 'an array of strings',
  is: (value): value is string[] => Array.isArray(value) && value.every((item) => typeof item === 'string'),
};
export const INTEGERS: Kind<readonly number[]> = {
  expected: 'an array of integers',
  is: (value): value is number[] => Array.isArray(value) && value.every(Number.isSafeInteger),
};
const LABELS: Kind<Readonly<Record<number, string>>> = {
  expected: `an object of at most ${MAX_LABELS} labels by number, { "0": "cat", ... }`,
  is: (value): value is Record<number, string> =>
    isSmallObject(value) && Object.entries(value).every(([key, label]) => /^(0|[1-9]\d{0,8})$/.test(key) && typeof label === 'string'),
};
const LABEL_NUMBERS: Kind<Readonly<Record<string, number>>> = {
  expected: `an object of at most ${MAX_LABELS} numbers by label, { "cat": 0, ... }`,
  is: (value): value is Record<string, number> =>
    isSmallObject(value) && Object.values(value).every((id) => Number.isSafeInteger(id) && (id as number) >= 0),
};

function number(expected: string, accepts: (value: number) => boolean): Kind<number> {
  return { expected, is: (value): value is number => NUMBER.is(value) && accepts(value) };
}

export function integer(least: number, most: number): Kind<number> {
  return number(`an integer from ${least} to ${most}`, (value) => Number.isInteger(value) && value >= least && value <= most);
}

export function oneOf<T extends string>(words: readonly T[]): Kind<T> {
  return { expected: words.map(describe).join(' or '), is: (value): value is T => words.includes(value as T) };
}

function orNull<T>(kind: Kind<T>): Kind<T | null> {
  return { expected: `${kind.expected}, or null`, is: (value): value is T | null => value === null || kind.is(value) };
}

function isSmallObject(value: unknown): value is JsonObject {
  return isJsonObject(value) && Object.keys(value).length <= MAX_LABELS;
}

export function check<T>(field: string, kind: Kind<T>, value: unknown): T {
  if (!kind.is(value)) throw refuse(field, kind.expected, value);
  return value;
}

function refuse(field: string, expected: string, found: unknown): ConfigError {
  return new ConfigError(`config ${describe(field)}: expected ${expected}, found ${describe(found)}`);
}

function pair(size: Size): readonly [height: number, width: number] {
  return typeof size === 'number' ? [size, size] : size;
}

function numberedLabels(count: number): Record<number, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [i, `LABEL_${i}`]));
}

function invert(labels: Readonly<Record<number, string>>): Record<string, number> {
  return Object.fromEntries(Object.entries(labels).map(([id, label]) => [label, Number(id)]));
}

/**
 * Both forms of the stages a backbone returns, as `get_aligned_output_features_output_indices` in transformers (utils/backbone_utils.py).
 */
function alignStages(
  features: readonly string[] | null,
  indices: readonly number[] | null,
  stages: readonly string[],
): [features: readonly string[], indices: readonly number[]] {
  const last = stages.length - 1;
  const unknown = features?.find((feature) => !stages.includes(feature));
  if (unknown !== undefined) throw refuse('out_features', `stages among "stem", "stage1" to "stage${last}"`, unknown);
  const outside = indices?.find((index) => index < -stages.length || index > last);
  if (outside !== undefined) throw refuse('out_indices', `integers from ${-stages.length} to ${last}`, outside);

  if (!features && !indices) return [[stages[last] as string], [last]];
  const named = indices?.map((index) => stages.at(index) as string);
  if (features && named && String(features) !== String(named))
    throw refuse('out_features', `${describe(named)}, as out_indices say`, features);
  const aligned = features ?? (named as string[]);
  if (new Set(aligned).size < aligned.length)
    throw refuse(features ? 'out_features' : 'out_indices', 'each stage once', features ?? indices);
  return [aligned, indices ?? aligned.map((feature) => stages.indexOf(feature))];
}

/** A value of an unknown field, so that it can be written back as it was read. */
function copyJson(field: string, value: unknown, depth: number): unknown {
  if (depth <= MAX_DEPTH) {
    if (value === null || typeof value === 'string' || typeof value === 'boolean' || NUMBER.is(value)) return value;
    if (Array.isArray(value)) return value.map((item) => copyJson(field, item, depth + 1));
    if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyJson(field, item, depth + 1)]));
  }
  throw refuse(field, 'a value that JSON can hold', value);
}
