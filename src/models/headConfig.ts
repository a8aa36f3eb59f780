import { ConfigError } from '../errors.ts';
import type { PosEmbed } from '../nn/positionEmbedding.ts';
import {
  check,
  Dinov2Config,
  type Dinov2ConfigFields,
  INTEGERS,
  integer,
  type Kind,
  LAYERS,
  MAX_REGISTERS,
  NUMBER_FROM_ZERO,
  oneOf,
  POSITIVE_INTEGER,
  POSITIVE_NUMBER,
} from './config.ts';
import { spreadBlocks } from './recognition.ts';

const DEPTH_HEADS = ['linear', 'dpt'] as const;
const MAX_PROTOTYPES = 10_000_000;

/** The heads for depth of facebookresearch/dinov2. */
export type DepthHeadKind = (typeof DEPTH_HEADS)[number];

/**
 * An encoder with a head of facebookresearch/dinov2 that transformers does not have: the fields of {@link Dinov2Config} and
 * `num_register_tokens`, here 0 by default.
 */
abstract class HeadConfig extends Dinov2Config {
  readonly num_register_tokens: number;

  constructor(fields: Dinov2ConfigFields = {}) {
    super(fields);
    this.num_register_tokens = check('num_register_tokens', integer(0, MAX_REGISTERS), fields.num_register_tokens ?? 0);
  }

  override get registers(): number {
    return this.num_register_tokens;
  }

  override get posEmbed(): PosEmbed {
    return this.num_register_tokens > 0 ? 'antialias' : 'offset';
  }
}

/** The configuration of {@link Dinov2ForDepthEstimation}. The stages in `out_indices` feed the head, 1 or 4 of them. */
export class Dinov2DepthConfig extends HeadConfig {
  readonly head_type: DepthHeadKind;
  /** Metres. */
  readonly min_depth: number;
  /** Metres. */
  readonly max_depth: number;
  /** Bins of depth of a linear head. */
  readonly num_bins: number;
  /** Of a DPT head: channels of each level of the neck, the shallowest first. */
  readonly neck_hidden_sizes: readonly number[];
  /** Of a DPT head: channels of the fusion. */
  readonly fusion_hidden_size: number;

  /** @throws {ConfigError} naming the field that has the wrong type, or that does not go with another */
  constructor(fields: Dinov2ConfigFields = {}) {
    const layers = check('num_hidden_layers', LAYERS, fields.num_hidden_layers ?? 12);
    super({ apply_layernorm: false, ...withStages(fields, [...new Set(spreadBlocks(layers))]) });
    const width = this.hidden_size;
    this.head_type = check('head_type', oneOf(DEPTH_HEADS), fields.head_type ?? 'linear');
    this.min_depth = check('min_depth', NUMBER_FROM_ZERO, fields.min_depth ?? 0.001);
    this.max_depth = check('max_depth', POSITIVE_NUMBER, fields.max_depth ?? 10);
    this.num_bins = check('num_bins', POSITIVE_INTEGER, fields.num_bins ?? 256);
    this.neck_hidden_sizes = check(
      'neck_hidden_sizes',
      FOUR_SIZES,
      fields.neck_hidden_sizes ?? [8, 4, 2, 1].map((part) => Math.ceil(width / part)),
    );
    this.fusion_hidden_size = check('fusion_hidden_size', integer(2, 2 ** 20), fields.fusion_hidden_size ?? 256);
    if (this.max_depth <= this.min_depth) {
      throw new ConfigError(`config "max_depth": expected more than min_depth ${this.min_depth}, found ${this.max_depth}`);
    }
    const stages = this.out_features.length;
    if (this.head_type === 'dpt' && stages !== 4)
      throw new ConfigError(`config "out_indices": expected 4 stages for a DPT head, found ${stages}`);
  }

  override get model_type(): string {
    return 'dinov2_depth';
  }
}

/** The configuration of {@link Dinov2ForSemanticSegmentation}. The stages in `out_indices` feed the head: the last, or the last four. */
export class Dinov2SegmentationConfig extends HeadConfig {
  override get model_type(): string {
    return 'dinov2_segmentation';
  }
}

/** The configuration of {@link Dinov2ForPreTraining}; defaults are those of dinov2/configs/ssl_default_config.yaml. */
export class Dinov2PreTrainingConfig extends HeadConfig {
  /** Linear layers of a head before the prototypes. */
  readonly head_layers: number;
  readonly head_hidden_size: number;
  readonly head_bottleneck_size: number;
  readonly num_prototypes: number;
  /** Prototypes of a head of its own for the patches; 0 without one, where the head of the class token does for both. */
  readonly num_ibot_prototypes: number;

  /** @throws {ConfigError} naming the field that has the wrong type */
  constructor(fields: Dinov2ConfigFields = {}) {
    super(fields);
    this.head_layers = check('head_layers', integer(1, 100), fields.head_layers ?? 3);
    this.head_hidden_size = check('head_hidden_size', POSITIVE_INTEGER, fields.head_hidden_size ?? 2048);
    this.head_bottleneck_size = check('head_bottleneck_size', POSITIVE_INTEGER, fields.head_bottleneck_size ?? 256);
    this.num_prototypes = check('num_prototypes', integer(1, MAX_PROTOTYPES), fields.num_prototypes ?? 65536);
    this.num_ibot_prototypes = check('num_ibot_prototypes', integer(0, MAX_PROTOTYPES), fields.num_ibot_prototypes ?? 0);
  }

  override get model_type(): string {
    return 'dinov2_pretraining';
  }
}

const FOUR_SIZES: Kind<readonly number[]> = {
  expected: 'an array of 4 positive integers',
  is: (value): value is number[] => INTEGERS.is(value) && value.length === 4 && value.every((size) => size > 0),
};

/** The fields with these stages, unless they name some. */
function withStages(fields: Dinov2ConfigFields, stages: readonly number[]): Dinov2ConfigFields {
  return fields.out_indices || fields.out_features ? fields : { ...fields, out_indices: stages };
}
