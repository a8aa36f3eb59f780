import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { canonical } from '../checkpoint/names.ts';
import { CheckpointError } from '../errors.ts';
import { describe, type JsonObject } from '../files/json.ts';

/** Width of a head in all released models. Tensors do not tell it. */
const HEAD_SIZE = 64;

const PATCHES = 'embeddings.patch_embeddings.projection.weight';

/**
 * The configuration of a model that comes without one, from its tensors alone, in whichever layout {@link canonical} knows. What tensors
 * do not tell is as in all released models: heads of width 64, GELU, a layer norm epsilon of 1e-6, position embeddings of a square
 * picture.
 * @param given what is known of it: `num_attention_heads` is needed where heads of width 64 do not fit
 * @throws {CheckpointError} when it is no DINOv2, naming the tensor that is missing or of other dimensions
 */
export function recogniseDinov2(
  checkpoint: Checkpoint,
  given: { readonly num_attention_heads?: number } = {},
): JsonObject & { readonly model_type: 'dinov2' | 'dinov2_with_registers' } {
  const tensors = canonical(checkpoint).entries;
  const refuse = (problem: string): CheckpointError => new CheckpointError(`${checkpoint.name}: not recognised as a DINOv2: ${problem}`);
  const mark = [...tensors.keys()].find((name) => `.${name}`.endsWith(`.${PATCHES}`));
  if (mark === undefined) throw refuse(`expected a tensor ${describe(PATCHES)} under this or its original name, found none`);
  const prefix = mark.slice(0, -PATCHES.length);
  const has = (name: string): boolean => tensors.has(prefix + name);
  const dimsOf = (name: string, rank: number): number[] => {
    const dims = tensors.get(prefix + name)?.dims;
    if (dims?.length === rank && !dims.includes(0)) return [...dims];
    throw refuse(`expected a tensor ${describe(prefix + name)} of ${rank} dimensions, found ${dims ? describe(dims) : 'none'}`);
  };

  const [hidden_size, num_channels, patchHeight, patchWidth] = dimsOf(PATCHES, 4) as [number, number, number, number];
  const [, positions] = dimsOf('embeddings.position_embeddings', 3) as [number, number, number];
  const side = Math.sqrt(positions - 1);
  if (!Number.isInteger(side) || side === 0)
    throw refuse(`expected position embeddings of a class token and a square of patches, found ${positions}`);

  let num_hidden_layers = 0;
  while (has(`encoder.layer.${num_hidden_layers}.norm1.weight`)) num_hidden_layers += 1;
  dimsOf('encoder.layer.0.layer_scale1.lambda1', 1); // DINO v1, DeiT and their like have none

  const { num_attention_heads = hidden_size / HEAD_SIZE } = given;
  if (given.num_attention_heads === undefined && !Number.isInteger(num_attention_heads)) {
    throw refuse(
      `expected a width that is a multiple of ${HEAD_SIZE}, found ${hidden_size}: give num_attention_heads in the option config`,
    );
  }
  const use_swiglu_ffn = has('encoder.layer.0.mlp.weights_in.weight');
  const [outer = 0] = use_swiglu_ffn ? dimsOf('encoder.layer.0.mlp.weights_in.weight', 2) : dimsOf('encoder.layer.0.mlp.fc1.weight', 2);
  const hidden = use_swiglu_ffn ? (outer / 2) * 1.5 : outer; // a SwiGLU has two thirds of the units, in two halves
  const registers = has('embeddings.register_tokens') ? dimsOf('embeddings.register_tokens', 3)[1] : undefined;
  const classes = tensors.get('classifier.weight')?.dims[0];
  return {
    model_type: registers === undefined ? 'dinov2' : 'dinov2_with_registers',
    hidden_size,
    num_hidden_layers,
    num_attention_heads,
    mlp_ratio: ratio(hidden, hidden_size),
    layer_norm_eps: 1e-6,
    image_size: patchHeight === patchWidth ? side * patchHeight : [side * patchHeight, side * patchWidth],
    patch_size: patchHeight === patchWidth ? patchHeight : [patchHeight, patchWidth],
    num_channels,
    qkv_bias: has('encoder.layer.0.attention.attention.query.bias'),
    use_swiglu_ffn,
    use_mask_token: has('embeddings.mask_token'),
    ...(registers !== undefined && { num_register_tokens: registers }),
    ...(classes !== undefined && { num_labels: classes }),
  };
}

