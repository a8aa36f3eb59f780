import type { Activation } from '../runtime/kernels.ts';
import { Float32Matrix } from './matrix/floatMatrix.ts';
import { checkDims, type Float32, operate } from './place.ts';
import type { Tensor } from './tensor.ts';

/**
 * activation(x weight^T + bias), as `torch.nn.functional.linear`: x (..., inputs), weight (outputs, inputs), bias (outputs) -> (...,
 * outputs)
 * @throws {ShapeError} naming the operand, {DTypeError} unless float32, {ArgumentError} on an unknown activation
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, { activation = 'none' }: { activation?: Activation } = {}): Float32 {
  return operate('linear', [x, weight, bias], (engine, [a, w, b]) => {
    checkDims('weight', [-1, x.dims.at(-1) ?? 1], w.dims);
    const packed = new Float32Matrix(engine, w.dims[0] as number, w.dims[1] as number);
    packed.pack(w, b);
    return packed.multiply(a, activation);
  });
}
