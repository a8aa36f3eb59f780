import type { Engine } from '../../runtime/engine.ts';
import type { Address } from '../../runtime/memory.ts';
import { addressOf, checkDims, type Float32 } from '../place.ts';
import { sizeOf } from '../tensor.ts';
import { FORMS, headBytes, rowBytes } from './int8Layout.ts';

/** Rows of 8-bit integers with a scale and a zero point for each group of them (`assembly/quantize/i8_quantize.ts`): the left-hand side of an integer product. */
export class QuantizedRows {
  /** (..., columns) */
  readonly dims: readonly number[];
  /** Whether they are integers of rotated rows, which rotated weights are for. */
  readonly rotated: boolean;
  readonly heads: Address;
  readonly address: Address;

  constructor(engine: Engine, dims: readonly number[], { rotated }: { rotated: boolean }) {
    const { rows, bytes } = FORMS[engine.integerForm];
    this.dims = dims;
    this.rotated = rotated;
    const columns = dims.at(-1) as number;
    const padded = Math.ceil(sizeOf(dims.slice(0, -1)) / rows) * rows;
    this.heads = engine.allocate(padded * headBytes(columns));
    this.address = engine.allocate(padded * rowBytes(columns, bytes));
  }
}

/** x (..., columns) as integers, rotated before if that is wanted. */
export function quantizeRows(engine: Engine, x: Float32, { rotated = false }: { rotated?: boolean } = {}): QuantizedRows {
  const { number, rows, bytes } = FORMS[engine.integerForm];
  const quantized = new QuantizedRows(engine, x.dims, { rotated });
  const columns = x.dims.at(-1) as number;
  const all = sizeOf(x.dims.slice(0, -1));
  engine.scope(() => {
    const roomBytes = columns * 4;
    const room = rotated ? engine.allocate(engine.parts(all, rows) * roomBytes) : 0;
    engine.parallel(all, rows, (first, count, part) => [
      ...(['i8_quantize', number, count, columns, addressOf(x) + first * columns * 4, columns] as const),
      ...([
        room && room + part * roomBytes,
        quantized.heads + first * headBytes(columns),
        quantized.address + first * rowBytes(columns, bytes),
      ] as const),
    ]);
  });
  return quantized;
}

/** The rotated layer norm of x as integers: weight and bias (columns). */
export function quantizeNormalized(engine: Engine, x: Float32, norm: { weight: Float32; bias: Float32; epsilon: number }): QuantizedRows {
  const { number, rows, bytes } = FORMS[engine.integerForm];
  const columns = x.dims.at(-1) as number;
  checkDims('layerNorm: weight', [columns], norm.weight.dims);
  checkDims('layerNorm: bias', [columns], norm.bias.dims);
  const quantized = new QuantizedRows(engine, x.dims, { rotated: true });
  const all = sizeOf(x.dims.slice(0, -1));
  engine.scope(() => {
    const roomBytes = 2 * columns * 4;
    const room = engine.allocate(engine.parts(all, rows) * roomBytes);
    engine.parallel(all, rows, (first, count, part) => [
      ...(['i8_layer_norm', number, count, columns, addressOf(x) + first * columns * 4] as const),
      ...([addressOf(norm.weight), addressOf(norm.bias), norm.epsilon] as const),
      ...([
        room + part * roomBytes,
        quantized.heads + first * headBytes(columns),
        quantized.address + first * rowBytes(columns, bytes),
      ] as const),
    ]);
  });
  return quantized;
}
