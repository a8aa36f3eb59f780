import { saveCheckpoint } from '../../src/checkpoint/shards.ts';
import { Dinov2Config, Dinov2WithRegistersConfig } from '../../src/models/config.ts';
import { randomNumbers } from '../image/helpers.ts';

/** The shapes of the released models, facebook/dinov2-small to -giant. */
const SHAPES = {
  S: { hidden_size: 384, num_attention_heads: 6, num_hidden_layers: 12 },
  B: { hidden_size: 768, num_attention_heads: 12, num_hidden_layers: 12 },
  L: { hidden_size: 1024, num_attention_heads: 16, num_hidden_layers: 24 },
  g: { hidden_size: 1536, num_attention_heads: 24, num_hidden_layers: 40, use_swiglu_ffn: true },
} as const;

export type ShapeName = keyof typeof SHAPES;
export const SHAPE_NAMES = Object.keys(SHAPES) as readonly ShapeName[];

export function configOf(name: ShapeName, { registers }: { registers: boolean }): Dinov2Config {
  const fields = { ...SHAPES[name], image_size: 518, patch_size: 14 };
  return registers ? new Dinov2WithRegistersConfig({ ...fields, num_register_tokens: 4 }) : new Dinov2Config(fields);
}

/** The tensors of a checkpoint, in the order of the paper. */
export function tensorsOf(config: Dinov2Config): ReadonlyMap<string, readonly number[]> {
  const { hidden_size: d, num_hidden_layers, registers, grid, patchSize, use_swiglu_ffn, mlpSize, swigluSize } = config;
  const linear = (name: string, outputs: number, inputs: number): [string, number[]][] => [
    [`${name}.weight`, [outputs, inputs]],
    [`${name}.bias`, [outputs]],
  ];
  const norm = (name: string): [string, number[]][] => [
    [`${name}.weight`, [d]],
    [`${name}.bias`, [d]],
  ];
  const blocks = Array.from({ length: num_hidden_layers }, (_, i) => `encoder.layer.${i}`).flatMap((block): [string, number[]][] => [
    ...norm(`${block}.norm1`),
    ...['query', 'key', 'value'].flatMap((part) => linear(`${block}.attention.attention.${part}`, d, d)),
    ...linear(`${block}.attention.output.dense`, d, d),
    [`${block}.layer_scale1.lambda1`, [d]],
    ...norm(`${block}.norm2`),
    ...(use_swiglu_ffn
      ? [...linear(`${block}.mlp.weights_in`, 2 * swigluSize, d), ...linear(`${block}.mlp.weights_out`, d, swigluSize)]
      : [...linear(`${block}.mlp.fc1`, mlpSize, d), ...linear(`${block}.mlp.fc2`, d, mlpSize)]),
    [`${block}.layer_scale2.lambda1`, [d]],
  ]);
  return new Map<string, number[]>([
    ['embeddings.cls_token', [1, 1, d]],
    ['embeddings.mask_token', [1, d]],
    ['embeddings.position_embeddings', [1, 1 + grid[0] * grid[1], d]],
    ...(registers > 0 ? [['embeddings.register_tokens', [1, registers, d]] as [string, number[]]] : []),
    ['embeddings.patch_embeddings.projection.weight', [d, config.num_channels, ...patchSize]],
    ['embeddings.patch_embeddings.projection.bias', [d]],
    ...blocks,
    ...norm('layernorm'),
  ]);
}

/** Numbers that let every part of a model matter: no bias is zero, no scale one, and what goes through a matrix keeps its magnitude. */
export function weightOf(name: string, dims: readonly number[], seed: number): Float32Array<ArrayBuffer> {
  const count = dims.reduce((product, n) => product * n, 1);
  const [middle, reach] = name.endsWith('lambda1')
    ? [0.5, 0.3]
    : /norm\d?\.weight$/.test(name)
      ? [1, 0.3]
      : dims.length > 1 && name.endsWith('.weight')
        ? [0, Math.sqrt((3 * (dims[0] as number)) / count)]
        : [0, 0.3];
  const random = randomNumbers(seed + Array.from(name).reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) | 0, 7));
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = middle + reach * (2 * random() - 1);
  return values;
}

/** A folder with config.json and the weights in bfloat16, half as large and as exact for all who read them. */
export async function writeModel(folder: string, config: Dinov2Config, seed: number): Promise<void> {
  const tensors = Array.from(tensorsOf(config), ([name, dims]) => ({
    name,
    dtype: 'bfloat16' as const,
    dims,
    get data() {
      return upperHalves(weightOf(name, dims, seed));
    },
  }));
  await saveCheckpoint(folder, tensors, {});
  await config.save_pretrained(folder);
}

/** The same as they are read: rounded towards zero to bfloat16. */
export function roundedWeight(name: string, dims: readonly number[], seed: number): Float32Array<ArrayBuffer> {
  const values = weightOf(name, dims, seed);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] as number) & 0xffff0000;
  return values;
}

function upperHalves(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  return new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1);
}
