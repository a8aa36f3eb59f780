import { Conv2d } from '../nn/conv2d.ts';
import { ConvTranspose2d } from '../nn/convTranspose2d.ts';
import { Linear } from '../nn/linear.ts';
import type { Parameters } from '../nn/parameters.ts';
import type { Engine } from '../runtime/engine.ts';
import type { Activation } from '../runtime/kernels.ts';
import { concatChannels } from '../tensor/conv.ts';
import { add } from '../tensor/ops.ts';
import { type Float32, keep } from '../tensor/place.ts';
import { resample } from '../tensor/resample.ts';

/** What the class token does to the patches: nothing, is added, or joins them in a linear layer. */
export type Readout = 'ignore' | 'add' | 'project';

export interface DptNeckOptions {
  /** Width of the tokens. */
  hiddenSize: number;
  /** Channels of each level before the fusion, the shallowest first. */
  neckSizes: readonly number[];
  /** What the grid of each level is multiplied by: a whole number or one over it. */
  factors: readonly number[];
  /** Channels of the fusion. */
  fusionSize: number;
  /** Level, counted from the deepest, whose fusion is the result; those after it are not computed. */
  outputLevel: number;
  readout: Readout;
  /** Behind the linear layer of the readout `project`. */
  activation: Activation;
  /** Whether the convolutions of the residual units have a bias. */
  residualBias: boolean;
  /** What a fusion enlarges to: the size of the next level, as Depth Anything does, or twice its own, as DPT does. */
  upsample: 'next' | 'double';
}

/** The tokens of one picture at one stage of the backbone. */
export interface Stage {
  /** (hidden) */
  readonly classToken: Float32;
  /** (rows, columns, hidden) */
  readonly patches: Float32;
}

/**
 * The decoder of DPT (Ranftl et al. 2021, "Vision Transformers for Dense Prediction"): tokens of several stages become maps of several
 * sizes, which are fused from the deepest to the shallowest. Names as in transformers, models/dpt/modeling_dpt.py and
 * models/depth_anything/modeling_depth_anything.py.
 */
export class DptNeck {
  readonly #engine: Engine;
  readonly #reassemble: readonly ReassembleLayer[];
  readonly #convs: readonly Conv2d[];
  readonly #fusion: readonly FusionLayer[];
  readonly #outputLevel: number;
  readonly #upsample: DptNeckOptions['upsample'];

  constructor(p: Parameters, options: DptNeckOptions) {
    const { neckSizes, fusionSize, outputLevel, residualBias: bias, upsample } = options;
    this.#engine = p.engine;
    this.#reassemble = neckSizes.map((_, level) => new ReassembleLayer(p.at('reassemble_stage'), level, options));
    this.#convs = neckSizes.map((size, i) => new Conv2d(p.at(`convs.${i}`), size, fusionSize, { kernel: 3, padding: 1, bias: false }));
    this.#fusion = neckSizes.map((_, i) => new FusionLayer(p.at(`fusion_stage.layers.${i}`), fusionSize, { bias, skip: i > 0 }));
    this.#outputLevel = outputLevel;
    this.#upsample = upsample;
  }

  /** One stage a level, the shallowest first -> (rows, columns, fusion), and what it is still to be enlarged to */
  forward(stages: readonly Stage[]): ToEnlarge {
    const engine = this.#engine;
    let enlargeTo: Size = [0, 0];
    const x = keep(engine, () => {
      const level = (stage: Stage, i: number): Float32 =>
        keep(engine, () => (this.#convs[i] as Conv2d).forward((this.#reassemble[i] as ReassembleLayer).forward(stage)));
      const [deepest, ...rest] = stages.map(level).reverse() as [Float32, ...Float32[]]; // (rows, columns, fusion) of each
      enlargeTo = sizeOf(deepest);
      return this.#fusion.slice(0, this.#outputLevel + 1).reduce((from, layer, i) => {
        const fused = keep(engine, () => layer.forward(toSize(from, enlargeTo, { alignCorners: true }), rest[i - 1]));
        const next = this.#upsample === 'next' ? rest[i] : undefined;
        enlargeTo = next ? sizeOf(next) : doubled(fused);
        return fused;
      }, deepest);
    });
    return { x, enlargeTo };
  }
}

/** Readout, projection and resizing of one level. */
class ReassembleLayer {
  readonly #readout: Readout;
  readonly #activation: Activation;
  readonly #readoutProject: Linear | undefined;
  readonly #projection: Conv2d;
  readonly #resize: Conv2d | ConvTranspose2d | undefined;

