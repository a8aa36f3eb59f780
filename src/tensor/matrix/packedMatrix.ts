import type { Engine } from '../../runtime/engine.ts';
import { type Activation, PANEL } from '../../runtime/kernels.ts';
import type { Address } from '../../runtime/memory.ts';
import type { KernelCall } from '../../runtime/threads.ts';
import { checkDims, type Float32 } from '../place.ts';
import { sizeOf, Tensor } from '../tensor.ts';
import type { Band } from './band.ts';
import type { InputStatistics } from './calibration.ts';
import { groupsOf } from './int8Layout.ts';
import type { QuantizedRows } from './quantizedRows.ts';

/** The kinds of number in which weights are kept. Arithmetic is in float32, with int8 in exact integers. */
export const WEIGHT_DTYPES = ['float32', 'float16', 'int8'] as const;
export type WeightDType = (typeof WEIGHT_DTYPES)[number];

/** A left-hand side: numbers, or what {@link PackedMatrix.normalized} made of them. */
export type Operand = Float32 | QuantizedRows;

/**
 * Integers of 8 bits that stand for weights: weight[o, i] = scales[o, floor(i / GROUP)] * integers[o, i], or if they are rotated what `rotate`
 * (`rotation.ts`) makes of these products.
 */
export interface QuantizedWeight {
  /** (outputs, inputs), -127 to 127, row-major */
  readonly integers: Int8Array;
  /** (outputs, groups) */
  readonly scales: Float32Array;
  /** Default false. */
  readonly rotated?: boolean;
}

/** Who is shown the inputs of products. */
export type Audience = Set<(x: Float32) => void>;

/** A part of a product: panels of 8 columns, and rows. */
export interface Cut {
  readonly firstRow: number;
  readonly rows: number;
  readonly firstPanel: number;
  readonly columns: number;
  readonly part: number;
}

/**
 * The weight (outputs, inputs) and bias (outputs) of a linear layer, in the order in which a matrix product reads them. Each kind of number has a
 * class of its own.
 */
export abstract class PackedMatrix {
  readonly outputs: number;
  readonly inputs: number;
  protected readonly engine: Engine;

  /** One for all slices. */
  protected readonly audience: Audience;

  constructor(engine: Engine, outputs: number, inputs: number, audience: Audience = new Set()) {
    this.engine = engine;
    this.outputs = outputs;
    this.inputs = inputs;
    this.audience = audience;
  }

  /** `outputs` outputs from the `first` on, a multiple of 8, as a matrix of their own that shares the storage. */
  abstract slice(first: number, outputs: number): PackedMatrix;

  /**
   * Packs weight (outputs, inputs) and bias (outputs; none is zeros). What is known of the inputs makes integers better; what it makes of the mean of
   * the outputs is for {@link biasCorrection}.
   */
  abstract pack(weight: Float32, bias?: Float32, inputs?: InputStatistics): void;

  /** Packs weights that come as integers: rotated if that is how this matrix, of integers, has them. */
  abstract packQuantized(weight: QuantizedWeight, bias?: Float32): void;

  /** Replaces the bias (outputs). */
  abstract setBias(bias: Float32): void;

  /** The matrix and its bias as they are packed, in memory of their own. */
  abstract unpack(): { weight: Float32; bias: Float32 };

  /** The integers, where that is how the matrix is kept. */
  quantized(): QuantizedWeight | undefined {
    return undefined;
  }

  /** The layer norm of x (..., inputs) in the form in which this matrix reads it: weight and bias (inputs). */
  abstract normalized(x: Float32, weight: Float32, bias: Float32, epsilon: number): Operand;

  /** activation(x weight^T + bias): x (..., inputs) -> (..., outputs). With weights of 8 bits GELU is within 9e-5 (`f32_rough_gelu`). */
  abstract multiply(x: Operand, activation?: Activation): Float32;

  /** y += scale * (x weight^T + bias), in place: x (..., inputs), scale (outputs), y (..., outputs) */
  abstract multiplyAdd(x: Operand, scale: Float32, y: Float32): void;

  /**
   * A band of a convolution: activation(patches weight^T + bias) to c (rows, columns, outputs), of which the outputs of a place are ldc numbers from those
   * of the next; or added to c.
   */
  abstract convolve(band: Band, c: Address, ldc: number, into: Activation | 'add'): void;

  /** The same matrix as it is multiplied, for many products of a few rows: in memory of the engine's scope, or itself where there is nothing to gain. */
  widened(): PackedMatrix {
    return this;
  }

  /** Shows `observe` what this matrix, or the one it is a slice of, is multiplied with, until the function that it returns is called. */
  watch(observe: (x: Float32) => void): () => void {
    this.audience.add(observe);
    return () => this.audience.delete(observe);
  }

  /** Whether somebody wants to be shown the inputs. */
  get isWatched(): boolean {
    return this.audience.size > 0;
  }

  /** Shows the inputs (..., inputs) of a product that is made in another way. */
  show(x: Float32): void {
    for (const observe of this.audience) observe(x);
  }

  protected get panels(): number {
    return Math.ceil(this.outputs / PANEL);
  }

  /** The rows of x, which has to have as many columns as there are inputs. */
  protected rows(x: Operand): number {
    const leading = x.dims.slice(0, -1);
    checkDims('x', [...leading, this.inputs], x.dims);
    if (x instanceof Tensor) this.show(x);
    return sizeOf(leading);
  }

  protected checkQuantized({ integers, scales }: QuantizedWeight): void {
    checkDims('integers', [this.outputs * this.inputs], [integers.length]);
    checkDims('scales', [this.outputs * groupsOf(this.inputs)], [scales.length]);
  }

  /** Writes biases (outputs) to the front of each panel. */
  protected putBiases(bias: Float32, address: Address, panelBytes: number): void {
    checkDims('bias', [this.outputs], bias.dims);
    const { engine, panels } = this;
    engine.scope(() => {
      const all = engine.allocate(panels * PANEL * 4); // what is behind the last one is never used
      engine.write(all, bias.data);
      engine.call('f32_copy_rows', panels, PANEL, all, PANEL, address, panelBytes / 4);
    });
  }

  protected checkAdd(x: Operand, scale: Float32, y: Float32): void {
    checkDims('scale', [this.outputs], scale.dims);
    checkDims('y', [...x.dims.slice(0, -1), this.outputs], y.dims);
  }

  /**
   * How many parts {@link share} makes of a product of `rows` rows. By panels, two at a time so that no two threads write to a cache line; where
   * there are few of them by rows, at multiples of `grain`.
   */
  protected parts(rows: number, grain: number): number {
    return this.#byPanels ? this.engine.parts(this.panels, 2) : this.engine.parts(rows, grain);
  }

  protected share(rows: number, grain: number, cut: (cut: Cut) => KernelCall): void {
    if (this.#byPanels) {
      this.engine.parallel(this.panels, 2, (firstPanel, panels, part) =>
        cut({ firstRow: 0, rows, firstPanel, columns: Math.min(panels * PANEL, this.outputs - firstPanel * PANEL), part }),
      );
    } else {
      this.engine.parallel(rows, grain, (firstRow, count, part) =>
        cut({ firstRow, rows: count, firstPanel: 0, columns: this.outputs, part }),
      );
    }
  }

  get #byPanels(): boolean {
    return this.panels >= 4 * this.engine.threads;
  }
}
