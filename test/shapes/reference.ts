import type { Dinov2Config } from '../../src/models/config.ts';
import { interpolate } from '../reference/interpolate.ts';
import { ACTIVATIONS, layerNorm } from '../reference/ops.ts';

type Numbers = ArrayLike<number>;
/** A weight by its name in a checkpoint. */
export type Weights = (name: string) => Float32Array;

const at = (x: Numbers, i: number): number => x[i] as number;

/** weight (outputs, inputs) times x (inputs), and the bias */
function linear(x: Numbers, weight: Float32Array, bias: Numbers): Float64Array {
  const inputs = x.length;
  return Float64Array.from({ length: bias.length }, (_, o) => at(bias, o) + dot(weight.subarray(o * inputs, (o + 1) * inputs), x));
}

function dot(a: Numbers, b: Numbers): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += at(a, i) * at(b, i);
  return sum;
}

/** sum + factor * x */
function addTo(sum: Float64Array, x: Numbers, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = at(sum, i) + factor * at(x, i);
}

/**
 * What a block makes of some of its tokens, in float64, out of all tokens before it: x (tokens, hidden). As q . (W n + b) is
 * (W^T q) . n + q . b, and the mean of W n + b is W times the mean of n, + b, neither keys nor values of all tokens have to be computed.
 * @returns a row (hidden) for each of `tokens`
 */
export function blockOf(x: Float32Array, block: number, tokens: readonly number[], config: Dinov2Config, weights: Weights): Float64Array[] {
  const { hidden_size: hidden, num_attention_heads: heads, headSize: width, layer_norm_eps: epsilon } = config;
  const known = new Map<string, Float32Array>();
  const own = (name: string): Float32Array => {
    const weight = known.get(name) ?? weights(`encoder.layer.${block}.${name}`);
    known.set(name, weight);
    return weight;
  };
  const normed = layerNorm(x, own('norm1.weight'), own('norm1.bias'), epsilon);
  const rows = Array.from({ length: x.length / hidden }, (_, i) => normed.subarray(i * hidden, (i + 1) * hidden));
  const [query, key, value] = ['query', 'key', 'value'].map((name) => ({
    weight: own(`attention.attention.${name}.weight`),
    bias: own(`attention.attention.${name}.bias`),
  })) as [Matrix, Matrix, Matrix];
  const output = { weight: own('attention.output.dense.weight'), bias: own('attention.output.dense.bias') };
  const [scale1, scale2] = [own('layer_scale1.lambda1'), own('layer_scale2.lambda1')];
  return tokens.map((token) => {
    const q = linear(rows[token] as Float64Array, query.weight, query.bias);
    const context = new Float64Array(hidden);
    for (let head = 0; head < heads; head++) {
      const range = [head * width, (head + 1) * width] as const;
      const direction = new Float64Array(hidden); // W^T q
      for (let i = range[0]; i < range[1]; i++) addTo(direction, key.weight.subarray(i * hidden, (i + 1) * hidden), at(q, i));
      const constant = dot(key.bias.subarray(...range), q.subarray(...range));
      const scores = rows.map((row) => (dot(direction, row) + constant) / Math.sqrt(width));
      const top = scores.reduce((a, b) => Math.max(a, b));
      const powers = scores.map((score) => Math.exp(score - top));
      const total = powers.reduce((a, b) => a + b);
      const mean = new Float64Array(hidden);
      for (const [j, power] of powers.entries()) addTo(mean, rows[j] as Float64Array, power / total);
      context.set(linear(mean, value.weight.subarray(range[0] * hidden, range[1] * hidden), value.bias.subarray(...range)), range[0]);
    }
    const attended = linear(context, output.weight, output.bias);
    const y = Float64Array.from({ length: hidden }, (_, i) => at(x, token * hidden + i) + at(scale1, i) * at(attended, i));
    const hiddenLayer = feedForward(layerNorm(y, own('norm2.weight'), own('norm2.bias'), epsilon), own, config);
    return y.map((v, i) => v + at(scale2, i) * at(hiddenLayer, i));
  });
}

