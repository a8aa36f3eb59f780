import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertSame, assertWithin, UNIT } from '../../reference/compare.ts';
import { extremeFloats, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const shape = fc.record({
  n: fc.integer({ min: 0, max: 5 }),
  k: fc.integer({ min: 0, max: 140 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

interface Row {
  readonly integers: Int8Array;
  readonly scale: number;
  readonly sum: number;
  readonly error: number;
}

function quantize(bench: Bench, n: number, k: number, x: Float32Array, shift = 0): Row[] {
  return bench.try(() => {
    const q = bench.output(new Int8Array(n * k).fill(77), { shift });
    const [heads, errors] = [bench.room(2 * n, { shift }), bench.room(n, { shift })];
    bench.engine.call('i8_quantize_rows', n, k, bench.input(x, { shift }), q, heads, errors);
    const scales = bench.read(heads, 2 * n);
    const sums = new Int32Array(scales.buffer);
    const integers = new Int8Array(bench.engine.view(q, n * k));
    return Array.from(bench.read(errors, n), (error, i) => {
      return { integers: integers.subarray(i * k, (i + 1) * k), scale: scales[2 * i] as number, sum: sums[2 * i + 1] as number, error };
    });
  });
}

/** The length of what rows are more than their integers, in float64. */
const left = (x: Float32Array, { integers, scale }: Row): number =>
  Math.hypot(...x.map((value, i) => value - scale * (integers[i] as number)));

testKernels('i8_quantize_rows gives the nearest integers, their sum, and how far off they are', (bench) => {
  fc.assert(
    fc.property(shape, fc.integer({ min: -60, max: 60 }), ({ n, k, shift, seed }, exponent) => {
      const x = randomFloats(n * k, seed, 2 ** exponent);
      for (const [i, row] of quantize(bench, n, k, x, shift).entries()) {
        const own = x.subarray(i * k, (i + 1) * k);
        const { integers, scale, sum, error } = row;
        const largest = own.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
        assertWithin([scale], [largest / 127], (largest / 127) * UNIT, 'scale');
        assertWithin(
          Array.from(integers, (q) => q * scale),
          own,
          0.5001 * scale,
          `row ${i}`,
        );
        assert.is(
          sum,
          integers.reduce((total, q) => total + q, 0),
        );
        const exact = left(own, row);
        assertWithin([error], [exact], ((k / 4 + 8) * exact + 2 * Math.hypot(...own)) * UNIT, 'error');
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels(
  'i8_quantize_rows of any numbers: what is too small is left over, and what is no number makes scale and error none',
  (bench) => {
    fc.assert(
      fc.property(shape, fc.constantFrom(3, 40), fc.boolean(), ({ n, k, shift, seed }, one, nonFinite) => {
        const x = extremeFloats(n * k, seed, { one, nonFinite });
        for (const [i, row] of quantize(bench, n, k, x, shift).entries()) {
          const own = x.subarray(i * k, (i + 1) * k);
          const largest = own.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
          assert.is(
            row.sum,
            row.integers.reduce((total, q) => total + q, 0),
          );
          if (!Number.isFinite(largest)) {
            assert.ok(Number.isNaN(row.scale) && Number.isNaN(row.error), `row ${i}: ${row.scale}, ${row.error}`);
            assert.ok(row.integers.every((q) => q === 0));
            continue;
          }
          if (largest < 127 * 2 ** -110) assertSame([row.scale, row.sum], [0, 0]);
          const exact = left(own, row);
          const vanishing = 2 ** -70;
          assert.ok(
            row.error >= exact * (1 - (k / 4 + 8) * UNIT) - 2 * UNIT * largest * Math.sqrt(k) - vanishing,
            `${row.error}, ${exact}`,
          );
          if (largest < 2 ** 60) assert.ok(row.error <= exact * (1 + (k / 4 + 8) * UNIT) + 2 * UNIT * largest * Math.sqrt(k) + vanishing);
        }
      }),
      { seed: 2, numRuns: 500 },
    );
  },
);

test.run();
