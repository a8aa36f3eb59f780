import type { Engine } from '../../runtime/engine.ts';
import { Float16Matrix, Float32Matrix } from './floatMatrix.ts';
import { Int8Matrix } from './int8Matrix.ts';
import type { PackedMatrix, WeightDType } from './packedMatrix.ts';

/**
 * Takes memory for a matrix whose weights are kept in numbers of a kind, yet to be packed.
 * @param options `rotated`: whether integers, if it is those, are made of rotated weights and inputs; `width`: of the inputs those of one place of the
 * kernel, for a matrix of a convolution, default all
 */
export function createMatrix(
  engine: Engine,
  dtype: WeightDType,
  outputs: number,
  inputs: number,
  options: { rotated?: boolean; width?: number | undefined } = {},
): PackedMatrix {
  if (dtype === 'int8') return new Int8Matrix(engine, outputs, inputs, options);
  if (dtype === 'float16') return new Float16Matrix(engine, outputs, inputs);
  return new Float32Matrix(engine, outputs, inputs);
}
