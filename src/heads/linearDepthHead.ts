import type { Parameters } from '../nn/parameters.ts';
import type { Engine } from '../runtime/engine.ts';
import { concatChannels } from '../tensor/conv.ts';
import { createMatrix } from '../tensor/matrix/createMatrix.ts';
import type { PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { add, binMean } from '../tensor/ops.ts';
import { copyTo, type Float32, place, placed } from '../tensor/place.ts';
import { resample } from '../tensor/resample.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Stage } from './dpt.ts';

/** How much finer than the patches the depth is. */
const UPSAMPLE = 4;
/** Rows of patches whose bins are enlarged at a time: 256 bins at 4 x 4 places a patch are 16 KiB a patch. */
const BAND = 8;

export interface LinearDepthHeadOptions {
  /** Of the tokens. */
  width: number;
  /** Stages that are put side by side: 1 or 4 in released heads. */
  layers: number;
  bins: number;
  /** Metres that the first and the last bin stand for. */
  range: readonly [min: number, max: number];
}

/**
 * The linear depth head of facebookresearch/dinov2 (dinov2/hub/depth/decode_heads.py, `BNHead`, in which there is no batch norm): a linear
 * layer on [patch, class token] of each stage gives the weights of bins of depth, whose mean is the depth. The original enlarges the
 * tokens and then applies the layer; both are linear, so here the layer comes first, on 16 times fewer places, and its half for the class
 * tokens, which are the same at all places, once.
 */
export class LinearDepthHead {
  readonly #engine: Engine;
  readonly #halves: () => Halves;
  readonly #range: readonly [number, number];
  readonly #bins: number;

  constructor(p: Parameters, { width, layers, bins, range }: LinearDepthHeadOptions) {
    this.#engine = p.engine;
    this.#range = range;
    this.#bins = bins;
    const own = p.at('conv_depth').precise;
    const make = (): Halves => new Halves(own, { width, layers, bins });
    let made: Halves | undefined;
    const halves = (): Halves => {
      made ??= make();
      return made;
    };
    this.#halves = own.declare('weight', [bins, 2 * layers * width, 1, 1], 'normal', {
      dtype: own.dtype,
      allocate: halves,
      load: (form, value) => form.loadWeight(value.data),
      read: (form) => form.readWeight(),
    });
    own.declare('bias', [bins], 0, {
      allocate: halves,
      load: (form, value) => form.loadBias(value.clone()),
      read: (form) => form.tokens.unpack().bias,
    });
  }

  /** One stage a layer, the shallowest first -> (4 rows, 4 columns) in metres */
  forward(stages: readonly Stage[]): Float32 {
    const halves = this.#halves();
    const patches = concatChannels(...nonEmpty(stages.map((stage) => stage.patches))); // (rows, columns, layers * width)
    const tokens = concatChannels(...nonEmpty(stages.map((stage) => stage.classToken))); // (layers * width)
    const logits = add(halves.patches.multiply(patches), halves.tokens.multiply(tokens)); // (rows, columns, bins)
    const [rows, columns] = logits.dims as [number, number, number];
    const values = placed(this.#engine, linspace(this.#range, this.#bins));
    const depth = place(this.#engine, 'float32', [UPSAMPLE * rows, UPSAMPLE * columns]);
    for (let first = 0; first < rows; first += BAND) {
      this.#engine.scope(() => {
        const end = Math.min(rows, first + BAND);
        const [top, bottom] = [Math.max(0, first - 1), Math.min(rows, end + 1)]; // bilinear reaches over one row
        const wide = resample(logits.slice(top, bottom), {
          height: UPSAMPLE * (bottom - top),
          width: UPSAMPLE * columns,
          filter: 'bilinear',
        });
        const band = wide.slice(UPSAMPLE * (first - top), UPSAMPLE * (end - top)); // (4 rows, 4 columns, bins)
        copyTo(depth.slice(UPSAMPLE * first, UPSAMPLE * end), binMean(band, values));
      });
    }
    return depth;
  }
}

/** The weight (bins, layers, [patch, class token], width) of the layer as a matrix for the patches and one for the class tokens. */
class Halves {
  readonly patches: PackedMatrix;
  readonly tokens: PackedMatrix;
  readonly #width: number;
  #bias: Float32 | undefined; // packing writes the bias too, and a checkpoint may give it first

  constructor({ engine, dtype }: Parameters, { width, layers, bins }: { width: number; layers: number; bins: number }) {
    this.#width = width;
    this.patches = createMatrix(engine, dtype, bins, layers * width);
    this.tokens = createMatrix(engine, dtype, bins, layers * width);
  }

  loadWeight(data: Float32Array): void {
    const { outputs, inputs } = this.patches;
    const halves = [0, 1].map(() => new Float32Array(outputs * inputs)) as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
    this.#each((half, at, from) => halves[half]?.set(data.subarray(from, from + this.#width), at));
    this.patches.pack(new Tensor('float32', halves[0], [outputs, inputs]));
    this.tokens.pack(new Tensor('float32', halves[1], [outputs, inputs]), this.#bias);
  }

  loadBias(bias: Float32): void {
    this.#bias = bias;
    this.tokens.setBias(bias);
  }

  readWeight(): Float32 {
    const { outputs, inputs } = this.patches;
    const halves = [this.patches.unpack().weight.data, this.tokens.unpack().weight.data];
    const data = new Float32Array(2 * outputs * inputs);
    this.#each((half, at, from) => data.set((halves[half] as Float32Array).subarray(at, at + this.#width), from));
    return new Tensor('float32', data, [outputs, 2 * inputs, 1, 1]);
  }

  /** Each run of `width` numbers: which half it belongs to, where it is in that, and where in the whole. */
  #each(visit: (half: number, at: number, from: number) => void): void {
    const runs = (this.patches.outputs * this.patches.inputs) / this.#width;
    for (let run = 0; run < runs; run++) {
      for (const half of [0, 1]) visit(half, run * this.#width, (2 * run + half) * this.#width);
    }
  }
}

/** `torch.linspace` */
function linspace([min, max]: readonly [number, number], count: number): Float32 {
  const step = count > 1 ? (max - min) / (count - 1) : 0;
  return new Tensor(
    'float32',
    Float32Array.from({ length: count }, (_, i) => min + step * i),
    [count],
  );
}

function nonEmpty<T>(items: readonly T[]): readonly [T, ...T[]] {
  return items as readonly [T, ...T[]];
}
