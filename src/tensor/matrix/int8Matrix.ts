import { ShapeError } from '../../errors.ts';
import type { Engine } from '../../runtime/engine.ts';
import { type Activation, activationNumber, PANEL, PLACES_BYTES } from '../../runtime/kernels.ts';
import type { Address } from '../../runtime/memory.ts';
import { layerNorm } from '../ops.ts';
import { addressOf, checkDims, type Float32, place, placed } from '../place.ts';
import { Tensor } from '../tensor.ts';
import { type Band, paddedRows } from './band.ts';
import type { InputStatistics } from './calibration.ts';
import { dequantize } from './floatMatrix.ts';
import { FORMS, GROUP, groupsOf, headBytes, panelBytes, pixelBytes, productBytes, rowBytes, widenedBytes } from './int8Layout.ts';
import { type Audience, type Operand, PackedMatrix, type QuantizedWeight } from './packedMatrix.ts';
import { QuantizedRows, quantizeNormalized, quantizeRows } from './quantizedRows.ts';
import { ROTATED, rotate, rotateCovariance } from './rotation.ts';
import { compensatedIntegers } from './rounding.ts';

interface Int8Options {
  readonly rotated?: boolean;
  readonly width?: number | undefined;
  /** What a slice has in common with the matrix it is of. */
  readonly shared?: { readonly address: Address; readonly audience: Audience };
}

/** Bytes of panels that are widened at a time: a fifth of a common second-level cache. */
const ROOM_BYTES = 96 * 1024;

/** Bytes of weights that are rotated at a time. */
const ROTATED_BYTES = 16 * 1024;

/**
 * Weights as integers of 8 bits with a scale for every {@link GROUP} of an output (`assembly/gemm/i8_pack.ts`). Inputs are made integers too, with a
 * scale and a zero point for every group of a row: the sums of a group's products are exact.
 */
export class Int8Matrix extends PackedMatrix {
  readonly #address: Address;
  readonly #rotated: boolean;
  readonly #width: number;
  readonly #panelBytes: number;

  /**
   * @param options `rotated`: whether integers are made of rotated weights and inputs (`rotation.ts`), which costs inputs one pass more; `width`: of the
   * inputs those of one place of a convolution's kernel, which is all that such a matrix is for, default all
   */
  constructor(engine: Engine, outputs: number, inputs: number, { rotated = false, width = inputs, shared }: Int8Options = {}) {
    super(engine, outputs, inputs, shared?.audience);
    this.#rotated = rotated;
    this.#width = width;
    this.#panelBytes = panelBytes(inputs, width);
    this.#address = shared?.address ?? engine.allocate(this.panels * this.#panelBytes);
  }