/** Whether these are the tensors of a Depth Anything in the layout of its authors. */
export function isDepthAnything({ entries }: Checkpoint): boolean {
  return entries.has('depth_head.scratch.output_conv1.weight');
}

/** Blocks of each version, as the authors number them from 1: the last four, or by the depth of the encoder. */
const VERSION_1 = (depth: number): number[] => [depth - 3, depth - 2, depth - 1, depth];

/** Metres of the largest depth, by the words that the names of metric checkpoints have. */
const METRIC_DEPTH: readonly (readonly [word: RegExp, metres: number])[] = [
  [/hypersim|indoor/i, 20],
  [/vkitti|outdoor/i, 80],
];

/**
 * The configuration of a Depth Anything that comes without one. Its tensors do not tell the version, that is which blocks feed the neck,
 * nor whether the depth is metric; the names under which the authors publish their files do: depth_anything_vits14.pth,
 * depth_anything_v2_vits.pth, depth_anything_v2_metric_hypersim_vits.pth. Under another name `given.out_indices` tells the version, and
 * `depth_estimation_type` and `max_depth` in the option config the kind of depth.
 * @throws {CheckpointError} when it is none, or when the version is not known
 */
export function recogniseDepthAnything(
  checkpoint: Checkpoint,
  given: { readonly num_attention_heads?: number; readonly out_indices?: readonly number[] | null } = {},
): JsonObject & { readonly model_type: 'depth_anything' } {
  const { num_labels: _, ...encoder } = recogniseDinov2(checkpoint, given);
  const { entries, name } = canonical(checkpoint);
  const outputs = (tensor: string): number => {
    const [channels] = entries.get(tensor)?.dims ?? [];
    if (channels) return channels;
    throw new CheckpointError(`${name}: not recognised as a Depth Anything: expected a tensor ${describe(tensor)}, found none`);
  };
  const file = fileOf(name);
  const isVersion2 = /_v2[_.]/i.test(file);
  const depth = encoder.num_hidden_layers as number;
  const out_indices =
    given.out_indices ?? (isVersion2 ? spreadBlocks(depth) : /depth_anything_vit/i.test(file) ? VERSION_1(depth) : undefined);
  if (!out_indices) {
    const versions = `${describe(VERSION_1(depth))} in version 1, ${describe(spreadBlocks(depth))} in version 2`;
    throw new CheckpointError(
      `${name}: expected a name like depth_anything_vits14.pth or depth_anything_v2_vits.pth, found one that does not tell the version: give out_indices in the option config, ${versions}`,
    );
  }
  const metres = METRIC_DEPTH.find(([word]) => word.test(file))?.[1];
  return {
    model_type: 'depth_anything',
    backbone_config: { ...encoder, out_indices: [...out_indices], reshape_hidden_states: false },
    reassemble_hidden_size: encoder.hidden_size,
    neck_hidden_sizes: [0, 1, 2, 3].map((level) => outputs(`neck.reassemble_stage.layers.${level}.projection.weight`)),
    fusion_hidden_size: outputs('neck.convs.0.weight'),
    head_hidden_size: outputs('head.conv2.weight'),
    ...(metres !== undefined && { depth_estimation_type: 'metric', max_depth: metres }),
  };
}

/** The name of a file without its folder. */
export function fileOf(path: string): string {
  return path.replace(/^.*[\\/]/s, '');
}

/**
 * The four blocks, numbered from 1, from which the authors feed a dense head: every quarter of the encoder, but the fifth in place of the
 * sixth of 24 (dinov2/hub/depthers.py, `out_index`).
 */
export function spreadBlocks(depth: number): number[] {
  const quarters = [1, 2, 3, 4].map((i) => Math.max(1, Math.floor((i * depth) / 4)));
  return depth === 24 ? [5, ...quarters.slice(1)] : quarters;
}

/** The quotient that, multiplied by the divisor and rounded down, is the dividend again. */
function ratio(dividend: number, divisor: number): number {
  const quotient = dividend / divisor;
  return Math.floor(quotient * divisor) === dividend ? quotient : quotient * (1 + Number.EPSILON);
}
