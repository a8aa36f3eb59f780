/**
 * The table of published checkpoints in the README: `node --conditions=dinov2-source --import tsx bench/models/checkpoints.ts`. Parameters are counted
 * on the models as they are made for these checkpoints, without their weights; memory is that of so many numbers.
 */
import {
  DepthAnythingForDepthEstimation,
  type Dinov2Config,
  Dinov2ForDepthEstimation,
  Dinov2ForImageClassification,
  Dinov2ForSemanticSegmentation,
  Dinov2Model,
  Dinov2WithRegistersForImageClassification,
  Dinov2WithRegistersModel,
  DPTForDepthEstimation,
} from '../../src/index.ts';
import { spreadBlocks } from '../../src/models/recognition.ts';
import { DEPTH_ANYTHING, type ModelName } from './configs.ts';

interface Size {
  /** As the authors write it, and as the hub does. */
  readonly letter: 's' | 'b' | 'l' | 'g';
  readonly name: string;
  readonly fields: object;
  readonly depth: number;
  readonly width: number;
}

const size = (letter: Size['letter'], name: string, width: number, depth: number, more: object = {}): Size => ({
  letter,
  name,
  width,
  depth,
  fields: {
    ...{ hidden_size: width, num_hidden_layers: depth, num_attention_heads: width / 64, image_size: 518, patch_size: 14 },
    ...more,
  },
});

const SIZES: readonly Size[] = [
  size('s', 'small', 384, 12),
  size('b', 'base', 768, 12),
  size('l', 'large', 1024, 24),
  size('g', 'giant', 1536, 40, { use_swiglu_ffn: true }),
];

type Class = new (config: Dinov2Config, options: { initialize: false }) => { num_parameters(): number; dispose(): void };

function count(Model: unknown, fields: object): number {
  const model = new (Model as Class)(fields as unknown as Dinov2Config, { initialize: false });
  const parameters = model.num_parameters();
  model.dispose();
  return parameters;
}

interface Row {
  readonly checkpoint: string;
  readonly call: string;
  /** Of each size, as far as there are some without a ban on commercial use. */
  readonly counts: readonly (readonly [size: string, parameters: number])[];
}

const each = (sizes: readonly Size[], Model: unknown, fields: (size: Size) => object): Row['counts'] =>
  sizes.map((of) => [of.letter.toUpperCase(), count(Model, fields(of))]);

const plain = ({ fields }: Size): object => fields;
const labels = { num_labels: 1000 };
const depthAnything = ({ letter, fields, width, depth }: Size): object => ({
  backbone_config: { model_type: 'dinov2', ...fields, out_indices: spreadBlocks(depth), reshape_hidden_states: false },
  reassemble_hidden_size: width,
  ...DEPTH_ANYTHING[letter.toUpperCase() as ModelName],
});
const [small] = SIZES as readonly [Size, ...Size[]];
const encoder = (rest: string): string => `from_pretrained('dinov2_vits14_pretrain.pth', { head: 'dinov2_vits14_${rest}_head.pth' })`;