  slice(first: number, outputs: number): Int8Matrix {
    const address = this.#address + (first / PANEL) * this.#panelBytes;
    const [rotated, width] = [this.#rotated, this.#width];
    return new Int8Matrix(this.engine, outputs, this.inputs, { rotated, width, shared: { address, audience: this.audience } });
  }

  pack(weight: Float32, bias?: Float32, statistics?: InputStatistics): void {
    checkDims('weight', [this.outputs, this.inputs], weight.dims);
    if (bias) checkDims('bias', [this.outputs], bias.dims);
    const { engine, outputs, inputs } = this;
    engine.scope(() => {
      const integers = engine.allocate(outputs * inputs);
      const scales = place(engine, 'float32', [outputs, groupsOf(inputs)]);
      const from = placed(engine, weight);
      if (this.#rotated) this.#quantizeRotated(from, integers, addressOf(scales));
      else engine.call('i8_quantize_weights', outputs, inputs, GROUP, addressOf(from), integers, addressOf(scales));
      if (statistics) {
        const covariance = this.#rotated ? rotateCovariance(statistics.covariance) : statistics.covariance;
        const data = this.#rotated ? rotate(from.data, inputs) : from.data;
        engine.write(integers, compensatedIntegers(data, scales.data, covariance));
      }
      if (this.#rotated) engine.write(addressOf(scales), scales.data.map(this.#unscaled));
      this.#pack(integers, scales, bias);
    });
  }

  packQuantized(weight: QuantizedWeight, bias?: Float32): void {
    this.checkQuantized(weight);
    if (bias) checkDims('bias', [this.outputs], bias.dims);
    const { integers, scales } = weight;
    const { engine, outputs, inputs } = this;
    engine.scope(() => {
      const place8 = engine.allocate(outputs * inputs);
      engine.write(place8, integers);
      this.#pack(place8, placed(engine, new Tensor('float32', Float32Array.from(scales), [outputs, groupsOf(inputs)])), bias);
    });
  }

  setBias(bias: Float32): void {
    this.putBiases(bias, this.#address, this.#panelBytes);
  }

  unpack(): { weight: Float32; bias: Float32 } {
    const { bias, ...weight } = this.#unpack();
    return { weight: dequantize(weight, this.outputs, this.inputs), bias };
  }

  override quantized(): QuantizedWeight {
    const { bias: _, ...weight } = this.#unpack();
    return weight;
  }

  normalized(x: Float32, weight: Float32, bias: Float32, epsilon: number): QuantizedRows {
    checkDims('x', [...x.dims.slice(0, -1), this.inputs], x.dims);
    if (this.#rotated) return quantizeNormalized(this.engine, x, { weight, bias, epsilon });
    return quantizeRows(this.engine, layerNorm(x, weight, bias, epsilon));
  }

  multiply(x: Operand, activation: Activation = 'none'): Float32 {
    const rows = this.rows(x);
    const y = place(this.engine, 'float32', [...x.dims.slice(0, -1), this.outputs]);
    this.#product(rows, x, addressOf(y), activationNumber(activation));
    return y;
  }

  multiplyAdd(x: Operand, scale: Float32, y: Float32): void {
    this.checkAdd(x, scale, y);
    this.#product(this.rows(x), x, addressOf(y), 0, addressOf(scale));
  }

  convolve(band: Band, c: Address, ldc: number, into: Activation | 'add'): void {
    const { engine, inputs: k } = this;
    const form = FORMS[engine.integerForm];
    const { size, kernel, stride, columns, top, bottom } = band;
    checkDims('convolution: inputs of a place', [this.#width], [size[2]]);
    const panels = Math.max(1, Math.min(this.panels, Math.floor(ROOM_BYTES / widenedBytes(k, this.#width))));
    engine.scope(() => {
      const x = paddedIntegers(engine, band);
      const { width } = paddedRows(band);
      const count = (bottom - top) * columns;
      const own = PLACES_BYTES + productBytes(form, k, panels, this.#width);
      const rooms = engine.allocate(this.parts(count, form.rows) * own);
      this.share(count, form.rows, ({ firstRow, rows, firstPanel, columns: outputs, part }) => {
        const window = [outputs, size[2], ...kernel, stride, width, columns, firstRow, rows] as const;
        const w = this.#address + firstPanel * this.#panelBytes;
        const to = c + (firstRow * ldc + firstPanel * PANEL) * 4;
        const room = rooms + part * own;
        return into === 'add'
          ? ['i8_conv_add', form.number, ...window, x, w, to, ldc, room, panels]
          : ['i8_conv', form.number, ...window, x, w, to, ldc, activationNumber(into), room, panels];
      });
    });
  }

  #product(rows: number, x: Operand, c: Address, activation: number, scale: Address = 0): void {
    const { engine, inputs: k, outputs: n } = this;
    checkDims('x: of a matrix that is not of a convolution', [this.#width], [k]);
    if (x instanceof QuantizedRows && x.rotated !== this.#rotated) {
      throw new ShapeError(`x: expected rows quantised for a matrix that is ${this.#rotated ? 'rotated' : 'not rotated'}, found others`);
    }
    const form = FORMS[engine.integerForm];
    const panels = Math.max(1, Math.min(this.panels, Math.floor(ROOM_BYTES / widenedBytes(k))));
    engine.scope(() => {
      const { heads, address } = x instanceof QuantizedRows ? x : quantizeRows(engine, x, { rotated: this.#rotated });
      const own = productBytes(form, k, panels);
      const room = engine.allocate(this.parts(rows, form.rows) * own);
      this.share(rows, form.rows, ({ firstRow, rows, firstPanel, columns, part }) => {
        const a = [heads + firstRow * headBytes(k), address + firstRow * rowBytes(k, form.bytes)] as const;
        const w = this.#address + firstPanel * this.#panelBytes;
        const to = c + (firstRow * n + firstPanel * PANEL) * 4;
        const place = room + part * own;
        return scale
          ? ['i8_gemm_add', form.number, rows, columns, k, ...a, w, to, n, scale + firstPanel * PANEL * 4, place, panels]
          : ['i8_gemm', form.number, rows, columns, k, ...a, w, to, n, activation, place, panels];
      });
    });
  }

  #pack(integers: Address, scales: Float32, bias: Float32 | undefined): void {
    const b = bias ? addressOf(placed(this.engine, bias)) : 0;
    this.engine.call('i8_pack', this.outputs, this.inputs, this.#width, integers, addressOf(scales), b, this.#address);
  }

  #unpack(): QuantizedWeight & { bias: Float32 } {
    const { engine, outputs, inputs } = this;
    return engine.scope(() => {
      const place8 = engine.allocate(outputs * inputs);
      const scales = place(engine, 'float32', [outputs, groupsOf(inputs)]);
      const bias = place(engine, 'float32', [outputs]);
      engine.call('i8_unpack', outputs, inputs, this.#width, this.#address, place8, addressOf(scales), addressOf(bias));
      const integers = new Int8Array(outputs * inputs);
      engine.read(place8, integers);
      return { integers, scales: scales.clone().data, rotated: this.#rotated, bias: bias.clone() };
    });
  }

  /** Integers and scales of rotated weights, so many rows at a time that they take no memory worth a word. */
  #quantizeRotated(weight: Float32, integers: Address, scales: Address): void {
    const { engine, outputs, inputs } = this;
    const step = Math.max(1, Math.min(outputs, Math.floor(ROTATED_BYTES / (4 * inputs))));
    const room = engine.allocate(step * inputs * 4);
    for (let first = 0; first < outputs; first += step) {
      const count = Math.min(step, outputs - first);
      engine.call('f32_rotate', count, inputs, addressOf(weight) + first * inputs * 4, room);
      engine.call('i8_quantize_weights', count, inputs, GROUP, room, integers + first * inputs, scales + first * groupsOf(inputs) * 4);
    }
  }

  /** The scale of a group whose weights have been rotated. */
  readonly #unscaled = (scale: number, e: number): number => {
    const group = e % groupsOf(this.inputs);
    return (group + 1) * GROUP <= this.inputs ? scale / ROTATED : scale;
  };
}

/** Bytes behind an image of integers that are read, and mean nothing. */
const BEHIND_BYTES = 8;

/** The rows of an image that a band is made of, with their padding on them, as integers (`assembly/conv/i8_pad.ts`). */
function paddedIntegers(engine: Engine, band: Band): Address {
  const { image, size, padding, inputRelu } = band;
  const form = FORMS[engine.integerForm];
  const rows = paddedRows(band);
  const lineBytes = rows.width * pixelBytes(size[2], form.bytes);
  const y = engine.allocate(rows.count * lineBytes + BEHIND_BYTES);
  engine.parallel(rows.count, 1, (first, count) => [
    ...(['i8_pad', form.number, ...size, padding, rows.first + first, count, Number(inputRelu)] as const),
    ...([image, y + first * lineBytes] as const),
  ]);
  return y;
}
