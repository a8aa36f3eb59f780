import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const size = fc.integer({ min: 0, max: 35 });
const gap = fc.integer({ min: 0, max: 5 });
const shift = fc.constantFrom(...SHIFTS);
const shape = fc.record({ n: size, k: size, gap, shift, bias: fc.boolean(), seed: fc.nat() });

/** The panels as assembly/gemm/pack.ts describes them, of right(i, j), i < k and j < n. */
function panels(n: number, k: number, right: (i: number, j: number) => number, bias: (j: number) => number): Float32Array {
  const packed: number[] = [];
  for (let panel = 0; panel < n; panel += 8) {
    const columns = Array.from({ length: 8 }, (_, column) => panel + column);
    packed.push(...columns.map((j) => (j < n ? bias(j) : 0)));
    for (let i = 0; i < k; i++) packed.push(...columns.map((j) => (j < n ? right(i, j) : 0)));
  }
  return Float32Array.from(packed);
}

testKernels('f32_pack lays a matrix given by columns, and its bias, out in panels', (bench) => {
  fc.assert(
    fc.property(shape, ({ n, k, gap, shift, bias, seed }) => {
      const stride = k + gap;
      const source = randomFloats(n * stride, seed);
      const b = randomFloats(n, seed + 1);
      const expected = panels(
        n,
        k,
        (i, j) => source[j * stride + i] as number,
        (j) => (bias ? (b[j] as number) : 0),
      );
      bench.try(() => {
        const target = bench.room(expected.length, { shift });
        bench.engine.call('f32_pack', n, k, bench.input(source, { shift }), stride, bias ? bench.input(b) : 0, target);
        assertSameBits(bench.read(target, expected.length), expected, 'panels');
      });
    }),
    { seed: 1, numRuns: 200 },
  );
});

testKernels('f32_pack_rows lays a matrix given by rows out in panels without bias', (bench) => {
  fc.assert(
    fc.property(shape, ({ n, k, gap, shift, seed }) => {
      const stride = n + gap;
      const source = randomFloats(k * stride, seed);
      const expected = panels(
        n,
        k,
        (i, j) => source[i * stride + j] as number,
        () => 0,
      );
      bench.try(() => {
        const target = bench.room(expected.length, { shift });
        bench.engine.call('f32_pack_rows', n, k, bench.input(source, { shift }), stride, target);
        assertSameBits(bench.read(target, expected.length), expected, 'panels');
      });
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('f32_unpack gives back every bit that f32_pack was given', (bench) => {
  fc.assert(
    fc.property(shape, ({ n, k, shift, bias, seed }) => {
      const weight = randomBits(n * k, seed);
      const b = randomBits(n, seed + 1);
      bench.try(() => {
        const packed = pack(bench, n, k, weight, b);
        const target = bench.room(n * k, { shift });
        const biasTarget = bench.room(n, { shift });
        bench.engine.call('f32_unpack', n, k, packed, target, bias ? biasTarget : 0);
        assertSameBits(bench.read(target, n * k), weight, 'weight');
        if (bias) assertSameBits(bench.read(biasTarget, n), b, 'bias');
      });
    }),
    { seed: 3, numRuns: 100 },
  );
});

function pack(bench: Bench, n: number, k: number, weight: Float32Array, bias: Float32Array): number {
  const packed = bench.room(Math.ceil(n / 8) * (k + 1) * 8);
  bench.engine.call('f32_pack', n, k, bench.input(weight), k, bench.input(bias), packed);
  return packed;
}

test.run();
