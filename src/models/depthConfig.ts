import { ConfigError } from '../errors.ts';
import { describe, isJsonObject, type JsonObject } from '../files/json.ts';
import type { Readout } from '../heads/dpt.ts';
import type { PosEmbed } from '../nn/positionEmbedding.ts';
import { Dinov2Config, type Dinov2ConfigFields, Dinov2WithRegistersConfig } from './config.ts';

const BACKBONES = [Dinov2Config, Dinov2WithRegistersConfig];
/** Fields that all models have and that a depth model says for itself, not its backbone. */
const GENERIC = ['output_attentions', 'output_hidden_states', 'return_dict', 'initializer_range'] as const;
const READOUTS: readonly Readout[] = ['ignore', 'add', 'project'];
const READOUT_ACTS = ['gelu', 'relu', 'selu', 'silu'] as const;
const DEPTH_TYPES = ['relative', 'metric'] as const;

type ReadoutAct = (typeof READOUT_ACTS)[number];
export type DepthEstimationType = (typeof DEPTH_TYPES)[number];

/** Fields as in config.json, all optional; others are kept too. */
export interface DepthConfigFields {
  /** The fields of {@link Dinov2Config}, with its `model_type`. */
  readonly backbone_config?: Dinov2Config | Dinov2ConfigFields | null;
  readonly [field: string]: unknown;
}

/**
 * What the configurations of depth models on a DINOv2 backbone share. Beside its own fields it has those of the backbone, which in
 * config.json stand in `backbone_config`: `hidden_size`, `patch_size` and the like are the backbone's. Fields without effect on such a
 * model are kept and written back.
 */
abstract class DepthConfig extends Dinov2Config {
  /** The stages in its `out_features` feed the neck; `reshape_hidden_states` has no effect here. */
  readonly backbone_config: Dinov2Config;
  /** Channels of each level of the neck, the shallowest first. */
  readonly neck_hidden_sizes: readonly number[];
  /** What each level multiplies the grid of patches by: a whole number, or one over it. */
  readonly reassemble_factors: readonly number[];
  /** Channels of the fusion. */
  readonly fusion_hidden_size: number;
  /** Which fusion the head takes, from the deepest level on; -1 is the last. */
  readonly head_in_index: number;
  readonly #given: JsonObject;
  readonly #own: JsonObject = {};

  constructor(
    fields: DepthConfigFields,
    { backbone, neckSizes, fusionSize }: { backbone: Dinov2ConfigFields | undefined; neckSizes: readonly number[]; fusionSize: number },
  ) {
    if (!isJsonObject(fields)) throw new ConfigError(`config: expected an object, found ${describe(fields)}`);
    const backbone_config = readBackbone(fields, backbone);
    const generic = GENERIC.flatMap((key) => (fields[key] === undefined ? [] : [[key, fields[key]]]));
    super({ ...backbone_config.to_dict(), model_type: undefined, ...Object.fromEntries(generic) });
    this.backbone_config = backbone_config;
    this.#given = copyJson({ ...fields, model_type: fields.model_type }); // of a configuration it is no field but a getter
    this.take('model_type', `"${this.model_type}"`, (value) => value === this.model_type, this.model_type);
    this.neck_hidden_sizes = this.take('neck_hidden_sizes', 'an array of positive integers', arrayOf(isPositiveInteger), neckSizes);
    this.reassemble_factors = this.take(
      'reassemble_factors',
      'an array of whole numbers or one over them',
      arrayOf(isFactor),
      [4, 2, 1, 0.5],
    );
    this.fusion_hidden_size = this.take('fusion_hidden_size', 'an integer of at least 2', isTwoOrMore, fusionSize);
    const levels = this.neck_hidden_sizes.length;
    this.head_in_index = this.take('head_in_index', `an integer from ${-levels} to ${levels - 1}`, isIndexOf(levels), -1);
    this.#checkLevels();
  }

  override get registers(): number {
    return this.backbone_config.registers;
  }

  override get posEmbed(): PosEmbed {
    return this.backbone_config.posEmbed;
  }

  /** {@link head_in_index} counted from the deepest level. */
  get outputLevel(): number {
    return this.head_in_index < 0 ? this.head_in_index + this.neck_hidden_sizes.length : this.head_in_index;
  }

  /** The fields as they stand in config.json, the backbone's in `backbone_config`. A new object each time. */
  override to_dict(): JsonObject {
    return structuredClone({ ...this.#given, ...this.#own, backbone_config: this.backbone_config.to_dict() });
  }

  /** A field of config.json. @throws {ConfigError} naming it unless `is` accepts its value */
  protected take<T>(key: string, expected: string, is: (value: unknown) => boolean, fallback: NoInfer<T>): T {
    const value = this.#given[key] ?? fallback;
    if (!is(value)) throw refuse(key, expected, value);
    this.#own[key] = value;
    return value as T;
  }

  #checkLevels(): void {
    const levels = this.neck_hidden_sizes.length;
    if (this.reassemble_factors.length !== levels) {
      throw refuse('reassemble_factors', `${levels}, as many as neck_hidden_sizes`, this.reassemble_factors);
    }
    if (this.out_features.length !== levels) {
      throw refuse('backbone_config.out_features', `${levels}, as many as neck_hidden_sizes`, this.out_features);
    }
  }
}

/**
 * DPT on a DINOv2 backbone: fields and defaults of transformers' configuration_dpt.py. A plain ViT or a hybrid in place of a backbone is
 * refused.
 */
export class DPTConfig extends DepthConfig {
  /** What the class token does to the patches. */
  readonly readout_type: Readout;
  /** The activation behind the readout `project`; config.json calls it `hidden_act`. */
  readonly readoutAct: ReadoutAct;
  /** Whether the head starts with a convolution of its own. */
  readonly add_projection: boolean;
  /** Null is true: without batch norm the residual units have biases. */
  readonly use_bias_in_fusion_residual: boolean | null;

