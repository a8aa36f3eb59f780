import { Tensor } from '../../src/tensor/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { randomFloats } from '../reference/random.ts';

/** Numbers from -size to size. */
export function randomTensor(dims: readonly number[], seed: number, size = 1): Float32 {
  return new Tensor('float32', randomFloats(sizeOf(dims), seed, size), dims);
}
