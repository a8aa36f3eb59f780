import { Conv2d } from '../nn/conv2d.ts';
import type { Parameters } from '../nn/parameters.ts';
import type { Engine } from '../runtime/engine.ts';
import { multiply } from '../tensor/ops.ts';
import { type Float32, keep, placed } from '../tensor/place.ts';
import { Tensor } from '../tensor/tensor.ts';
import { doubled, type Size, type ToEnlarge } from './dpt.ts';

/** Channels of the last but one convolution of DPT's head. */
const DPT_HIDDEN = 32;

/** The depth head of DPT (Ranftl et al. 2021, supplement): transformers, models/dpt/modeling_dpt.py, `DPTDepthEstimationHead`. */
export class DptDepthHead {
  readonly #engine: Engine;
  readonly #projection: Conv2d | undefined;
  readonly #conv1: Conv2d;
  readonly #conv2: Conv2d;
  readonly #conv3: Conv2d;

  constructor(p: Parameters, channels: number, { projection }: { projection: boolean }) {
    const half = Math.floor(channels / 2);
    this.#engine = p.engine;
    this.#projection = projection ? new Conv2d(p.at('projection'), channels, channels, { kernel: 3, padding: 1 }) : undefined;
    this.#conv1 = new Conv2d(p.at('head.0'), channels, half, { kernel: 3, padding: 1 });
    this.#conv2 = new Conv2d(p.at('head.2'), half, DPT_HIDDEN, { kernel: 3, padding: 1 });
    this.#conv3 = new Conv2d(p.at('head.4'), DPT_HIDDEN, 1, { kernel: 1 });
  }

  /** (rows, columns, channels), enlarged to (height, width) -> (2 height, 2 width), from 0 */
  forward({ x: fused, enlargeTo }: ToEnlarge): Float32 {
    let x = keep(this.#engine, () => {
      if (!this.#projection) return this.#conv1.forward(fused, { enlargeTo });
      return this.#conv1.forward(this.#projection.forward(fused, { activation: 'relu', enlargeTo })); // from (height, width, channels)
    }); // (height, width, channels / 2)
    x = this.#conv2.forward(x, { activation: 'relu', enlargeTo: doubled(x) }); // (2 height, 2 width, 32)
    x = this.#conv3.forward(x, { activation: 'relu' }); // (2 height, 2 width, 1)
    return x.reshape(...x.dims.slice(0, 2));
  }
}

export interface DepthAnythingHeadOptions {
  hiddenSize: number;
  /** `relative`: unbounded from 0, larger is nearer; `metric`: metres from 0 to maxDepth. */
  kind: 'relative' | 'metric';
  maxDepth: number;
}

/**
 * The depth head of Depth Anything (Yang et al. 2024): transformers, models/depth_anything/modeling_depth_anything.py,
 * `DepthAnythingDepthEstimationHead`.
 */
export class DepthAnythingHead {
  readonly #engine: Engine;
  readonly #conv1: Conv2d;
  readonly #conv2: Conv2d;
  readonly #conv3: Conv2d;
  readonly #isMetric: boolean;
  readonly #maxDepth: number;

  constructor(p: Parameters, channels: number, { hiddenSize, kind, maxDepth }: DepthAnythingHeadOptions) {
    const half = Math.floor(channels / 2);
    this.#engine = p.engine;
    this.#conv1 = new Conv2d(p.at('conv1'), channels, half, { kernel: 3, padding: 1 });
    this.#conv2 = new Conv2d(p.at('conv2'), half, hiddenSize, { kernel: 3, padding: 1 });
    this.#conv3 = new Conv2d(p.at('conv3'), hiddenSize, 1, { kernel: 1 });
    this.#isMetric = kind === 'metric';
    this.#maxDepth = maxDepth;
  }

  /** (rows, columns, channels) -> (height, width) */
  forward({ x: fused, enlargeTo }: ToEnlarge, [height, width]: Size): Float32 {
    let x = this.#conv1.forward(fused, { enlargeTo }); // (rows, columns, channels / 2), as enlarged
    x = this.#conv2.forward(x, { activation: 'relu', enlargeTo: [height, width] }); // (height, width, hidden)
    x = this.#conv3.forward(x, { activation: this.#isMetric ? 'sigmoid' : 'relu' }); // (height, width, 1)
    if (this.#maxDepth !== 1) x = multiply(x.reshape(-1, 1), this.#number(this.#maxDepth));
    return x.reshape(height, width);
  }

  #number(value: number): Float32 {
    return placed(this.#engine, new Tensor('float32', [value], [1]));
  }
}