  /**
   * @throws {ConfigError} naming the field that has the wrong type, that does not go with another, or that asks for what is not supported
   */
  constructor(fields: DepthConfigFields = {}) {
    super(fields, { backbone: undefined, neckSizes: [96, 192, 384, 768], fusionSize: 256 });
    this.readout_type = this.take('readout_type', oneOf(READOUTS), isOneOf(READOUTS), 'project');
    this.readoutAct = this.take('hidden_act', oneOf(READOUT_ACTS), isOneOf(READOUT_ACTS), 'gelu');
    this.add_projection = this.take('add_projection', 'true or false', isBoolean, false);
    const isBias = (value: unknown): boolean => value === null || isBoolean(value);
    this.use_bias_in_fusion_residual = this.take('use_bias_in_fusion_residual', 'true, false or null', isBias, null);
    const isOff = (value: unknown): boolean => value === false;
    this.take('is_hybrid', 'false: only DINOv2 backbones are supported', isOff, false);
    this.take('use_batch_norm_in_fusion_residual', 'false: batch norm is not supported here', isOff, false);
  }

  override get model_type(): string {
    return 'dpt';
  }
}

/** Depth Anything: fields and defaults of transformers' configuration_depth_anything.py; by default the small model of version 1. */
export class DepthAnythingConfig extends DepthConfig {
  /** Width of the tokens, as of the backbone. */
  readonly reassemble_hidden_size: number;
  /** Channels of the last but one convolution of the head. */
  readonly head_hidden_size: number;
  readonly depth_estimation_type: DepthEstimationType;
  /** By what the result is multiplied: metres for metric depth. */
  readonly max_depth: number;

  /** @throws {ConfigError} naming the field that has the wrong type, or that does not go with another */
  constructor(fields: DepthConfigFields = {}) {
    super(fields, { backbone: DEPTH_ANYTHING_SMALL, neckSizes: [48, 96, 192, 384], fusionSize: 64 });
    const { hidden_size, patch_size } = this.backbone_config;
    const isWidth = (value: unknown): boolean => value === hidden_size;
    this.reassemble_hidden_size = this.take('reassemble_hidden_size', `hidden_size ${hidden_size} of the backbone`, isWidth, hidden_size);
    const isPatch = (value: unknown): boolean => describe(value) === describe(patch_size);
    this.take('patch_size', `patch_size ${describe(patch_size)} of the backbone`, isPatch, patch_size);
    this.head_hidden_size = this.take('head_hidden_size', 'a positive integer', isPositiveInteger, 32);
    this.depth_estimation_type = this.take('depth_estimation_type', oneOf(DEPTH_TYPES), isOneOf(DEPTH_TYPES), 'relative');
    this.max_depth = this.take('max_depth', 'a positive number', (value) => Number.isFinite(value) && (value as number) > 0, 1);
  }

  override get model_type(): string {
    return 'depth_anything';
  }
}

const DEPTH_ANYTHING_SMALL: Dinov2ConfigFields = {
  model_type: 'dinov2',
  image_size: 518,
  patch_size: 14,
  hidden_size: 384,
  num_attention_heads: 6,
  out_indices: [9, 10, 11, 12],
  reshape_hidden_states: false,
};

function readBackbone({ backbone_config, backbone }: DepthConfigFields, fallback: Dinov2ConfigFields | undefined): Dinov2Config {
  if (backbone_config instanceof Dinov2Config) return backbone_config;
  const fields = backbone_config ?? (backbone == null ? fallback : undefined);
  if (fields === undefined || !isJsonObject(fields)) throw refuse('backbone_config', 'the fields of a DINOv2 backbone', fields);
  const types = BACKBONES.map((Config) => new Config().model_type);
  const Backbone = BACKBONES[types.indexOf(fields.model_type as string)];
  if (!Backbone) throw refuse('backbone_config.model_type', oneOf(types), fields.model_type);
  try {
    return new Backbone(fields);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`config "backbone_config": ${error.message}`);
  }
}

/** The fields but for the backbone's, so that they can be written back as they were read. */
function copyJson({ backbone_config: _, ...fields }: DepthConfigFields): JsonObject {
  const strict = (key: string, value: unknown): unknown => {
    const isLost = ['bigint', 'function', 'symbol'].includes(typeof value) || (typeof value === 'number' && !Number.isFinite(value));
    if (isLost) throw refuse(key, 'a value that JSON can hold', value);
    return value;
  };
  try {
    return JSON.parse(JSON.stringify(fields, strict)) as JsonObject;
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`config: expected values that JSON can hold, found others: ${(cause as Error).message}`, { cause }); // a cycle
  }
}

function refuse(field: string, expected: string, found: unknown): ConfigError {
  return new ConfigError(`config ${describe(field)}: expected ${expected}, found ${describe(found)}`);
}

function oneOf(words: readonly string[]): string {
  return words.map(describe).join(' or ');
}

function isOneOf(words: readonly string[]): (value: unknown) => boolean {
  return (value) => words.includes(value as string);
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isPositiveInteger(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isTwoOrMore(value: unknown): boolean {
  return isPositiveInteger(value) && value !== 1;
}

function isFactor(value: unknown): boolean {
  return isPositiveInteger(value) || (typeof value === 'number' && value > 0 && isPositiveInteger(1 / value));
}

function isIndexOf(count: number): (value: unknown) => boolean {
  return (value) => Number.isInteger(value) && (value as number) >= -count && (value as number) < count;
}

function arrayOf(is: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => Array.isArray(value) && value.length > 0 && value.every(is);
}
