/**
 * DINOv2 with the decoder of DPT in float64, on one picture, as the originals compute it and in their order: what a float32 result, ours or
 * PyTorch's, is held against to see how far it is from the exact one. Channels last; weights by the names of transformers.
 */
import { conv2d, convTranspose2d } from './conv.ts';
import { interpolate } from './interpolate.ts';
import { ACTIVATIONS, attention, layerNorm, linear, patchify } from './ops.ts';

type Numbers = ArrayLike<number>;

/** A weight by its name. */
export type Weights = (name: string) => { readonly dims: readonly number[]; readonly data: Numbers } | undefined;

/** (rows, columns, channels) */
interface Map {
  readonly dims: readonly [number, number, number];
  readonly data: Float64Array;
}

export interface EncoderSizes {
  readonly layers: number;
  readonly heads: number;
  readonly patch: number;
  /** How positions come to another grid: see `src/nn/positionEmbedding.ts`. */
  readonly posEmbed: 'offset' | 'size';
}

/** The tokens of one stage: class token (hidden) and patches. */
export interface Stage {
  readonly classToken: Float64Array;
  readonly patches: Map;
}

/** pixels (channels, height, width) -> the stages behind each block, through the final norm where `norm` */
export function stages(
  weights: Weights,
  pixels: Numbers,
  size: readonly [channels: number, height: number, width: number],
  { layers, heads, patch, posEmbed, norm }: EncoderSizes & { norm: boolean },
): Stage[] {
  const w = need(weights);
  const at = (name: string): Numbers => w(name).data;
  const positions = at('embeddings.position_embeddings');
  const hidden = at('embeddings.cls_token').length;
  const grid = [Math.floor(size[1] / patch), Math.floor(size[2] / patch)] as const;
  const side = Math.sqrt(positions.length / hidden - 1);
  const pieces = patchify(pixels, size, [patch, patch]);
  const sizes = { rows: grid[0] * grid[1], inputs: size[0] * patch * patch, outputs: hidden };
  const projection = 'embeddings.patch_embeddings.projection';
  const patches = linear(pieces, at(`${projection}.weight`), at(`${projection}.bias`), sizes);
  const own = Float64Array.from(positions).subarray(hidden);
  const scaleFactor = [(grid[0] + 0.1) / side, (grid[1] + 0.1) / side] as const;
  const isNative = grid[0] === side && grid[1] === side;
  const moved = isNative
    ? own
    : interpolate(own, [side, side, hidden], { size: grid, mode: 'bicubic', ...(posEmbed === 'offset' && { scaleFactor }) });
  let x = Float64Array.from([
    ...Array.from(at('embeddings.cls_token'), (c, i) => c + (positions[i] as number)),
    ...patches.map((p, i) => p + (moved[i] as number)),
  ]);
  const tokens = 1 + sizes.rows;
  const dense = (name: string, from: Float64Array, activation: 'none' | 'gelu' = 'none'): Float64Array => {
    const { dims, data } = w(`${name}.weight`);
    const [outputs, inputs] = dims as [number, number];
    return linear(from, data, at(`${name}.bias`), { rows: tokens, inputs, outputs, activation });
  };
  const normed = (name: string, from: Float64Array): Float64Array => layerNorm(from, at(`${name}.weight`), at(`${name}.bias`), 1e-6);
  const found: Stage[] = [];
  for (let i = 0; i < layers; i++) {
    const layer = `encoder.layer.${i}`;
    const residual = (scale: string, y: Float64Array): void => {
      const lambda = at(`${layer}.${scale}.lambda1`);
      x = x.map((value, e) => value + (lambda[e % hidden] as number) * (y[e] as number));
    };
    const a = normed(`${layer}.norm1`, x);
    const [q, k, v] = ['query', 'key', 'value'].map((part) => dense(`${layer}.attention.attention.${part}`, a)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const { out } = attention(q, k, v, { queries: tokens, keys: tokens, heads, width: hidden / heads });
    residual('layer_scale1', dense(`${layer}.attention.output.dense`, out));
    const b = normed(`${layer}.norm2`, x);
    residual('layer_scale2', dense(`${layer}.mlp.fc2`, dense(`${layer}.mlp.fc1`, b, 'gelu')));
    const state = norm ? normed('layernorm', x) : x;
    found.push({ classToken: state.slice(0, hidden), patches: { dims: [...grid, hidden], data: state.slice(hidden) } });
  }
  return found;
}

export interface DecoderOptions {
  readonly readout: 'project' | 'ignore';
  /** What a fusion enlarges to: the size of the next level, or twice its own. */
  readonly upsample: 'next' | 'double';
  /** What the head enlarges to: twice what it gets, or [height, width]. */
  readonly size: 'double' | readonly [height: number, width: number];
}

/** The decoder: stages, the shallowest first -> (height, width, 1), before the last activation */
export function decode(weights: Weights, levels: readonly Stage[], { readout, upsample, size }: DecoderOptions): Map {
  const w = need(weights);
  const conv = (name: string, x: Map, options: { stride?: number; padding?: number } = {}): Map => {
    const { dims, data } = w(`${name}.weight`);
    const y = conv2d(x.data, x.dims, data, dims as [number, number, number, number], weights(`${name}.bias`)?.data, options);
    return { dims: y.dims as [number, number, number], data: y.data };
  };
  const padded = { padding: 1 };
  const fusions = levels
    .map((stage, i) => conv(`neck.convs.${i}`, reassemble(w, weights, stage, i, levels.length, readout, conv), padded))
    .reverse();
  const unit = (name: string, x: Map): Map =>
    plus(x, conv(`${name}.convolution2`, relu(conv(`${name}.convolution1`, relu(x), padded)), padded));
  let x = fusions[0] as Map;
  for (let i = 0; i < levels.length; i++) {
    const layer = `neck.fusion_stage.layers.${i}`;
    if (i > 0) x = plus(x, unit(`${layer}.residual_layer1`, resize(fusions[i] as Map, [x.dims[0], x.dims[1]], false)));
    x = unit(`${layer}.residual_layer2`, x);
    const next = upsample === 'next' ? fusions[i + 1] : undefined;
    x = resize(x, next ? [next.dims[0], next.dims[1]] : [2 * x.dims[0], 2 * x.dims[1]], true);
    x = conv(`${layer}.projection`, x);
  }
  if (weights('head.projection.weight')) x = relu(conv('head.projection', x, padded));
  const [first, second, third] = weights('head.conv1.weight')
    ? ['head.conv1', 'head.conv2', 'head.conv3']
    : (['head.head.0', 'head.head.2', 'head.head.4'] as const);
  x = conv(first as string, x, padded);
  x = resize(x, size === 'double' ? [2 * x.dims[0], 2 * x.dims[1]] : size, true);
  x = relu(conv(second as string, x, padded));
  return conv(third as string, x);
}

function reassemble(
  w: ReturnType<typeof need>,
  weights: Weights,
  { classToken, patches }: Stage,
  level: number,
  levels: number,
  readout: DecoderOptions['readout'],
  conv: (name: string, x: Map, options?: { stride?: number; padding?: number }) => Map,
): Map {
  const [rows, columns, hidden] = patches.dims;
  let x = patches;
  if (readout === 'project') {
    const both = new Float64Array(2 * patches.data.length);
    for (let i = 0; i < rows * columns; i++) {
      both.set(patches.data.subarray(i * hidden, (i + 1) * hidden), 2 * i * hidden);
      both.set(classToken, (2 * i + 1) * hidden);
    }
    const name = `neck.reassemble_stage.readout_projects.${level}.0`;
    const sizes = { rows: rows * columns, inputs: 2 * hidden, outputs: hidden, activation: 'gelu' } as const;
    x = { dims: patches.dims, data: linear(both, w(`${name}.weight`).data, w(`${name}.bias`).data, sizes) };
  }
  const layer = `neck.reassemble_stage.layers.${level}`;
  x = conv(`${layer}.projection`, x);
  if (!weights(`${layer}.resize.weight`)) return x;
  if (level === levels - 1) return conv(`${layer}.resize`, x, { stride: 2, padding: 1 });
  const { dims, data } = w(`${layer}.resize.weight`);
  const [, outputs, factor] = dims as [number, number, number, number];
  const enlarged = convTranspose2d(x.data, x.dims, data, dims as [number, number, number, number], w(`${layer}.resize.bias`).data);
  return { dims: [rows * factor, columns * factor, outputs], data: enlarged };
}

/** Bilinear: (rows, columns, channels) -> (height, width, channels) */
export function resize(x: Map, [height, width]: readonly [number, number], alignCorners: boolean): Map {
  if (x.dims[0] === height && x.dims[1] === width) return x;
  const data = interpolate(x.data, x.dims, { size: [height, width], mode: 'bilinear', alignCorners });
  return { dims: [height, width, x.dims[2]], data };
}

function relu({ dims, data }: Map): Map {
  return { dims, data: data.map(ACTIVATIONS.relu) };
}

function plus(a: Map, b: Map): Map {
  return { dims: a.dims, data: a.data.map((value, i) => value + (b.data[i] as number)) };
}

function need(weights: Weights): (name: string) => NonNullable<ReturnType<Weights>> {
  return (name) => {
    const found = weights(name);
    if (!found) throw new Error(`the reference needs the weight "${name}"`);
    return found;
  };
}
