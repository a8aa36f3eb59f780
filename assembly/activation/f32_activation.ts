/**
 * f32_activation(count, kind, x, y): y[i] = activation(x[i]); x and y may be the same place.
 * Accuracy: that of math.ts. The kinds are numbered as ACTIVATIONS in src/runtime/kernels.ts.
 */
import { gelu, geluTanh, quickGelu, relu, selu, sigmoid, silu } from '../math';
import { loadTail, storeTail } from '../simd';

export const enum Activation {
  None = 0,
  Gelu = 1,
  GeluTanh = 2,
  QuickGelu = 3,
  Relu = 4,
  Silu = 5,
  Selu = 6,
  Sigmoid = 7,
}

// @ts-ignore: decorator
@inline
function activate(kind: Activation, x: v128): v128 {
  if (kind == Activation.Gelu) return gelu(x);
  if (kind == Activation.GeluTanh) return geluTanh(x);
  if (kind == Activation.QuickGelu) return quickGelu(x);
  if (kind == Activation.Relu) return relu(x);
  if (kind == Activation.Silu) return silu(x);
  if (kind == Activation.Selu) return selu(x);
  if (kind == Activation.Sigmoid) return sigmoid(x);
  return x;
}

// @ts-ignore: decorator
@inline
function each(count: i32, kind: Activation, x: usize, y: usize): void {
  const end = y + ((<usize>count & ~3) << 2);
  for (; y < end; x += 16, y += 16) v128.store(y, activate(kind, v128.load(x)));
  const tail = count & 3;
  if (tail) storeTail(y, activate(kind, loadTail(x, tail)), tail);
}

export function f32_activation(count: i32, kind: Activation, x: usize, y: usize): void {
  // one loop a kind, so that none asks which it is for every number
  switch (kind) {
    case Activation.Gelu:
      return each(count, Activation.Gelu, x, y);
    case Activation.GeluTanh:
      return each(count, Activation.GeluTanh, x, y);
    case Activation.QuickGelu:
      return each(count, Activation.QuickGelu, x, y);
    case Activation.Relu:
      return each(count, Activation.Relu, x, y);
    case Activation.Silu:
      return each(count, Activation.Silu, x, y);
    case Activation.Selu:
      return each(count, Activation.Selu, x, y);
    case Activation.Sigmoid:
      return each(count, Activation.Sigmoid, x, y);
    default:
      return each(count, Activation.None, x, y);
  }
}

/** f32_swiglu(rows, width, x, y): y (rows, width) = silu(x[:, :width]) * x[:, width:], x (rows, 2 width). Shazeer 2020. */
export function f32_swiglu(rows: i32, width: i32, x: usize, y: usize): void {
  const bytes = <usize>width << 2;
  const tail = width & 3;
  for (let row = 0; row < rows; row++) {
    const end = y + ((<usize>width & ~3) << 2);
    for (; y < end; x += 16, y += 16) v128.store(y, f32x4.mul(silu(v128.load(x)), v128.load(x + bytes)));
    if (tail) {
      storeTail(y, f32x4.mul(silu(loadTail(x, tail)), loadTail(x + bytes, tail)), tail);
      x += <usize>tail << 2;
      y += <usize>tail << 2;
    }
    x += bytes;
  }
}
