import { host } from '#host';
import { type FeedForward, Mlp, SwiGlu } from '../nn/feedForward.ts';
import { LayerNorm } from '../nn/layerNorm.ts';
import type { Parameter, Parameters } from '../nn/parameters.ts';
import { PatchEmbedding } from '../nn/patchEmbedding.ts';
import { interpolatePositions, type PosEmbed } from '../nn/positionEmbedding.ts';
import { SelfAttention } from '../nn/selfAttention.ts';
import type { Engine } from '../runtime/engine.ts';
import type { Activation } from '../runtime/kernels.ts';
import { type AttentionOptions, add } from '../tensor/ops.ts';
import { copyTo, type Float32, place } from '../tensor/place.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Dinov2Config, HiddenAct } from './config.ts';
import { gridOf, type Request } from './inputs.ts';
import type { StreamedBlocks } from './residency.ts';

/** Our activations by their names in transformers' ACT2FN. */
const ACTIVATIONS: Readonly<Record<HiddenAct, Activation>> = {
  gelu: 'gelu',
  gelu_new: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  quick_gelu: 'quickGelu',
  relu: 'relu',
  selu: 'selu',
  silu: 'silu',
};

/** Patches become tokens, the class token and any registers go in front, positions are added to all but the registers. */
export class Dinov2Embeddings {
  readonly #engine: Engine;
  readonly #config: Dinov2Config;
  readonly #posEmbed: PosEmbed;
  readonly #classToken: () => Float32;
  readonly #maskToken: (() => Float32) | undefined;
  readonly #registers: (() => Float32) | undefined;
  readonly #patches: PatchEmbedding;
  readonly #positions: () => Float32;

  constructor(p: Parameters, config: Dinov2Config, posEmbed: PosEmbed) {
    const { hidden_size: width, num_channels: channels, patchSize, grid } = config;
    this.#engine = p.engine;
    this.#config = config;
    this.#posEmbed = posEmbed;
    this.#classToken = p.tensor('cls_token', [1, 1, width], 'normal');
    this.#maskToken = config.use_mask_token ? p.tensor('mask_token', [1, width], 0) : undefined;
    this.#registers = config.registers ? p.tensor('register_tokens', [1, config.registers, width], 0) : undefined;
    this.#patches = new PatchEmbedding(p.at('patch_embeddings'), channels, patchSize, width);
    this.#positions = p.tensor('position_embeddings', [1, grid[0] * grid[1] + 1, width], 'normal');
  }