  constructor(p: Parameters, level: number, { hiddenSize, neckSizes, factors, readout, activation }: DptNeckOptions) {
    const [size, factor] = [neckSizes[level] as number, factors[level] as number];
    this.#readout = readout;
    this.#activation = activation;
    this.#readoutProject =
      readout === 'project' ? new Linear(p.at(`readout_projects.${level}.0`).precise, 2 * hiddenSize, hiddenSize) : undefined;
    const layer = p.at(`layers.${level}`);
    this.#projection = new Conv2d(layer.at('projection'), hiddenSize, size, { kernel: 1 });
    if (factor > 1) this.#resize = new ConvTranspose2d(layer.at('resize'), size, size, { kernel: factor });
    if (factor < 1) this.#resize = new Conv2d(layer.at('resize'), size, size, { kernel: 3, stride: Math.trunc(1 / factor), padding: 1 });
  }

  /** patches (rows, columns, hidden) -> (factor * rows, factor * columns, neck size) */
  forward({ classToken, patches }: Stage): Float32 {
    let x = patches;
    if (this.#readout === 'add') x = add(patches, classToken);
    if (this.#readoutProject) x = this.#readoutProject.forward(concatChannels(patches, classToken), this.#activation);
    x = this.#projection.forward(x); // (rows, columns, neck size)
    return this.#resize?.forward(x) ?? x;
  }
}

/** Two convolutions with activations in front (He et al. 2016, "Identity Mappings in Deep Residual Networks"). */
class ResidualUnit {
  readonly #engine: Engine;
  readonly #convolution1: Conv2d;
  readonly #convolution2: Conv2d;

  constructor(p: Parameters, channels: number, { bias }: { bias: boolean }) {
    this.#engine = p.engine;
    this.#convolution1 = new Conv2d(p.at('convolution1'), channels, channels, { kernel: 3, padding: 1, bias });
    this.#convolution2 = new Conv2d(p.at('convolution2'), channels, channels, { kernel: 3, padding: 1, bias });
  }

  /** x (rows, columns, channels) += convolution2(relu(convolution1(relu(x)))), in place */
  addTo(x: Float32): void {
    this.#engine.scope(() => this.#convolution2.addTo(x, this.#convolution1.forward(x, { inputRelu: true, activation: 'relu' })));
  }
}

class FusionLayer {
  readonly #projection: Conv2d;
  readonly #residual1: ResidualUnit | undefined;
  readonly #residual2: ResidualUnit;

  /** `skip`: whether a level comes in from the side. The deepest has none, and its residual_layer1 is never used. */
  constructor(p: Parameters, channels: number, { bias, skip }: { bias: boolean; skip: boolean }) {
    this.#projection = new Conv2d(p.at('projection'), channels, channels, { kernel: 1 });
    this.#residual1 = skip ? new ResidualUnit(p.at('residual_layer1'), channels, { bias }) : undefined;
    this.#residual2 = new ResidualUnit(p.at('residual_layer2'), channels, { bias });
  }

  /**
   * x and skip (rows, columns, channels), both changed -> (rows, columns, channels), to be enlarged. transformers enlarges in front of the projection;
   * a 1x1 convolution commutes with a resampling whose weights sum to 1, and before it there is less to do.
   */
  forward(x: Float32, skip: Float32 | undefined): Float32 {
    if (skip && this.#residual1) {
      const side = toSize(skip, sizeOf(x), { alignCorners: false });
      this.#residual1.addTo(side);
      add(x, side, { out: x });
    }
    this.#residual2.addTo(x);
    return this.#projection.forward(x);
  }
}

export type Size = readonly [height: number, width: number];

/** A map (rows, columns, channels) that is to be enlarged, which is best left to the convolution that reads it: bilinear, corners aligned. */
export interface ToEnlarge {
  readonly x: Float32;
  readonly enlargeTo: Size;
}

/** Bilinear: (rows, columns, channels) -> (height, width, channels); x itself if it has that size */
function toSize(x: Float32, [height, width]: Size, { alignCorners }: { alignCorners: boolean }): Float32 {
  const [rows, columns] = sizeOf(x);
  return rows === height && columns === width ? x : resample(x, { height, width, filter: 'bilinear', alignCorners });
}

/** Twice the size of a map (rows, columns, ...). */
export function doubled(x: Pick<Float32, 'dims'>): Size {
  const [rows, columns] = sizeOf(x);
  return [2 * rows, 2 * columns];
}

function sizeOf({ dims }: Pick<Float32, 'dims'>): Size {
  return [dims[0] as number, dims[1] as number];
}
