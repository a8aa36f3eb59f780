import type { Engine } from '../runtime/engine.ts';
import { type Activation, activationNumber, PANEL } from '../runtime/kernels.ts';
import type { Address } from '../runtime/memory.ts';
import { addressOf, checkDims, type Float32, operate, place, placed } from './place.ts';
import { sizeOf, type Tensor } from './tensor.ts';

/**
 * The weight (outputs, inputs) and bias (outputs) of a linear layer, in the order in which the matrix product reads them
 * (`assembly/gemm/pack.ts`). Today in float32; narrower kinds will be further classes with the same two products.
 */
export class PackedMatrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly #engine: Engine;
  readonly #address: Address;

  /** Takes memory for a matrix that is yet to be {@link pack packed}. */
  constructor(engine: Engine, outputs: number, inputs: number) {
    this.outputs = outputs;
    this.inputs = inputs;
    this.#engine = engine;
    this.#address = engine.allocate(Math.ceil(outputs / PANEL) * this.#panelBytes);
  }

  /** Packs weight (outputs, inputs) and bias (outputs; none is zeros). */
  pack(weight: Float32, bias?: Float32): void {
    checkDims('weight', [this.outputs, this.inputs], weight.dims);
    if (bias) checkDims('bias', [this.outputs], bias.dims);
    const engine = this.#engine;
    engine.scope(() => {
      const b = bias ? addressOf(placed(engine, bias)) : 0;
      engine.call('f32_pack', this.outputs, this.inputs, addressOf(placed(engine, weight)), this.inputs, b, this.#address);
    });
  }

  /** Replaces the bias (outputs). */
  setBias(bias: Float32): void {
    checkDims('bias', [this.outputs], bias.dims);
    const { data } = bias;
    for (let i = 0; i < this.outputs; i += PANEL) {
      this.#engine.write(this.#address + (i / PANEL) * this.#panelBytes, data.subarray(i, i + PANEL));
    }
  }

  /** The matrix and its bias as they were packed, in memory of their own. */
  unpack(): { weight: Float32; bias: Float32 } {
    const engine = this.#engine;
    return engine.scope(() => {
      const weight = place(engine, 'float32', [this.outputs, this.inputs]);
      const bias = place(engine, 'float32', [this.outputs]);
      engine.call('f32_unpack', this.outputs, this.inputs, this.#address, addressOf(weight), addressOf(bias));
      return { weight: weight.clone(), bias: bias.clone() };
    });
  }

  /** activation(x weight^T + bias): x (..., inputs) -> (..., outputs) */
  multiply(x: Float32, activation: Activation = 'none'): Float32 {
    const y = place(this.#engine, 'float32', [...x.dims.slice(0, -1), this.outputs]);
    const rows = this.#rows(x);
    const { inputs: k, outputs: n } = this;
    this.#engine.call('f32_gemm', rows, n, k, addressOf(x), k, this.#address, addressOf(y), n, activationNumber(activation));
    return y;
  }

  /** y += scale * (x weight^T + bias), in place: x (..., inputs), scale (outputs), y (..., outputs) */
  multiplyAdd(x: Float32, scale: Float32, y: Float32): void {
    checkDims('scale', [this.outputs], scale.dims);
    checkDims('y', [...x.dims.slice(0, -1), this.outputs], y.dims);
    const rows = this.#rows(x);
    const { inputs: k, outputs: n } = this;
    this.#engine.call('f32_gemm_add', rows, n, k, addressOf(x), k, this.#address, addressOf(y), n, addressOf(scale));
  }

  #rows(x: Float32): number {
    const leading = x.dims.slice(0, -1);
    checkDims('x', [...leading, this.inputs], x.dims);
    return sizeOf(leading);
  }

  get #panelBytes(): number {
    return (this.inputs + 1) * PANEL * 4;
  }
}

/**
 * activation(x weight^T + bias), as `torch.nn.functional.linear`: x (..., inputs), weight (outputs, inputs), bias (outputs) -> (...,
 * outputs)
 * @throws {ShapeError} naming the operand, {DTypeError} unless float32, {ArgumentError} on an unknown activation
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, { activation = 'none' }: { activation?: Activation } = {}): Float32 {
  return operate('linear', [x, weight, bias], (engine, [a, w, b]) => {
    checkDims('weight', [-1, x.dims.at(-1) ?? 1], w.dims);
    const packed = new PackedMatrix(engine, w.dims[0] as number, w.dims[1] as number);
    packed.pack(w, b);
    return packed.multiply(a, activation);
  });
}
