import fc from 'fast-check';
import { test } from 'uvu';
import { ACTIVATIONS, type Activation } from '../../../src/runtime/kernels.ts';
import type { Address } from '../../../src/runtime/memory.ts';
import { assertSameBits } from '../../reference/compare.ts';
import { HALVES, nearestHalf } from '../../reference/halves.ts';
import { randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

/** c (m, n) of a (m, k) and packed float32 weights (k, n), with `gap` numbers between the rows of a and of c. */
interface Product {
  m: number;
  n: number;
  k: number;
  gap: number;
  shift: number;
  /** Panels that are widened at a time. */
  panels: number;
  seed: number;
}

const size = fc.nat({ max: 27 });
const products: fc.Arbitrary<Product> = fc.record({
  m: size,
  n: size,
  k: size,
  gap: fc.nat({ max: 4 }),
  shift: fc.constantFrom(...SHIFTS),
  panels: fc.integer({ min: 1, max: 5 }),
  seed: fc.nat(),
});

const panelsOf = (n: number): number => Math.ceil(n / 8);
const floatsOf = ({ n, k }: Pick<Product, 'n' | 'k'>): number => panelsOf(n) * (k + 1) * 8;

/** Weights in panels (assembly/gemm/pack.ts): 8 biases, then values, each rounded to the nearest half where `isHalf`. */
function packed({ n, k, seed }: Product, isHalf: boolean): Float32Array {
  const panel = (k + 1) * 8;
  return randomFloats(floatsOf({ n, k }), seed, 4).map((x, i) => {
    const column = Math.floor(i / panel) * 8 + (i % 8);
    if (column >= n) return 0;
    return isHalf && i % panel >= 8 ? (HALVES.float16[nearestHalf('float16', x)] as number) : x;
  });
}

/** The weights as f16_gemm reads them. */
function narrowed(bench: Bench, p: Product): Address {
  const target = bench.room(panelsOf(p.n) * (8 + p.k * 4), { shift: p.shift });
  bench.engine.call('f16_narrow', panelsOf(p.n), p.k, bench.input(packed(p, false)), target);
  return target;
}

/** Both products: on weights in 16 bits, and in float32 on the same weights rounded. */
function both(
  bench: Bench,
  p: Product,
  { activation = 'none' as Activation, add = false } = {},
): [found: Float32Array, expected: Float32Array] {
  const { m, n, k, gap, shift, panels, seed } = p;
  const [lda, ldc] = [k + gap, n + gap];
  const before = randomFloats(m * ldc, seed + 1);
  const x = randomFloats(m * lda, seed + 2, 2);
  const scale = randomFloats(n, seed + 3);
  const run = (isHalf: boolean): Float32Array =>
    bench.try(() => {
      const w = isHalf ? narrowed(bench, p) : bench.input(packed(p, true));
      const [a, c] = [bench.input(x, { shift }), bench.output(before, { shift })];
      const last = add ? bench.input(scale, { shift }) : ACTIVATIONS[activation];
      const operands = [m, n, k, a, lda, w, c, ldc, last] as const;
      const room = bench.room(panels * (k + 1) * 8, { shift });
      if (isHalf) bench.engine.call(add ? 'f16_gemm_add' : 'f16_gemm', ...operands, room, panels);
      else bench.engine.call(add ? 'f32_gemm_add' : 'f32_gemm', ...operands);
      return bench.read(c, before.length);
    });
  return [run(true), run(false)];
}

testKernels('f16_gemm is f32_gemm on the rounded weights, to the bit', (bench) => {
  fc.assert(
    fc.property(products, (p) => {
      const [found, expected] = both(bench, p);
      assertSameBits(found, expected, 'c');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f16_gemm_add is f32_gemm_add on the rounded weights, to the bit', (bench) => {
  fc.assert(
    fc.property(products, (p) => {
      const [found, expected] = both(bench, p, { add: true });
      assertSameBits(found, expected, 'c');
    }),
    { seed: 2, numRuns: 200 },
  );
});

for (const activation of Object.keys(ACTIVATIONS) as Activation[]) {
  testKernels(`f16_gemm with ${activation} is f32_gemm with it, to the bit`, (bench) => {
    fc.assert(
      fc.property(products, (p) => {
        const [found, expected] = both(bench, p, { activation });
        assertSameBits(found, expected, 'c');
      }),
      { seed: 3, numRuns: 25 },
    );
  });
}

testKernels('f16_narrow rounds the values of panels to nearest and keeps the biases, and f16_widen is its inverse', (bench) => {
  fc.assert(
    fc.property(products, fc.boolean(), (p, isInPlace) => {
      const count = panelsOf(p.n);
      bench.try(() => {
        const { k, shift } = p;
        const target = bench.room(count * (8 + k * 4), { shift });
        if (isInPlace) {
          const place = bench.output(packed(p, false), { shift });
          bench.engine.call('f16_narrow', count, k, place, place);
          bench.engine.copy(target, place, count * (32 + k * 16));
        } else bench.engine.call('f16_narrow', count, k, bench.input(packed(p, false)), target);
        const wide = bench.room(floatsOf(p), { shift });
        bench.engine.call('f16_widen', count, k, target, wide);
        assertSameBits(bench.read(wide, floatsOf(p)), packed(p, true), 'panels');
      });
    }),
    { seed: 4, numRuns: 200 },
  );
});

test.run();
