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

/** The quotient that, multiplied by the divisor and rounded down, is the dividend again. */
function ratio(dividend: number, divisor: number): number {
  const quotient = dividend / divisor;
  return Math.floor(quotient * divisor) === dividend ? quotient : quotient * (1 + Number.EPSILON);
}
