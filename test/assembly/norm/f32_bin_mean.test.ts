import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertWithin, SMALLEST, UNIT } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { extremeFloats, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const shape = fc.record({
  rows: fc.integer({ min: 0, max: 5 }),
  columns: fc.integer({ min: 1, max: 40 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

function binMean(bench: Bench, rows: number, x: Float32Array, values: Float32Array, shift = 0): Float32Array {
  return bench.try(() => {
    const y = bench.room(rows, { shift });
    bench.engine.call('f32_bin_mean', rows, values.length, bench.input(x, { shift }), bench.input(values, { shift }), y);
    return bench.read(y, rows);
  });
}

testKernels('f32_bin_mean is the mean under the weights that are left of each number above zero, plus 0.1', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom(0.01, 1, 1000), ({ rows, columns, shift, seed }, size) => {
      const x = randomFloats(rows * columns, seed, size);
      const values = randomFloats(columns, seed + 1, 5).map(Math.abs);
      const expected = reference.binMean(x, values);
      const relative = (columns / 2 + 8) * UNIT; // two sums as the header says, 0.1 and the quotient
      assertWithin(binMean(bench, rows, x, values, shift), expected, (i) => relative * (expected[i] as number), 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_bin_mean keeps NaN, and of nothing but negative numbers is the plain mean', (bench) => {
  assert.equal([...binMean(bench, 2, Float32Array.of(Number.NaN, 1, -1, -2), Float32Array.of(2, 4))], [Number.NaN, 3]);
});

testKernels('f32_bin_mean of any numbers is that in float64, or none where a sum leaves float32', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom(2, 20), fc.boolean(), ({ rows, columns, shift, seed }, one, nonFinite) => {
      const x = extremeFloats(rows * columns, seed, { one, nonFinite });
      const values = randomFloats(columns, seed + 1, 5).map(Math.abs);
      const expected = reference.binMean(x, values);
      const found = binMean(bench, rows, x, values, shift);
      const mayLeave = (row: number): boolean => x.subarray(row * columns, (row + 1) * columns).some((v) => v > 2 ** 128 / (5 * columns));
      const kept = (all: ArrayLike<number>) => Array.from(all, (v, row) => (mayLeave(row) && !Number.isFinite(found[row]) ? 0 : v));
      assertWithin(kept(found), kept(expected), (i) => (columns / 2 + 8) * UNIT * (expected[i] as number) + SMALLEST, 'y');
    }),
    { seed: 3, numRuns: 300 },
  );
});

test.run();
