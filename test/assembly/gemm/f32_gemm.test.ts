import fc from 'fast-check';
import { test } from 'uvu';
import { ACTIVATIONS, type Activation } from '../../../src/runtime/kernels.ts';
import type { Address } from '../../../src/runtime/memory.ts';
import { assertSame, assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import { sum } from '../../reference/ops.ts';
import { randomFloats, randomIntegers } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels, untouched } from '../helpers.ts';

/** c (m, n) of a (m, k), w (k, n) and bias (n), with `gap` numbers between the rows of a and of c. */
interface Product {
  m: number;
  n: number;
  k: number;
  gapA: number;
  gapC: number;
  shift: number;
  a: Float32Array;
  /** (n, k), as nn.Linear has it. */
  weight: Float32Array;
  bias: Float32Array;
}

const size = fc.integer({ min: 0, max: 30 });
const gap = fc.integer({ min: 0, max: 5 });

/** Products of any size, the numbers from `make`; NaN stands between the rows of a. */
function products(make: (count: number, seed: number) => Float32Array): fc.Arbitrary<Product> {
  return fc
    .record({ m: size, n: size, k: size, gapA: gap, gapC: gap, shift: fc.constantFrom(...SHIFTS), seed: fc.nat() })
    .map(({ seed, ...shape }) => product(shape, seed, make));
}

function product(
  shape: Omit<Product, 'a' | 'weight' | 'bias'>,
  seed: number,
  make: (count: number, seed: number) => Float32Array,
): Product {
  const { m, n, k, gapA } = shape;
  const lda = k + gapA;
  const a = make(m * lda, seed).map((value, i) => (i % lda < k ? value : Number.NaN));
  return { ...shape, a, weight: make(n * k, seed + 1), bias: make(n, seed + 2) };
}

function packed(bench: Bench, { n, k, weight, bias }: Product): Address {
  const target = bench.engine.allocate(Math.ceil(n / 8) * (k + 1) * 32);
  bench.engine.call('f32_pack', n, k, bench.input(weight), k, bench.input(bias), target);
  return target;
}

/** c with the gaps between its rows, which are watched as the other results are. */
function gemm(bench: Bench, p: Product, { activation = 'none' as Activation, rows = [0, p.m] as [number, number] } = {}): Float32Array {
  const { n, k, gapA, gapC, shift } = p;
  const [first, end] = rows;
  const m = end - first;
  const [lda, ldc] = [k + gapA, n + gapC];
  return bench.try(() => {
    const a = bench.input(p.a, { shift }) + first * lda * 4;
    const c = bench.room(m * ldc, { shift });
    bench.engine.call('f32_gemm', m, n, k, a, lda, packed(bench, p), c, ldc, ACTIVATIONS[activation]);
    return bench.read(c, m * ldc);
  });
}

/** The sums in float64, the largest error that float32 may add to each, and at the gaps what was there. */
function expectedOf(p: Product): { c: Float64Array; bound: (i: number) => number } {
  const { m, n, k, gapA, gapC, a, weight, bias } = p;
  const [lda, ldc] = [k + gapA, n + gapC];
  const before = untouched(m * ldc);
  const terms = (e: number): [number[], number] => {
    const [row, column] = [Math.floor(e / ldc), e % ldc];
    return [Array.from({ length: k }, (_, i) => (a[row * lda + i] as number) * (weight[column * k + i] as number)), bias[column] as number];
  };
  const isGap = (e: number): boolean => e % ldc >= n;
  return {
    c: Float64Array.from(before, (old, e) => {
      if (isGap(e)) return old;
      const [products, b] = terms(e);
      return products.reduce((total, x) => total + x, b);
    }),
    bound: (e) => {
      if (isGap(e)) return 0;
      const [products, b] = terms(e);
      return (k + 1) * UNIT * (Math.abs(b) + sum(k, (i) => Math.abs(products[i] as number)));
    },
  };
}

testKernels('f32_gemm multiplies matrices of any size, with gaps between rows, and writes nothing else', (bench) => {
  fc.assert(
    fc.property(products(randomFloats), (p) => {
      const { c, bound } = expectedOf(p);
      assertWithin(gemm(bench, p), c, bound, 'c');
    }),
    { seed: 1, numRuns: 400 },
  );
});