  /**
   * Writes the tokens of one picture: pixels (channels, height, width), positions (1 + patches, hidden) -> tokens (1 + registers + patches,
   * hidden)
   * @param masked (patches), not 0 where the mask token stands in for a patch (iBOT, Zhou et al. 2021)
   */
  forward(pixels: Float32, positions: Float32, tokens: Float32, masked?: Tensor): void {
    const patches = this.#patches.forward(pixels); // (patches, hidden)
    if (masked && this.#maskToken) {
      for (const [patch, hidden] of Array.from(masked.data as Iterable<unknown>, Boolean).entries()) {
        if (hidden) copyTo(patches.slice(patch, patch + 1), this.#maskToken());
      }
    }
    add(this.#classToken().at(0), positions.slice(0, 1), { out: tokens.slice(0, 1) });
    if (this.#registers) copyTo(tokens.slice(1, 1 + this.#config.registers), this.#registers().at(0));
    add(patches, positions.slice(1), { out: tokens.slice(1 + this.#config.registers) });
  }

  /** The position embeddings for pictures of this size: (1 + patches, hidden) */
  positions(height: number, width: number): Float32 {
    const table = this.#positions().at(0); // (1 + patches in training, hidden)
    const { grid } = this.#config;
    const to = gridOf(this.#config, height, width);
    // v4.37.2 leaves them alone for square pictures with the trained number of patches, and for those only
    const trained = grid[0] === grid[1] ? to[0] * to[1] === grid[0] * grid[1] && height === width : to[0] === grid[0] && to[1] === grid[1];
    if (trained) return table;
    const positions = place(this.#engine, 'float32', [1 + to[0] * to[1], table.dims[1] as number]);
    copyTo(positions.slice(0, 1), table.slice(0, 1));
    copyTo(positions.slice(1), interpolatePositions(table.slice(1), grid, to, this.#posEmbed));
    return positions;
  }
}

/** A transformer block with layer scale: x += scale1 attention(norm1(x)); x += scale2 mlp(norm2(x)) */
export class Dinov2Layer {
  readonly #norm1: LayerNorm;
  readonly #attention: SelfAttention;
  readonly #scale1: () => Float32;
  readonly #norm2: LayerNorm;
  readonly #mlp: FeedForward;
  readonly #scale2: () => Float32;

  constructor(p: Parameters, config: Dinov2Config) {
    const { hidden_size: width, num_attention_heads: heads, layer_norm_eps: epsilon, layerscale_value: scale } = config;
    this.#norm1 = new LayerNorm(p.at('norm1'), width, epsilon);
    this.#attention = new SelfAttention(p.at('attention'), width, heads, { bias: config.qkv_bias });
    this.#scale1 = p.tensor('layer_scale1.lambda1', [width], scale);
    this.#norm2 = new LayerNorm(p.at('norm2'), width, epsilon);
    this.#mlp = config.use_swiglu_ffn
      ? new SwiGlu(p.at('mlp'), width, config.swigluSize)
      : new Mlp(p.at('mlp'), width, config.mlpSize, ACTIVATIONS[config.hidden_act]);
    this.#scale2 = p.tensor('layer_scale2.lambda1', [width], scale);
  }

  /** In place on x (tokens, hidden). */
  forward(x: Float32, options: Omit<AttentionOptions, 'heads'>): void {
    this.#attention.addTo(x, this.#norm1.forwardTo(this.#attention.reader, x), this.#scale1(), options);
    this.#mlp.addTo(x, this.#norm2.forwardTo(this.#mlp.reader, x), this.#scale2());
  }
}

/** What wants to see more of a run than its end. */
export interface Observer {
  /** The tokens (batch, tokens, hidden) after `layer` blocks; 0 are the embeddings. */
  hidden?(layer: number, x: Float32): void;
  /** The probabilities (heads, tokens, tokens) of one block for one picture. */
  attention?(layer: number, picture: number, probabilities: Float32): void;
}

/** Embeddings, blocks and the final layer norm: what all DINOv2 models have in common. */
export class Dinov2Encoder {
  readonly #engine: Engine;
  readonly #registers: number;
  readonly #embeddings: Dinov2Embeddings;
  readonly #layers: readonly Dinov2Layer[];
  /** The parameters of each block. */
  readonly blocks: readonly (readonly Parameter[])[];
  /** Where blocks come from that are not kept in memory. */
  streamed: StreamedBlocks | undefined;
  /** The final layer norm, which the models apply to what they need. */
  readonly layernorm: LayerNorm;

  constructor(p: Parameters, config: Dinov2Config, posEmbed: PosEmbed) {
    this.#engine = p.engine;
    this.#registers = config.registers;
    this.#embeddings = new Dinov2Embeddings(p.at('embeddings'), config, posEmbed);
    const places = Array.from({ length: config.num_hidden_layers }, (_, i) => p.at(`encoder.layer.${i}`));
    this.#layers = places.map((place) => new Dinov2Layer(place, config));
    this.blocks = places.map(({ own }) => own);
    this.layernorm = new LayerNorm(p.at('layernorm'), config.hidden_size, config.layer_norm_eps);
  }

  /**
   * pixels (batch, channels, height, width) -> (batch, tokens, hidden), before the final layer norm.
   * Pictures go through a block one by one: the memory of a block is that of one picture, and a picture's result does not depend on its
   * batch.
   */
  async forward(pixels: Float32, { masked, headMask, signal }: Request, observer: Observer = {}): Promise<Float32> {
    const engine = this.#engine;
    const { attention } = observer;
    const [batch, , height, width] = pixels.dims as [number, number, number, number];
    const positions = this.#embeddings.positions(height, width); // (1 + patches, hidden)
    const [marked, hidden] = positions.dims as [number, number];
    const x = place(engine, 'float32', [batch, marked + this.#registers, hidden]); // (batch, tokens, hidden)
    for (let i = 0; i < batch; i++) {
      engine.scope(() => this.#embeddings.forward(pixels.at(i), positions, x.at(i), masked?.at(i)));
    }
    observer.hidden?.(0, x);
    for (const [n, layer] of this.#layers.entries()) {
      const mask = headMask?.[n];
      await this.streamed?.bring(n);
      for (let i = 0; i < batch; i++) {
        if (signal) await pause(signal);
        engine.scope(() =>
          layer.forward(x.at(i), {
            ...(mask && { headMask: mask }),
            ...(attention && { probabilities: (kept) => attention(n, i, kept) }),
          }),
        );
      }
      observer.hidden?.(n + 1, x);
    }
    return x;
  }
}

/** Lets other work run, which may be what aborts the signal. */
async function pause(signal: AbortSignal): Promise<void> {
  await host.pause();
  signal.throwIfAborted();
}
