import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertSums, assertWithin, UNIT } from '../../reference/compare.ts';
import { dotRows } from '../../reference/ops.ts';
import { extremeFloats, randomFloats } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const shape = fc.record({
  n: fc.integer({ min: 0, max: 14 }),
  k: fc.integer({ min: 0, max: 140 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

testKernels('f32_dot_rows multiplies each row with the query', (bench) => {
  fc.assert(
    fc.property(shape, ({ n, k, shift, seed }) => {
      const x = randomFloats(n * k, seed);
      const query = randomFloats(k, seed + 1);
      const found = bench.try(() => {
        const y = bench.room(n, { shift });
        bench.engine.call('f32_dot_rows', n, k, bench.input(x, { shift }), bench.input(query, { shift }), y);
        return bench.read(y, n);
      });
      const magnitudes = dotRows(x.map(Math.abs), query.map(Math.abs), n);
      assertWithin(found, dotRows(x, query, n), (i) => (k / 8 + 5) * UNIT * (magnitudes[i] as number), 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_dot_rows hides no NaN and no infinity, keeps denormal numbers, and is right up to the largest', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom(3, 40), fc.boolean(), ({ n, k, shift, seed }, one, nonFinite) => {
      const x = extremeFloats(n * k, seed, { one, nonFinite });
      const query = extremeFloats(k, seed + 1, { one: 2 * one, nonFinite: false });
      const found = bench.try(() => {
        const y = bench.room(n, { shift });
        bench.engine.call('f32_dot_rows', n, k, bench.input(x, { shift }), bench.input(query, { shift }), y);
        return bench.read(y, n);
      });
      const terms = Array.from({ length: n }, (_, i) => Array.from(query, (q, j) => q * (x[i * k + j] as number)));
      assertSums(found, terms, k / 8 + 5, 'y');
    }),
    { seed: 2, numRuns: 500 },
  );
});

testKernels('f32_dot_rows gives equal rows equal results, wherever they are', (bench) => {
  for (const k of [1, 4, 7, 16, 31, 140]) {
    const row = randomFloats(k, k);
    const query = randomFloats(k, k + 1);
    for (let n = 1; n <= 11; n++) {
      const x = Float32Array.from({ length: n * k }, (_, i) => row[i % k] as number);
      const found = bench.try(() => {
        const y = bench.room(n);
        bench.engine.call('f32_dot_rows', n, k, bench.input(x), bench.input(query), y);
        return bench.read(y, n);
      });
      assertSame(found, new Array(n).fill(found[0]), `${n} rows of ${k}`);
    }
  }
});

test.run();
