import { ArgumentError, DTypeError, ShapeError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { checkOptions, checkSignal } from '../options.ts';
import type { Float32 } from '../tensor/place.ts';
import { checkDims } from '../tensor/place.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Dinov2Config } from './config.ts';

/** What a model may be called with besides its pixels. */
export interface CallOptions {
  /** Whether to give the attention probabilities of each block. Default that of the configuration. */
  output_attentions?: boolean;
  /** Whether to give the output of the embeddings and of each block. Default that of the configuration. */
  output_hidden_states?: boolean;
  /** `false` gives an array of the values in place of an object. Default that of the configuration. */
  return_dict?: boolean;
  /**
   * Hears of the attention probabilities of each block as they come, (heads, tokens, tokens) a picture, for when those of all blocks together
   * are too much to keep. Blocks and pictures count from 0.
   */
  attention_callback?: AttentionCallback;
  /** Stops the run between two blocks. */
  signal?: AbortSignal;
}

export type AttentionCallback = (attention: Float32, at: { readonly layer: number; readonly picture: number }) => void;

export interface HeadMaskOption {
  /** (heads) or (layers, heads): by what the probabilities of each head are multiplied. */
  head_mask?: Tensor;
}

export interface MaskedOption {
  /** (batch, patches), not 0 where the mask token stands in for the patch. */
  bool_masked_pos?: Tensor;
}

export interface LabelsOption {
  /** The truth for a loss: (batch) classes, (batch) numbers, or (batch, num_labels). */
  labels?: Tensor | readonly number[];
}

export interface LastHiddenStateOption {
  /** Whether to give the tokens as well, after the final layer norm: embeddings and labels in one run. Default false. */
  output_last_hidden_state?: boolean;
}

/** A call after all checks. */
export interface Request {
  /** (batch, channels, height, width) */
  readonly pixels: Float32;
  /** One mask a block, one number a head. */
  readonly headMask: readonly Float32Array[] | undefined;
  /** (batch, patches) */
  readonly masked: Tensor | undefined;
  readonly labels: Tensor | readonly number[] | undefined;
  readonly attentions: boolean;
  readonly attentionCallback: AttentionCallback | undefined;
  readonly hiddenStates: boolean;
  readonly lastHiddenState: boolean;
  readonly asObject: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Inputs that some models take; what else stands beside pixel_values is for others. */
const INPUTS = ['head_mask', 'bool_masked_pos', 'labels', 'attention_callback', 'output_last_hidden_state'];
const COMMON = ['output_attentions', 'output_hidden_states', 'return_dict', 'signal'];

/**
 * Checks the arguments of a call against a configuration. `accepts`: the options besides the common ones that the model takes.
 * @throws {ArgumentError} {ShapeError} {DTypeError} naming the argument
 */
export function resolveRequest(
  config: Dinov2Config,
  accepts: readonly string[],
  inputs: unknown,
  options: Readonly<Record<string, unknown>> = {},
): Request {
  const named = inputs instanceof Tensor ? { pixel_values: inputs } : inputs;
  if (typeof named !== 'object' || named === null) {
    throw new ArgumentError(`inputs: expected a tensor or an object with pixel_values, found ${describe(inputs)}`);
  }
  checkOptions('model', options, [...COMMON, ...accepts]);
  const given = { ...named, ...options } as Record<string, unknown>;
  const refused = INPUTS.find((key) => given[key] != null && !accepts.includes(key));
  if (refused)
    throw new ArgumentError(
      `${refused}: expected none, found ${describe(given[refused])}: this model, or this trace of it, takes no ${refused}`,
    );
  const flag = (key: 'output_attentions' | 'output_hidden_states' | 'return_dict'): boolean => {
    return checkFlag(key, given[key] ?? config[key]);
  };
  const optional = (key: string): unknown => (accepts.includes(key) ? (given[key] ?? undefined) : undefined);

  const pixels = checkPixels(config, given.pixel_values);
  const mask = optional('head_mask');
  const masked = optional('bool_masked_pos');
  return {
    pixels,
    headMask: mask === undefined ? undefined : headMask(config, mask),
    masked: masked === undefined ? undefined : checkMasked(config, masked, pixels.dims),
    labels: optional('labels') as Request['labels'],
    attentions: flag('output_attentions'),
    attentionCallback: checkCallback(optional('attention_callback')),
    hiddenStates: flag('output_hidden_states'),
    lastHiddenState: checkFlag('output_last_hidden_state', optional('output_last_hidden_state') ?? false),
    asObject: flag('return_dict'),
    signal: checkSignal(given.signal ?? undefined),
  };
}

/** Rows and columns of patches of a picture. */
export function gridOf(config: Dinov2Config, height: number, width: number): readonly [rows: number, columns: number] {
  const [patchHeight, patchWidth] = config.patchSize;
  return [Math.floor(height / patchHeight), Math.floor(width / patchWidth)];
}

function checkCallback(value: unknown): AttentionCallback | undefined {
  if (value === undefined || typeof value === 'function') return value as AttentionCallback | undefined;
  throw new ArgumentError(`attention_callback: expected a function, found ${describe(value)}`);
}

function checkFlag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new ArgumentError(`${name}: expected true or false, found ${describe(value)}`);
  return value;
}

function checkTensor(name: string, value: unknown): Tensor {
  if (!(value instanceof Tensor)) throw new ArgumentError(`${name}: expected a Tensor, found ${describe(value)}`);
  return value;
}

function checkPixels(config: Dinov2Config, value: unknown): Float32 {
  const pixels = checkTensor('pixel_values', value);
  if (!['float32', 'float16', 'bfloat16'].includes(pixels.dtype)) {
    throw new DTypeError(`pixel_values: expected float32, found ${pixels.dtype}: an image processor makes them of pictures`);
  }
  checkPixelDims(config, pixels.dims);
  return pixels.to('float32');
}

/** Throws {@link ShapeError} unless a model of this configuration takes pixels of these dimensions. */
export function checkPixelDims(config: Dinov2Config, dims: readonly number[]): void {
  const [patchHeight, patchWidth] = config.patchSize;
  const [batch = 0, , height = 0, width = 0] = dims;
  checkDims('pixel_values', [-1, config.num_channels, -1, -1], dims);
  if (!(batch >= 1 && height >= patchHeight && width >= patchWidth && dims.every(Number.isSafeInteger))) {
    throw new ShapeError(
      `pixel_values: expected a batch of at least 1 and pictures of at least one patch of ${patchHeight} x ${patchWidth}, found [${dims}]`,
    );
  }
}

function checkMasked(config: Dinov2Config, value: unknown, [batch = 0, , height = 0, width = 0]: readonly number[]): Tensor {
  const masked = checkTensor('bool_masked_pos', value);
  if (!config.use_mask_token) throw new ArgumentError('bool_masked_pos: this model has no mask token (use_mask_token is false)');
  const [rows, columns] = gridOf(config, height, width);
  checkDims('bool_masked_pos', [batch, rows * columns], masked.dims);
  return masked;
}

function headMask({ num_hidden_layers: layers, num_attention_heads: heads }: Dinov2Config, value: unknown): Float32Array[] {
  const mask = checkTensor('head_mask', value).to('float32');
  if (mask.dims.length === 1) {
    checkDims('head_mask', [heads], mask.dims);
    return Array.from({ length: layers }, () => mask.data);
  }
  checkDims('head_mask', [layers, heads], mask.dims);
  return Array.from({ length: layers }, (_, layer) => mask.at(layer).data);
}