testKernels('f32_gemm is exact, and finite nowhere where float64 is not, on small integers with infinities and NaN among them', (bench) => {
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
  fc.assert(
    fc.property(
      products((count, seed) => randomIntegers(count, seed, specials)),
      (p) => assertSame(gemm(bench, p), expectedOf(p).c, 'c'),
    ),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('f32_gemm overflows to infinity and keeps denormal numbers', (bench) => {
  const shape = { m: 2, n: 9, k: 1, gapA: 0, gapC: 0, shift: 0 };
  const p = { ...product(shape, 1, randomFloats), a: Float32Array.of(3e38, 2 ** -149), bias: new Float32Array(9) };
  p.weight = Float32Array.of(2, -2, 1, 0, 0.5, 1, 1, 1, 2);
  assertSame(gemm(bench, p), expectedOf(p).c.map(Math.fround), 'c');
});

testKernels('f32_gemm gives a row the same bits whichever rows are beside it', (bench) => {
  fc.assert(
    fc.property(products(randomFloats), fc.nat(), fc.nat(), (p, x, y) => {
      const [first = 0, end = 0] = [x % (p.m + 1), y % (p.m + 1)].sort((a, b) => a - b);
      const ldc = p.n + p.gapC;
      assertSameBits(gemm(bench, p, { rows: [first, end] }), gemm(bench, p).subarray(first * ldc, end * ldc), `rows ${first} to ${end}`);
    }),
    { seed: 3, numRuns: 200 },
  );
});

testKernels('f32_gemm gives a panel of columns the same bits on its own', (bench) => {
  const p = product({ m: 13, n: 29, k: 21, gapA: 1, gapC: 0, shift: 0 }, 4, randomFloats);
  const all = gemm(bench, p);
  for (const from of [0, 8, 16, 24]) {
    const n = Math.min(8, p.n - from);
    const part = gemm(bench, { ...p, n, weight: p.weight.slice(from * p.k, (from + n) * p.k), bias: p.bias.slice(from, from + n) });
    for (let row = 0; row < p.m; row++) {
      assertSameBits(
        part.subarray(row * n, row * n + n),
        all.subarray(row * p.n + from, row * p.n + from + n),
        `row ${row}, column ${from}`,
      );
    }
  }
});

testKernels('f32_gemm is right where rows are more than one block', (bench) => {
  for (const [m, n, k] of [
    [540, 5, 101],
    [265, 9, 1200],
  ] as const) {
    const p = product({ m, n, k, gapA: 3, gapC: 2, shift: 4 }, m, randomFloats);
    const { c, bound } = expectedOf(p);
    const found = gemm(bench, p);
    assertWithin(found, c, bound, 'c');
    const ldc = n + p.gapC;
    assertSameBits(gemm(bench, p, { rows: [m - 1, m] }), found.subarray((m - 1) * ldc), 'the last row');
    assertSameBits(
      gemm(bench, p, { activation: 'relu' }),
      found.map((x, i) => (i % ldc < n ? Math.max(x, 0) : x)),
      'relu',
    );
  }
});

for (const activation of Object.keys(ACTIVATIONS) as Activation[]) {
  testKernels(`f32_gemm with ${activation} is the product and then ${activation}, to the bit`, (bench) => {
    fc.assert(
      fc.property(
        products((count, seed) => randomFloats(count, seed, 3)),
        (p) => {
          const product = gemm(bench, p);
          const ldc = p.n + p.gapC;
          const activated = bench.try(() => {
            const y = bench.room(product.length);
            bench.engine.call('f32_activation', product.length, ACTIVATIONS[activation], bench.input(product), y);
            return bench.read(y, product.length);
          });
          const expected = product.map((x, i) => (i % ldc < p.n ? (activated[i] as number) : x));
          assertSameBits(gemm(bench, p, { activation }), expected, activation);
        },
      ),
      { seed: 5, numRuns: 40 },
    );
  });
}

/** c + scale * (a . w + bias), of c and scale. */
function gemmAdd(bench: Bench, p: Product, c: Float32Array, scale: Float32Array): Float32Array {
  const { m, n, k, gapA, gapC, shift } = p;
  return bench.try(() => {
    const target = bench.output(c, { shift });
    const a = bench.input(p.a, { shift });
    bench.engine.call('f32_gemm_add', m, n, k, a, k + gapA, packed(bench, p), target, n + gapC, bench.input(scale, { shift }));
    return bench.read(target, c.length);
  });
}

testKernels('f32_gemm_add adds the scaled product to what is there, and leaves the gaps', (bench) => {
  fc.assert(
    fc.property(products(randomFloats), fc.nat(), (p, seed) => {
      const { n } = p;
      const ldc = n + p.gapC;
      const before = randomFloats(p.m * ldc, seed);
      const scale = randomFloats(n, seed + 1, 2);
      const { c, bound } = expectedOf(p);
      const factor = (i: number): number => scale[i % ldc] ?? 0;
      const isGap = (i: number): boolean => i % ldc >= n;
      assertWithin(
        gemmAdd(bench, p, before, scale),
        c.map((x, i) => (before[i] as number) + (isGap(i) ? 0 : factor(i) * x)),
        (i) => {
          const product = Math.abs(factor(i) * (c[i] as number));
          return isGap(i) ? 0 : 1.01 * (Math.abs(factor(i)) * bound(i) + UNIT * (2 * product + Math.abs(before[i] as number)));
        },
        'c',
      );
    }),
    { seed: 6, numRuns: 300 },
  );
});

testKernels('f32_gemm_add is exact on small integers and hides no NaN and no infinity, wherever it stands', (bench) => {
  const integers = (count: number, seed: number): Float32Array => randomIntegers(count, seed, [Number.NaN, Number.POSITIVE_INFINITY]);
  fc.assert(
    fc.property(products(integers), fc.nat(), (p, seed) => {
      const ldc = p.n + p.gapC;
      const before = integers(p.m * ldc, seed);
      const scale = integers(p.n, seed + 1);
      const { c } = expectedOf(p);
      const expected = c.map((x, i) => (before[i] as number) + (i % ldc < p.n ? (scale[i % ldc] as number) * x : 0));
      assertSame(gemmAdd(bench, p, before, scale), expected, 'c');
    }),
    { seed: 7, numRuns: 200 },
  );
});

test.run();
