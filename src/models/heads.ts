import { Checkpoint } from '../checkpoint/checkpoint.ts';
import { joinHead, openHead } from '../checkpoint/headNames.ts';
import { openCanonical } from '../checkpoint/shards.ts';
import { ArgumentError, CheckpointError } from '../errors.ts';
import { describe, type JsonObject } from '../files/json.ts';
import type { ModelSource } from '../files/source.ts';
import { openModel } from '../hub/source.ts';
import type { Dinov2Config, Dinov2ConfigFields } from './config.ts';
import { labelNamesOf } from './labelNames.ts';
import { fileOf, spreadBlocks } from './recognition.ts';

export type HeadKind = 'classifier' | 'linear depth head' | 'DPT depth head' | 'segmentation head' | 'projection head';

/** What the tensors of a head tell. */
export interface Head {
  readonly kind: HeadKind;
  /** Fields of the configuration of a model with this head. */
  readonly fields: JsonObject;
}

/** Who loads which kind of head. */
const CLASSES: Readonly<Record<HeadKind, string>> = {
  classifier: 'Dinov2ForImageClassification',
  'linear depth head': 'Dinov2ForDepthEstimation',
  'DPT depth head': 'Dinov2ForDepthEstimation',
  'segmentation head': 'Dinov2ForSemanticSegmentation',
  'projection head': 'Dinov2ForPreTraining',
};

/** Stages that released heads put side by side. */
const LAYERS = [1, 4];

/** Widths of the encoders whose letter the names of the authors' files have. */
const WIDTHS: ReadonlyMap<string, number> = new Map([
  ['s', 384],
  ['b', 768],
  ['l', 1024],
  ['g', 1536],
]);

/** Metres. */
const MIN_DEPTH = 0.001;
const MAX_DEPTH = { nyu: 10, kitti: 80 } as const;

/** Metres, or the range that facebookresearch/dinov2 uses, which for linear heads is that of KITTI whatever they were trained on. */
export type DepthRange = readonly [min: number, max: number] | 'upstream';

/**
 * Which kind of head the tensors of a file are, and of what sizes.
 * @param encoder what it is to go with
 * @throws {CheckpointError} naming head and encoder when it is none that is known, or none for this encoder
 */
export function recogniseHead(head: Checkpoint, encoder: Dinov2Config, encoderName: string): Head {
  const { hidden_size: width, num_hidden_layers: depth } = encoder;
  const dimsOf = (tensor: string): readonly number[] => head.entries.get(tensor)?.dims ?? [];
  const refuse = (what: string, expected: string, found: unknown): CheckpointError =>
    new CheckpointError(`${head.name}: a ${what}: expected ${expected} of the encoder ${encoderName}, found ${describe(found)}`);

  const letter = /vit([sblg])14/.exec(fileOf(head.name))?.[1];
  const named = letter === undefined ? undefined : WIDTHS.get(letter);
  const checkName = (kind: HeadKind): void => {
    // a head on four layers of a small encoder has the size of one on a single layer of the giant: only its name tells them apart
    if (named !== undefined && [...WIDTHS.values()].includes(width) && named !== width) {
      throw refuse(kind, `tokens of the width ${width}`, `ViT-${letter?.toUpperCase()}/14 in its name, whose tokens have ${named}`);
    }
  };
  /** How many layers of tokens `channels` are, `each` times the width a layer. */
  const layersOf = (kind: HeadKind, channels: number | undefined, each: number, more: number): number => {
    checkName(kind);
    const layers = ((channels ?? 0) / width - more) / each;
    if (LAYERS.includes(layers)) return layers;
    const expected = LAYERS.map((n) => (n * each + more) * width).join(' or ');
    throw refuse(kind, `${expected} inputs, for 1 or 4 layers of tokens of the width ${width}`, channels);
  };
  /** Stages that feed the head, by their numbers. */
  const lastBlocks = (count: number): number[] => Array.from({ length: count }, (_, i) => depth - count + 1 + i);

  if (head.entries.has('classifier.weight')) {
    const [num_labels, inputs] = dimsOf('classifier.weight');
    const classifier_layers = layersOf('classifier', inputs, 1, 1);
    return { kind: 'classifier', fields: { num_labels, classifier_layers } };
  }
  if (head.entries.has('decode_head.conv_depth.weight')) {
    const [num_bins, channels] = dimsOf('decode_head.conv_depth.weight');
    const layers = layersOf('linear depth head', channels, 2, 0);
    const out_indices = layers === 1 ? [depth] : spreadBlocks(depth);
    return { kind: 'linear depth head', fields: { head_type: 'linear', num_bins, out_indices } };
  }
  if (head.entries.has('neck.convs.0.weight')) {
    const kind = 'DPT depth head';
    checkName(kind);
    const projections = [0, 1, 2, 3].map((i) => dimsOf(`neck.reassemble_stage.layers.${i}.projection.weight`));
    const [wrong] = projections.filter(([, inputs]) => inputs !== width);
    if (wrong) throw refuse(kind, `projections of tokens of the width ${width}`, wrong[1] ?? 'none');
    const neck_hidden_sizes = projections.map(([channels]) => channels);
    const [fusion_hidden_size] = dimsOf('neck.convs.0.weight');
    return { kind, fields: { head_type: 'dpt', neck_hidden_sizes, fusion_hidden_size, out_indices: spreadBlocks(depth) } };
  }
  if (head.entries.has('decode_head.conv_seg.weight') && head.entries.has('decode_head.bn.weight')) {
    const [num_labels, channels] = dimsOf('decode_head.conv_seg.weight');
    const layers = layersOf('segmentation head', channels, 1, 0);
    const id2label = labelNamesOf(fileOf(head.name), num_labels ?? 0);
    return { kind: 'segmentation head', fields: { ...(id2label ? { id2label } : { num_labels }), out_indices: lastBlocks(layers) } };
  }
  if (head.entries.has('dino_head.last_layer.weight_v')) {
    const kind = 'projection head';
    const [num_prototypes, head_bottleneck_size] = dimsOf('dino_head.last_layer.weight_v');
    const layers = [...head.entries.keys()].filter((tensor) => /^dino_head\.mlp\.(\d+\.)?weight$/.test(tensor)).length;
    const [head_hidden_size, inputs] = dimsOf(head.entries.has('dino_head.mlp.weight') ? 'dino_head.mlp.weight' : 'dino_head.mlp.0.weight');
    if (inputs !== width) throw refuse(kind, `tokens of the width ${width}`, inputs);
    const num_ibot_prototypes = dimsOf('ibot_head.last_layer.weight_v')[0] ?? 0;
    return { kind, fields: { head_layers: layers, head_hidden_size, head_bottleneck_size, num_prototypes, num_ibot_prototypes } };
  }
  const tensors = [...head.entries.keys()];
  throw new CheckpointError(
    `${head.name}: expected a head of facebookresearch/dinov2, found ${tensors.length > 0 ? `tensors ${describe(tensors)}` : 'none: give its file in the option head'}`,
  );
}

