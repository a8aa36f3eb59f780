import { CheckpointError, ConfigError } from '../../../src/errors.ts';
import type { Dinov2Config } from '../../../src/models/config.ts';
import { FLOAT, OnnxGraph, type Value } from './graph.ts';
import { interpolatePositions } from './positions.ts';
import { quantizeRows } from './quantize.ts';

/** Tensors in float32 by their names on the hub, without a prefix: "embeddings.cls_token", ... */
export type Weights = Readonly<Record<string, { readonly dims: readonly number[]; readonly data: Float32Array }>>;

export interface OnnxOptions {
  /** Images in a run. Default 1. */
  readonly batch?: number;
  /** In pixels. */
  readonly height: number;
  readonly width: number;
  /** Of the products with weights. Default `f32`. */
  readonly dtype?: 'f32' | 'int8';
}

/**
 * A DINOv2 encoder as an ONNX model of fixed shape: `pixel_values` (batch, channels, height, width) to `last_hidden_state` (batch, tokens,
 * hidden), position embeddings by the rule `offset`. For models with GELU, without registers.
 *
 * No other graph is measurably faster in onnxruntime-web 1.30. ViT-S/14 at 224, one thread, Node 20 on a shared machine, best and median
 * of 14 runs taken in turn, in ms: this one 754, 870; MatMul and Add in place of Gemm 741, 874; one product for query, key and value 726,
 * 827; LayerNormalization and Gelu decomposed 733, 853; layer scale folded into the weights 757, 853; com.microsoft.MultiHeadAttention
 * 721, 871; com.microsoft.Attention 773, 853. That is the machine's noise: of 24 runs, this graph took 719, 792, its twin 736, 782, and
 * MultiHeadAttention 726, 801. By onnxruntime's own profile the Gemms are four fifths of the time, and its optimiser turns MatMul and Add,
 * and what is decomposed, into the operators used here.
 *
 * With `int8` the graph is what onnxruntime 1.30 makes of the float32 graph with `quantize_dynamic(op_types_to_quantize=['MatMul'],
 * per_channel=True)`, operator by operator and, checked on a small model, integer by integer: each Gemm becomes DynamicQuantizeLinear
 * (unsigned 8 bits, asymmetric, one scale for the tensor; an input of several products is quantised once), MatMulInteger with signed
 * symmetric weights, one scale an output, and an Add. The products of attention have no constant factor and stay in float32, as does the
 * patch embedding.
 * @throws {ConfigError} on another activation
 * @throws {CheckpointError} naming a weight that is missing
 */
export function dinov2ToOnnx(weights: Weights, config: Dinov2Config, options: OnnxOptions): Uint8Array<ArrayBuffer> {
  if (config.hidden_act !== 'gelu') throw new ConfigError(`hidden_act: expected "gelu" for the ONNX graph, found "${config.hidden_act}"`);
  return new Encoder(weights, config, options).toModel();
}

/** Values between blocks are (batch * tokens, hidden): Gemm wants two dimensions. */
class Encoder {
  readonly #graph = new OnnxGraph();
  readonly #weights: Weights;
  readonly #config: Dinov2Config;
  readonly #size: { readonly batch: number; readonly height: number; readonly width: number };
  readonly #dtype: 'f32' | 'int8';
  readonly #patches: number;
  readonly #quantized = new Map<Value, ReturnType<OnnxGraph['quantize']>>();

  constructor(weights: Weights, config: Dinov2Config, { batch = 1, height, width, dtype = 'f32' }: OnnxOptions) {
    this.#weights = weights;
    this.#config = config;
    this.#size = { batch, height, width };
    this.#dtype = dtype;
    const [patchHeight, patchWidth] = config.patchSize;
    this.#patches = Math.floor(height / patchHeight) * Math.floor(width / patchWidth);
  }

