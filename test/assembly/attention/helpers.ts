import fc from 'fast-check';
import * as reference from '../../reference/ops.ts';
import { SHIFTS, untouched } from '../helpers.ts';

/** One head: q (queries, width) and out with a gap between rows, k and v (keys, width). */
export interface Head {
  queries: number;
  keys: number;
  width: number;
  gap: number;
  shift: number;
  scale: number;
  weight: number;
  q: Float32Array;
  k: Float32Array;
  v: Float32Array;
}

export type Shape = Omit<Head, 'q' | 'k' | 'v'>;

const size = fc.integer({ min: 0, max: 30 });
export const shapes: fc.Arbitrary<Shape> = fc.record({
  queries: size,
  keys: size,
  width: size,
  gap: fc.integer({ min: 0, max: 5 }),
  shift: fc.constantFrom(...SHIFTS),
  scale: fc.constantFrom(0.125, 1, 3),
  weight: fc.constantFrom(1, 0, 0.3),
});

export function head(shape: Shape, seed: number, make: (count: number, seed: number) => Float32Array): Head {
  const { queries, keys, width, gap } = shape;
  const stride = width + gap;
  const q = make(queries * stride, seed).map((x, i) => (i % stride < width ? x : Number.NaN));
  return { ...shape, q, k: make(keys * width, seed + 1), v: make(keys * width, seed + 2) };
}

/** Drops what stands between rows. */
const packRows = (x: Float32Array, width: number, stride: number): Float32Array => x.filter((_, i) => i % stride < width);

/** In float64, with the gaps between rows as they were. */
export function expectedOf(h: Head): { out: Float64Array; probabilities: Float64Array } {
  const { queries, keys, width, gap, scale, weight } = h;
  const { out, probabilities } = reference.attention(packRows(h.q, width, width + gap), h.k, h.v, {
    ...{ queries, keys, heads: 1, width, scale: Math.fround(scale), headMask: [Math.fround(weight)] },
  });
  const stride = width + gap;
  const spread = Float64Array.from(untouched(queries * stride), (old, i) =>
    i % stride < width ? (out[Math.floor(i / stride) * width + (i % stride)] as number) : old,
  );
  return { out: spread, probabilities };
}
