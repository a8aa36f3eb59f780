import { ShapeError } from '../../errors.ts';
import type { Engine } from '../../runtime/engine.ts';
import { type Activation, activationNumber, PANEL, PLACES_BYTES, TILE_ROWS } from '../../runtime/kernels.ts';
import type { Address } from '../../runtime/memory.ts';
import { layerNorm } from '../ops.ts';
import { addressOf, checkDims, type Float32, place, placed } from '../place.ts';
import { Tensor } from '../tensor.ts';
import { type Band, paddedRows } from './band.ts';
import { GROUP, groupsOf } from './int8Layout.ts';
import { type Audience, type Cut, type Operand, PackedMatrix, type QuantizedWeight } from './packedMatrix.ts';
import { QuantizedRows } from './quantizedRows.ts';
import { rotate } from './rotation.ts';

/** What a slice has in common with the matrix it is of. */
interface Shared {
  readonly address: Address;
  readonly audience: Audience;
}

/** Weights that are floats, multiplied in float32. */
abstract class FloatMatrix extends PackedMatrix {
  protected readonly address: Address;
  readonly #panelBytes: number;

  /**
   * @param panelBytes 8 biases, then what the kind of number takes for `inputs` times 8 weights
   * @param shared what a slice has in common with the matrix it is of
   */
  constructor(engine: Engine, outputs: number, inputs: number, panelBytes: number, shared?: Shared) {
    super(engine, outputs, inputs, shared?.audience);
    this.#panelBytes = panelBytes;
    this.address = shared?.address ?? engine.allocate(this.panels * panelBytes);
  }