  toModel(): Uint8Array<ArrayBuffer> {
    const { batch, height, width } = this.#size;
    const { hidden_size, num_channels, num_hidden_layers } = this.#config;
    const input = { name: 'pixel_values', dims: [batch, num_channels, height, width] };
    const output = { name: 'last_hidden_state', dims: [batch, this.#tokens, hidden_size] };
    let x = this.#embeddings(input.name);
    for (let i = 0; i < num_hidden_layers; i++) x = this.#block(x, `encoder.layer.${i}`);
    this.#graph.node('Reshape', [this.#layerNorm(x, 'layernorm'), this.#graph.shape(...output.dims)], {}, output.name);
    return this.#graph.model('dinov2', { input, output });
  }

  get #tokens(): number {
    return 1 + this.#patches;
  }

  /** Patch embedding, class token and positions. */
  #embeddings(pixels: Value): Value {
    const graph = this.#graph;
    const { hidden_size: hidden, patchSize } = this.#config;
    const projection = 'embeddings.patch_embeddings.projection';
    const inputs = [pixels, this.#constant(`${projection}.weight`), this.#constant(`${projection}.bias`)];
    const maps = graph.node('Conv', inputs, { kernel_shape: patchSize, strides: patchSize }); // (batch, hidden, rows, columns)
    const flat = graph.node('Reshape', [maps, graph.shape(this.#size.batch, hidden, this.#patches)]);
    const patches = graph.node('Transpose', [flat], { perm: [0, 2, 1] }); // (batch, patches, hidden)
    const tokens = graph.node('Concat', [this.#classTokens(), patches], { axis: 1 }); // (batch, tokens, hidden)
    const x = graph.node('Add', [tokens, this.#positions()]);
    return graph.node('Reshape', [x, graph.shape(this.#size.batch * this.#tokens, hidden)]);
  }

  #classTokens(): Value {
    const { data } = this.#weight('embeddings.cls_token');
    const repeated = new Float32Array(this.#size.batch * data.length);
    for (let i = 0; i < this.#size.batch; i++) repeated.set(data, i * data.length);
    return this.#graph.constant([this.#size.batch, 1, data.length], repeated);
  }

  #positions(): Value {
    const { hidden_size: hidden, patchSize } = this.#config;
    const { data } = this.#weight('embeddings.position_embeddings');
    return this.#graph.constant([1, this.#tokens, hidden], interpolatePositions(data, { hidden, patchSize, ...this.#size }));
  }

  #block(x: Value, name: string): Value {
    const attended = this.#attention(this.#layerNorm(x, `${name}.norm1`), `${name}.attention`);
    const y = this.#residual(x, attended, `${name}.layer_scale1.lambda1`);
    const hidden = this.#graph.node('Gelu', [this.#linear(this.#layerNorm(y, `${name}.norm2`), `${name}.mlp.fc1`)]);
    return this.#residual(y, this.#linear(hidden, `${name}.mlp.fc2`), `${name}.layer_scale2.lambda1`);
  }

  #attention(x: Value, name: string): Value {
    const graph = this.#graph;
    const { hidden_size: hidden, qkv_bias: bias, headSize } = this.#config;
    const query = this.#heads(this.#linear(x, `${name}.attention.query`, { bias }), [0, 2, 1, 3]); // (batch, heads, tokens, headSize)
    const key = this.#heads(this.#linear(x, `${name}.attention.key`, { bias }), [0, 2, 3, 1]); // (batch, heads, headSize, tokens)
    const value = this.#heads(this.#linear(x, `${name}.attention.value`, { bias }), [0, 2, 1, 3]);
    const scale = graph.constant([], Float32Array.of(headSize ** -0.5));
    const scores = graph.node('Mul', [graph.node('MatMul', [query, key]), scale]); // (batch, heads, tokens, tokens)
    const context = graph.node('MatMul', [graph.node('Softmax', [scores]), value]);
    const merged = graph.node('Transpose', [context], { perm: [0, 2, 1, 3] }); // (batch, tokens, heads, headSize)
    return this.#linear(graph.node('Reshape', [merged, graph.shape(this.#size.batch * this.#tokens, hidden)]), `${name}.output.dense`);
  }

  /** Splits (batch * tokens, hidden) into (batch, tokens, heads, headSize), and permutes that. */
  #heads(x: Value, perm: readonly number[]): Value {
    const { num_attention_heads: heads, headSize } = this.#config;
    const split = this.#graph.node('Reshape', [x, this.#graph.shape(this.#size.batch, this.#tokens, heads, headSize)]);
    return this.#graph.node('Transpose', [split], { perm });
  }

  /** x + lambda * y */
  #residual(x: Value, y: Value, lambda: string): Value {
    return this.#graph.node('Add', [this.#graph.node('Mul', [y, this.#constant(lambda)]), x]);
  }

  #linear(x: Value, name: string, { bias = true } = {}): Value {
    if (this.#dtype === 'int8') {
      const product = this.#integerProduct(x, this.#weight(`${name}.weight`));
      return bias ? this.#graph.node('Add', [product, this.#constant(`${name}.bias`)]) : product;
    }
    const inputs = [x, this.#constant(`${name}.weight`)]; // the weight is (out, in)
    if (bias) inputs.push(this.#constant(`${name}.bias`));
    return this.#graph.node('Gemm', inputs, { transB: 1 });
  }

  #integerProduct(x: Value, { dims: [outputs, inputs], data }: Weights[string]): Value {
    const graph = this.#graph;
    const weight = quantizeRows(data, outputs);
    const factor = graph.constant([inputs, outputs], weight.transposed);
    const scale = graph.constant([outputs], weight.scales);
    const zero = graph.constant([outputs], new Int8Array(outputs));
    const left = this.#quantize(x);
    const product = graph.node('MatMulInteger', [left.integers, factor, left.zero, zero]);
    return graph.node('Mul', [graph.node('Cast', [product], { to: FLOAT }), graph.node('Mul', [left.scale, scale])]);
  }

  /** Once for all the products that x enters. */
  #quantize(x: Value): ReturnType<OnnxGraph['quantize']> {
    const quantized = this.#quantized.get(x) ?? this.#graph.quantize(x);
    this.#quantized.set(x, quantized);
    return quantized;
  }

  #layerNorm(x: Value, name: string): Value {
    const inputs = [x, this.#constant(`${name}.weight`), this.#constant(`${name}.bias`)];
    return this.#graph.node('LayerNormalization', inputs, { epsilon: { float: this.#config.layer_norm_eps } });
  }

  #constant(name: string): Value {
    const { dims, data } = this.#weight(name);
    return this.#graph.constant(dims, data);
  }

  #weight(name: string): Weights[string] {
    const weight = this.#weights[name];
    if (!weight) throw new CheckpointError(`weight "${name}": expected among the weights of a DINOv2 encoder with an MLP, found none`);
    return weight;
  }
}