interface Matrix {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

function feedForward(x: Numbers, weights: Weights, { use_swiglu_ffn, swigluSize }: Dinov2Config): Float64Array {
  if (!use_swiglu_ffn) {
    const inner = linear(x, weights('mlp.fc1.weight'), weights('mlp.fc1.bias')).map((v) => ACTIVATIONS.gelu(v));
    return linear(inner, weights('mlp.fc2.weight'), weights('mlp.fc2.bias'));
  }
  const both = linear(x, weights('mlp.weights_in.weight'), weights('mlp.weights_in.bias'));
  const gated = both.subarray(0, swigluSize).map((v, i) => ACTIVATIONS.silu(v) * at(both, swigluSize + i));
  return linear(gated, weights('mlp.weights_out.weight'), weights('mlp.weights_out.bias'));
}

/**
 * Some channels of what the embeddings make of some tokens of a square picture, in float64: pixels (channels, size, size).
 * @returns a row of those channels for each of `tokens`
 */
export function embeddingsOf(
  pixels: Numbers,
  { size, tokens, channels }: { size: number; tokens: readonly number[]; channels: readonly number[] },
  config: Dinov2Config,
  weights: Weights,
): Float64Array[] {
  const { hidden_size: hidden, num_channels, registers, grid } = config;
  const [patch] = config.patchSize;
  const side = Math.floor(size / patch);
  const table = weights('embeddings.position_embeddings');
  const learnt = Float64Array.from({ length: grid[0] * grid[1] * channels.length }, (_, i) =>
    at(table, (1 + Math.floor(i / channels.length)) * hidden + (channels[i % channels.length] as number)),
  );
  const factor = (side + 0.1) / grid[0];
  const positions =
    side === grid[0]
      ? learnt
      : interpolate(learnt, [grid[0], grid[1], channels.length], {
          ...{ size: [side, side], mode: 'bicubic', antialias: config.posEmbed === 'antialias' },
          ...(config.posEmbed === 'offset' && { scaleFactor: [factor, factor] as const }),
        });
  const kernel = weights('embeddings.patch_embeddings.projection.weight');
  const bias = weights('embeddings.patch_embeddings.projection.bias');
  const inputs = num_channels * patch * patch;
  return tokens.map((token) => {
    if (token === 0) return Float64Array.from(channels, (c) => at(weights('embeddings.cls_token'), c) + at(table, c));
    if (token <= registers) return Float64Array.from(channels, (c) => at(weights('embeddings.register_tokens'), (token - 1) * hidden + c));
    const place = token - 1 - registers;
    const [top, left] = [Math.floor(place / side) * patch, (place % side) * patch];
    const seen = Float64Array.from({ length: inputs }, (_, i) => {
      const [channel, y, x] = [Math.floor(i / patch / patch), Math.floor(i / patch) % patch, i % patch];
      return at(pixels, (channel * size + top + y) * size + left + x);
    });
    return Float64Array.from(
      channels,
      (c, n) => dot(kernel.subarray(c * inputs, (c + 1) * inputs), seen) + at(bias, c) + at(positions, place * channels.length + n),
    );
  });
}

export interface StageError {
  readonly what: string;
  readonly tokens: number;
  /** Largest difference, relative to the largest number of the row. */
  readonly error: number;
}

/**
 * How far each stage is from what it should be, in float64, out of the one before it as the library has it, for some of the tokens: those at the ends
 * and in the middle. So no error of one stage is taken for that of another, and none cancels.
 * @param states (tokens, hidden) each: the embeddings, after each block, the last through the final norm
 */
export function stageErrors(
  config: Dinov2Config,
  { size, pixels, states, weights }: { size: number; pixels: Float32Array; states: readonly Float32Array[]; weights: Weights },
): StageError[] {
  const { hidden_size: hidden, num_hidden_layers: layers, registers, layer_norm_eps: epsilon } = config;
  const last = (states[0] as Float32Array).length / hidden - 1;
  const tokens = [...new Set([0, registers, registers + 1, Math.floor(last / 2), last])];
  const row = (stage: number, token: number): Float32Array =>
    (states[stage] as Float32Array).subarray(token * hidden, (token + 1) * hidden);
  const channels = Array.from({ length: 16 }, (_, i) => Math.floor((i * (hidden - 1)) / 15));
  const stages: StageError[] = [];
  const compare = (what: string, found: readonly Float32Array[], expected: readonly Float64Array[]): void => {
    const off = found.map((x, n) => {
      const largest = x.reduce((top, v) => Math.max(top, Math.abs(v)), 0);
      return (expected[n] as Float64Array).reduce((top, v, i) => Math.max(top, Math.abs(v - (x[i] as number))), 0) / largest;
    });
    stages.push({ what, tokens: found.length, error: off.reduce((a, b) => (b <= a ? a : b)) }); // NaN is the largest
  };
  const embedded = tokens.map((token) => Float32Array.from(channels, (c) => row(0, token)[c] as number));
  compare('the embeddings', embedded, embeddingsOf(pixels, { size, tokens, channels }, config, weights));
  for (let block = 0; block < layers; block++) {
    const expected = blockOf(states[block] as Float32Array, block, tokens, config, weights);
    compare(
      `block ${block + 1}`,
      tokens.map((token) => row(block + 1, token)),
      expected,
    );
  }
  const normed = tokens.map((token) => layerNorm(row(layers, token), weights('layernorm.weight'), weights('layernorm.bias'), epsilon));
  compare(
    'the last norm',
    tokens.map((token) => row(layers + 1, token)),
    normed,
  );
  return stages;
}