  protected shared(first: number): Shared {
    return { address: this.address + (first / PANEL) * this.#panelBytes, audience: this.audience };
  }

  packQuantized(weight: QuantizedWeight, bias?: Float32): void {
    this.checkQuantized(weight);
    this.pack(dequantize(weight, this.outputs, this.inputs), bias);
  }

  setBias(bias: Float32): void {
    this.putBiases(bias, this.address, this.#panelBytes);
  }

  normalized(x: Float32, weight: Float32, bias: Float32, epsilon: number): Float32 {
    return layerNorm(x, weight, bias, epsilon);
  }

  multiply(x: Operand, activation: Activation = 'none'): Float32 {
    const rows = this.rows(x);
    const y = place(this.engine, 'float32', [...x.dims.slice(0, -1), this.outputs]);
    this.product(rows, addressOf(float(x)), addressOf(y), activationNumber(activation));
    return y;
  }

  multiplyAdd(x: Operand, scale: Float32, y: Float32): void {
    this.checkAdd(x, scale, y);
    this.product(this.rows(x), addressOf(float(x)), addressOf(y), 0, addressOf(scale));
  }

  /** c = activation(a w), or with a scale c += scale * a w */
  protected abstract product(rows: number, a: Address, c: Address, activation: number, scale?: Address): void;

  /** Where a part of the product begins: in a, in the packed weights, in c and in the scale. */
  protected at(
    { firstRow, firstPanel }: Cut,
    a: Address,
    c: Address,
    scale: Address,
    ldc = this.outputs,
  ): { a: Address; w: Address; c: Address; scale: Address } {
    return {
      a: a + firstRow * this.inputs * 4,
      w: this.address + firstPanel * this.#panelBytes,
      c: c + (firstRow * ldc + firstPanel * PANEL) * 4,
      scale: scale + firstPanel * PANEL * 4,
    };
  }

  /** Packed weights (`assembly/gemm/pack.ts`) as an array of their own. */
  protected unpacked(packed: Address): { weight: Float32; bias: Float32 } {
    const { engine } = this;
    const weight = place(engine, 'float32', [this.outputs, this.inputs]);
    const bias = place(engine, 'float32', [this.outputs]);
    engine.call('f32_unpack', this.outputs, this.inputs, packed, addressOf(weight), addressOf(bias));
    return { weight: weight.clone(), bias: bias.clone() };
  }
}

/** Weights in float32 (`assembly/gemm/pack.ts`). */
export class Float32Matrix extends FloatMatrix {
  constructor(engine: Engine, outputs: number, inputs: number, shared?: Shared) {
    super(engine, outputs, inputs, packedBytes(inputs), shared);
  }

  slice(first: number, outputs: number): Float32Matrix {
    return new Float32Matrix(this.engine, outputs, this.inputs, this.shared(first));
  }

  pack(weight: Float32, bias?: Float32): void {
    pack(this.engine, this, weight, bias, this.address);
  }

  unpack(): { weight: Float32; bias: Float32 } {
    return this.engine.scope(() => this.unpacked(this.address));
  }

  protected product(rows: number, a: Address, c: Address, activation: number, scale: Address = 0): void {
    const { inputs: k, outputs: n } = this;
    this.share(rows, TILE_ROWS, (cut) => {
      const at = this.at(cut, a, c, scale);
      return scale
        ? ['f32_gemm_add', cut.rows, cut.columns, k, at.a, k, at.w, at.c, n, at.scale]
        : ['f32_gemm', cut.rows, cut.columns, k, at.a, k, at.w, at.c, n, activation];
    });
  }

  convolve(band: Band, c: Address, ldc: number, into: Activation | 'add'): void {
    const { engine } = this;
    const { size, kernel, stride, columns, top, bottom } = band;
    engine.scope(() => {
      const x = paddedImage(engine, band);
      const { width } = paddedRows(band);
      const count = (bottom - top) * columns;
      const places = engine.allocate(this.parts(count, TILE_ROWS) * PLACES_BYTES);
      this.share(count, TILE_ROWS, (cut) => {
        const own = places + cut.part * PLACES_BYTES;
        const window = [cut.columns, size[2], ...kernel, stride, width, columns, cut.firstRow, cut.rows] as const;
        const { w, c: to } = this.at(cut, 0, c, 0, ldc);
        return into === 'add'
          ? ['f32_conv_add', ...window, x, w, to, ldc, own]
          : ['f32_conv', ...window, x, w, to, ldc, activationNumber(into), own];
      });
    });
  }
}

/** The rows of an image that a band is made of, with their padding on them, behind a ReLU where that is wanted. */
function paddedImage(engine: Engine, band: Band): Address {
  const { image, size, padding, inputRelu } = band;
  const [height, width, channels] = size;
  const rows = paddedRows(band);
  if (padding === 0 && !inputRelu) return image + rows.first * width * channels * 4;
  const rowBytes = rows.width * channels * 4;
  const y = engine.allocate(rows.count * rowBytes);
  const least = inputRelu ? 0 : Number.NEGATIVE_INFINITY;
  engine.parallel(rows.count, 1, (first, count) => [
    ...(['f32_pad', height, width, channels, padding, rows.first + first, count, least] as const),
    ...([image, y + first * rowBytes] as const),
  ]);
  return y;
}

/** Bytes of widened panels at a time: a third of a common second-level cache. */
const ROOM_BYTES = 192 * 1024;

/** Bytes of a matrix that is widened as a whole. */
const WIDE_BYTES = 4 * 2 ** 20;

/** Weights in 16 bits (`assembly/gemm/f16_pack.ts`), widened a few panels at a time: the results are those of float32 on the rounded weights. */
export class Float16Matrix extends FloatMatrix {
  constructor(engine: Engine, outputs: number, inputs: number, shared?: Shared) {
    super(engine, outputs, inputs, PANEL * 4 + inputs * PANEL * 2, shared);
  }

  slice(first: number, outputs: number): Float16Matrix {
    return new Float16Matrix(this.engine, outputs, this.inputs, this.shared(first));
  }

  pack(weight: Float32, bias?: Float32): void {
    const { engine } = this;
    engine.scope(() => {
      const wide = engine.allocate(this.panels * packedBytes(this.inputs));
      pack(engine, this, weight, bias, wide);
      engine.call('f16_narrow', this.panels, this.inputs, wide, this.address);
    });
  }

  unpack(): { weight: Float32; bias: Float32 } {
    const { engine } = this;
    return engine.scope(() => {
      const wide = engine.allocate(this.panels * packedBytes(this.inputs));
      engine.call('f16_widen', this.panels, this.inputs, this.address, wide);
      return this.unpacked(wide);
    });
  }

  override widened(): PackedMatrix {
    return this.panels * packedBytes(this.inputs) > WIDE_BYTES ? this : this.#wide();
  }

  #wide(): Float32Matrix {
    const { engine, panels, inputs } = this;
    const bytes = packedBytes(inputs);
    const wide = engine.allocate(panels * bytes);
    engine.parallel(panels, 1, (first, count) => ['f16_widen', count, inputs, this.shared(first * PANEL).address, wide + first * bytes]);
    return new Float32Matrix(engine, this.outputs, inputs, { address: wide, audience: this.audience });
  }

  /** Some panels after the others are widened as a whole. */
  convolve(band: Band, c: Address, ldc: number, into: Activation | 'add'): void {
    const step = Math.max(1, Math.floor(WIDE_BYTES / packedBytes(this.inputs))) * PANEL;
    for (let first = 0; first < this.outputs; first += step) {
      this.engine.scope(() => {
        const wide = this.slice(first, Math.min(step, this.outputs - first)).#wide();
        wide.convolve(band, c + first * 4, ldc, into);
      });
    }
  }

  protected product(rows: number, a: Address, c: Address, activation: number, scale: Address = 0): void {
    const { inputs: k, outputs: n } = this;
    const panels = Math.max(1, Math.min(this.panels, Math.floor(ROOM_BYTES / packedBytes(k))));
    const bytes = panels * packedBytes(k);
    this.engine.scope(() => {
      const room = this.engine.allocate(this.parts(rows, TILE_ROWS) * bytes);
      this.share(rows, TILE_ROWS, (cut) => {
        const at = this.at(cut, a, c, scale);
        const own = room + cut.part * bytes;
        return scale
          ? ['f16_gemm_add', cut.rows, cut.columns, k, at.a, k, at.w, at.c, n, at.scale, own, panels]
          : ['f16_gemm', cut.rows, cut.columns, k, at.a, k, at.w, at.c, n, activation, own, panels];
      });
    });
  }
}

/** @throws {ShapeError} on what was made for an integer matrix */
function float(x: Operand): Float32 {
  if (x instanceof QuantizedRows) throw new ShapeError('x: expected float32, found rows quantised for another matrix');
  return x;
}

/** Bytes of a panel in float32. */
function packedBytes(inputs: number): number {
  return (inputs + 1) * PANEL * 4;
}

function pack(engine: Engine, { outputs, inputs }: PackedMatrix, weight: Float32, bias: Float32 | undefined, target: Address): void {
  checkDims('weight', [outputs, inputs], weight.dims);
  if (bias) checkDims('bias', [outputs], bias.dims);
  engine.scope(() => {
    const b = bias ? addressOf(placed(engine, bias)) : 0;
    engine.call('f32_pack', outputs, inputs, addressOf(placed(engine, weight)), inputs, b, target);
  });
}

/** The weights (outputs, inputs) that integers stand for. */
export function dequantize({ integers, scales, rotated }: QuantizedWeight, outputs: number, inputs: number): Float32 {
  const groups = groupsOf(inputs);
  const data = new Float32Array(outputs * inputs);
  for (let o = 0, e = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++, e++) data[e] = (integers[e] as number) * (scales[o * groups + Math.floor(i / GROUP)] as number);
  }
  return new Tensor('float32', rotated ? rotate(data, inputs) : data, [outputs, inputs]);
}