const ROWS: readonly Row[] = [
  {
    checkpoint:
      '`facebook/dinov2-{small,base,large,giant}`, `dinov2_vit{s,b,l,g}14_pretrain.pth`, timm `vit_{small,base,large,giant}_patch14_dinov2`',
    call: "`AutoModel.from_pretrained('dinov2-small')`, `('dinov2_vits14_pretrain.pth')`",
    counts: each(SIZES, Dinov2Model, plain),
  },
  {
    checkpoint: '`facebook/dinov2-with-registers-*`, `dinov2_vit*14_reg4_pretrain.pth`, timm `vit_*_patch14_reg4_dinov2`',
    call: "`AutoModel.from_pretrained('dinov2_vits14_reg4_pretrain.pth')`",
    counts: each(SIZES, Dinov2WithRegistersModel, plain),
  },
  {
    checkpoint: '`facebook/dinov2-*-imagenet1k-1-layer`',
    call: "`AutoModelForImageClassification.from_pretrained('dinov2-small-imagenet1k-1-layer')`",
    counts: each(SIZES, Dinov2ForImageClassification, ({ fields }) => ({ ...fields, ...labels })),
  },
  {
    checkpoint: '`dinov2_vit*14_linear_head.pth`',
    call: `\`AutoModelForImageClassification.${encoder('linear')}\``,
    counts: each(SIZES, Dinov2ForImageClassification, ({ fields }) => ({ ...fields, ...labels })),
  },
  {
    checkpoint: '`dinov2_vit*14_linear4_head.pth`',
    call: `\`AutoModelForImageClassification.${encoder('linear4')}\``,
    counts: each(SIZES, Dinov2ForImageClassification, ({ fields }) => ({ ...fields, ...labels, classifier_layers: 4 })),
  },
  {
    checkpoint: '`facebook/dinov2-with-registers-*-imagenet1k-1-layer`, `dinov2_vit*14_reg4_linear{,4}_head.pth`',
    call: "`AutoModelForImageClassification.from_pretrained('dinov2_vits14_reg4_pretrain.pth', { head: 'dinov2_vits14_reg4_linear_head.pth' })`",
    counts: each(SIZES, Dinov2WithRegistersForImageClassification, ({ fields }) => ({ ...fields, ...labels })),
  },
  {
    checkpoint: '`dinov2_vit*14_{nyu,kitti}_linear_head.pth`',
    call: `\`AutoModelForDepthEstimation.${encoder('nyu_linear')}\``,
    counts: each(SIZES, Dinov2ForDepthEstimation, ({ fields, depth }) => ({ ...fields, out_indices: [depth] })),
  },
  {
    checkpoint: '`dinov2_vit*14_{nyu,kitti}_linear4_head.pth`',
    call: `\`AutoModelForDepthEstimation.${encoder('nyu_linear4')}\``,
    counts: each(SIZES, Dinov2ForDepthEstimation, plain),
  },
  {
    checkpoint: '`dinov2_vit*14_{nyu,kitti}_dpt_head.pth`',
    call: `\`AutoModelForDepthEstimation.${encoder('nyu_dpt')}\``,
    counts: each(SIZES, Dinov2ForDepthEstimation, ({ fields }) => ({ ...fields, head_type: 'dpt' })),
  },
  {
    checkpoint: '`facebook/dpt-dinov2-*-{nyu,kitti}`',
    call: "`AutoModelForDepthEstimation.from_pretrained('dpt-dinov2-small-nyu')`",
    counts: each(SIZES, DPTForDepthEstimation, ({ fields, width, depth }) => ({
      backbone_config: { model_type: 'dinov2', ...fields, out_indices: spreadBlocks(depth), apply_layernorm: false },
      neck_hidden_sizes: [8, 4, 2, 1].map((part) => width / part),
      ...{ use_bias_in_fusion_residual: false, add_projection: true },
    })),
  },
  {
    checkpoint: '`dinov2_vit*14_ade20k_linear_head.pth`',
    call: `\`AutoModelForSemanticSegmentation.${encoder('ade20k_linear')}\``,
    counts: each(SIZES, Dinov2ForSemanticSegmentation, ({ fields }) => ({ ...fields, num_labels: 150 })),
  },
  {
    checkpoint: '`dinov2_vit*14_ade20k_ms_head.pth`',
    call: `\`AutoModelForSemanticSegmentation.${encoder('ade20k_ms')}\``,
    counts: each(SIZES, Dinov2ForSemanticSegmentation, ({ fields, depth }) => ({
      ...fields,
      ...{ num_labels: 150, out_indices: [depth - 3, depth - 2, depth - 1, depth] },
    })),
  },
  {
    checkpoint: '`dinov2_vit*14_voc2012_{linear,ms}_head.pth`',
    call: `\`AutoModelForSemanticSegmentation.${encoder('voc2012_linear')}\``,
    counts: each(SIZES, Dinov2ForSemanticSegmentation, ({ fields }) => ({ ...fields, num_labels: 21 })),
  },
  {
    checkpoint: '`LiheYoung/depth-anything-{small,base,large}-hf`, `depth_anything_vit{s,b,l}14.pth`',
    call: "`AutoModelForDepthEstimation.from_pretrained('depth_anything_vits14.pth')`",
    counts: each(SIZES.slice(0, 3), DepthAnythingForDepthEstimation, depthAnything),
  },
  {
    checkpoint: '`depth-anything/Depth-Anything-V2-Small-hf`, `depth_anything_v2_vits.pth`',
    call: "`AutoModelForDepthEstimation.from_pretrained('depth_anything_v2_vits.pth')`",
    counts: each([small], DepthAnythingForDepthEstimation, depthAnything),
  },
  {
    checkpoint:
      '`depth-anything/Depth-Anything-V2-Metric-{Indoor,Outdoor}-Small-hf`, `depth_anything_v2_metric_{hypersim,vkitti}_vits.pth`',
    call: "`AutoModelForDepthEstimation.from_pretrained('depth_anything_v2_metric_hypersim_vits.pth')`",
    counts: each([small], DepthAnythingForDepthEstimation, depthAnything),
  },
];

const LICENCE = 'Apache-2.0'; // of all of them: those for non-commercial use only have no row
const megabytes = (parameters: number, bytes: number): string => String(Math.round((parameters * bytes) / 1e6));
const column = (counts: Row['counts'], show: (parameters: number) => string): string =>
  counts.map(([, parameters]) => show(parameters)).join(' / ');

console.log('| checkpoint | call | sizes | parameters, million | MB: float32 | float16 | int8 | licence |');
console.log('|---|---|---|---|---|---|---|---|');
for (const { checkpoint, call, counts } of ROWS) {
  const cells = [
    ...[checkpoint, call, counts.map(([name]) => name).join(' / ')],
    column(counts, (n) => (n / 1e6).toFixed(2)),
    ...[4, 2, 1].map((bytes) => column(counts, (n) => megabytes(n, bytes))),
    LICENCE,
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