/**
 * The range of depth that a head was trained for. Its tensors do not tell; the authors' names do, `nyu` or `kitti`.
 * @throws {ArgumentError} when neither the name nor the option tells
 */
export function depthRangeOf(head: string, kind: HeadKind, option: DepthRange | undefined): readonly [min: number, max: number] {
  const file = fileOf(head);
  const trained = (['nyu', 'kitti'] as const).find((word) => file.toLowerCase().includes(word));
  if (option === 'upstream') return [MIN_DEPTH, MAX_DEPTH[kind === 'linear depth head' ? 'kitti' : (trained ?? 'nyu')]];
  if (option === undefined) {
    if (trained) return [MIN_DEPTH, MAX_DEPTH[trained]];
    throw new ArgumentError(
      `depthRange: expected [min, max] in metres for a head whose name has neither "nyu" ([0.001, 10]) nor "kitti" ([0.001, 80]), found none for ${file}`,
    );
  }
  const [min, max] = Array.isArray(option) ? (option as readonly unknown[]) : [];
  if (typeof min === 'number' && typeof max === 'number' && min >= 0 && min < max && max < Number.POSITIVE_INFINITY) return [min, max];
  throw new ArgumentError(`depthRange: expected [min, max] in metres, or "upstream", found ${describe(option)}`);
}

export interface WithHead {
  /** The head's file; none where it is in the encoder's. */
  head: ModelSource | undefined;
  /** The encoder's configuration, which the fields of the head are added to. */
  encoder: Dinov2Config;
  /** What the user wants otherwise. */
  overrides: Dinov2ConfigFields;
  /** The class of the result. */
  Config: new (
    fields: Dinov2ConfigFields,
  ) => Dinov2Config;
  /** Kinds of heads that the model takes. */
  accepts: readonly HeadKind[];
  /** For the names of the encoder's tensors. */
  prefix: string;
  /** Fields that tensors do not tell. */
  more?: ((kind: HeadKind, file: string) => Dinov2ConfigFields) | undefined;
}

/**
 * Puts an encoder and a head together. Nothing but the lists of their tensors is read.
 * @throws {CheckpointError} naming head and encoder when they do not fit; {ConfigError} when the fields are no configuration
 */
export async function openWithHead(
  source: ModelSource,
  { head, encoder, overrides, Config, accepts, prefix, more }: WithHead,
): Promise<{ config: Dinov2Config; checkpoint: Checkpoint }> {
  const files = await openModel(source);
  const encoderFile = await openCanonical(files);
  const open = [encoderFile];
  try {
    const headFile = head === undefined ? headsOf(encoderFile) : await openHead(await openModel(head, { limits: files.limits }));
    open.push(headFile);
    const found = recogniseHead(headFile, encoder, encoderFile.name);
    if (!accepts.includes(found.kind)) {
      throw new CheckpointError(
        `${headFile.name}: expected a ${accepts.join(' or ')}, found a ${found.kind}: ${CLASSES[found.kind]} loads it`,
      );
    }
    const {
      model_type: _,
      out_features: _f,
      out_indices: _i,
      id2label: _l,
      label2id: _n,
      apply_layernorm: _a,
      ...rest
    } = encoder.to_dict();
    const fields: JsonObject = { ...rest, ...found.fields, ...more?.(found.kind, headFile.name), ...overrides };
    if (overrides.id2label) delete fields.num_labels; // as many as these are, or the tensors do not fit
    return { config: new Config(fields), checkpoint: joinHead(encoderFile, headFile, prefix) };
  } catch (error) {
    for (const file of open) await file.close();
    throw error;
  }
}

/** The heads that training checkpoints have beside the encoder. Its files are those of the encoder. */
function headsOf({ name, metadata, entries }: Checkpoint): Checkpoint {
  return new Checkpoint({
    name,
    metadata,
    files: [],
    entries: new Map([...entries].filter(([tensor]) => /^(dino|ibot)_head\./.test(tensor))),
  });
}
