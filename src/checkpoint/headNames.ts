import { CheckpointError } from '../errors.ts';
import type { ModelSource } from '../files/source.ts';
import { Checkpoint, type Entry } from './checkpoint.ts';
import { type Rule, rename } from './names.ts';
import { openCheckpoint } from './shards.ts';

/** The DPT head of facebookresearch/dinov2 (dinov2/hub/depth/decode_heads.py), to the names of transformers' DPT. */
const DPT: readonly Rule[] = [
  { from: ['decode_head.reassemble_blocks.projects.*.conv'], to: ['neck.reassemble_stage.layers.*.projection'] },
  { from: ['decode_head.reassemble_blocks.readout_projects.*.0'], to: ['neck.reassemble_stage.readout_projects.*.0'] },
  { from: ['decode_head.reassemble_blocks.resize_layers.*'], to: ['neck.reassemble_stage.layers.*.resize'] },
  { from: ['decode_head.convs.*.conv'], to: ['neck.convs.*'] },
  { from: ['decode_head.fusion_blocks.*'], to: ['neck.fusion_stage.layers.*'] },
  { from: ['project.conv'], to: ['projection'] },
  { from: ['res_conv_unit1.conv1.conv'], to: ['residual_layer1.convolution1'] },
  { from: ['res_conv_unit1.conv2.conv'], to: ['residual_layer1.convolution2'] },
  { from: ['res_conv_unit2.conv1.conv'], to: ['residual_layer2.convolution1'] },
  { from: ['res_conv_unit2.conv2.conv'], to: ['residual_layer2.convolution2'] },
  { from: ['decode_head.projection'], to: ['head.projection'] },
  { from: ['decode_head.conv_depth.head.*'], to: ['head.head.*'] },
];

/** `torch.nn.utils.parametrizations.weight_norm` names its tensors otherwise than the older `weight_norm`. */
const PROJECTION: readonly Rule[] = [
  { from: ['last_layer.parametrizations.weight.original0'], to: ['last_layer.weight_g'] },
  { from: ['last_layer.parametrizations.weight.original1'], to: ['last_layer.weight_v'] },
];

/** How often a batch norm was trained, which nothing needs. */
const COUNTER = /(^|\.)num_batches_tracked$/;

/**
 * The tensors of a head that comes in a file of its own, as facebookresearch/dinov2 publishes them, under the names that our models give
 * to them: classifier, neck, head, decode_head, dino_head. The checkpoint is to be closed.
 * @throws as {@link openCheckpoint}
 */
export async function openHead(source: ModelSource): Promise<Checkpoint> {
  const file = await openCheckpoint(source);
  try {
    return canonicalHead(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function canonicalHead(checkpoint: Checkpoint): Checkpoint {
  const { entries } = checkpoint;
  const kept = [...entries].filter(([name]) => !COUNTER.test(name));
  const isClassifier = entries.has('weight') && entries.get('weight')?.dims.length === 2;
  const isProjection = kept.some(([name]) => name.startsWith('last_layer.'));
  const prefix = isClassifier ? 'classifier.' : isProjection ? 'dino_head.' : '';
  const named = new Map(kept.map(([name, entry]) => [prefix + name, entry]));
  return rename(new Checkpoint({ ...checkpoint, entries: named }), [...DPT, ...PROJECTION]);
}

/** A tensor that every encoder has, whatever stands before its name. */
const ENCODER_MARK = 'embeddings.patch_embeddings.projection.weight';

/**
 * An encoder and a head out of two checkpoints as one, which owns the files of both. What the encoder's has beside the encoder is left out.
 * @param encoder in the layout of the hub
 * @param prefix for the names of the encoder's tensors
 * @throws {CheckpointError} when there is no encoder in it, or when the head has tensors of the same names
 */
export function joinHead(encoder: Checkpoint, head: Checkpoint, prefix: string): Checkpoint {
  const name = encoder.name === head.name ? encoder.name : `${encoder.name} with ${head.name}`;
  const mark = [...encoder.entries.keys()].find((tensor) => `.${tensor}`.endsWith(`.${ENCODER_MARK}`));
  if (mark === undefined) throw new CheckpointError(`${encoder.name}: expected an encoder, that is a tensor "${ENCODER_MARK}", found none`);
  const own = mark.slice(0, -ENCODER_MARK.length);
  const entries = new Map<string, Entry>();
  for (const [tensor, entry] of encoder.entries) {
    const bare = tensor.startsWith(own) ? tensor.slice(own.length) : '';
    if (/^(embeddings|encoder|layernorm)\./.test(bare)) entries.set(prefix + bare, entry);
  }
  for (const [tensor, entry] of head.entries) {
    if (entries.has(tensor)) throw new CheckpointError(`${name}: expected one tensor "${tensor}", found it in both`);
    entries.set(tensor, entry);
  }
  return new Checkpoint({ name, entries, metadata: encoder.metadata, files: [...encoder.files, ...head.files] });
}
