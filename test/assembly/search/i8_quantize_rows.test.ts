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
  /** Without what they are more by, 63. */
  readonly integers: Int8Array;
  readonly padding: Uint8Array;
  readonly scale: number;
  readonly error: number;
}

function quantize(bench: Bench, n: number, k: number, x: Float32Array, shift = 0): Row[] {
  const stride = Math.ceil(k / 32) * 32;
  return bench.try(() => {
    const q = bench.output(new Uint8Array(n * stride).fill(77), { shift });
    const heads = bench.room(2 * n, { shift });
    bench.engine.call('i8_quantize_rows', n, k, bench.input(x, { shift }), q, heads);
    const numbers = bench.read(heads, 2 * n);
    const bytes = bench.engine.view(q, n * stride).slice();
    return Array.from({ length: n }, (_, i) => {
      const row = bytes.subarray(i * stride, (i + 1) * stride);
      const [scale, error] = numbers.subarray(2 * i, 2 * i + 2) as unknown as [number, number];
      return { integers: Int8Array.from(row.subarray(0, k), (integer) => integer - 63), padding: row.subarray(k), scale, error };
    });
  });
}

/** The length of what rows are more than their integers, in float64. */
const left = (x: Float32Array, { integers, scale }: Row): number =>
  Math.hypot(...x.map((value, i) => value - scale * (integers[i] as number)));

/** What a row's error is off by at most, below and above. */
function assertError(row: Row, x: Float32Array): void {
  const exact = left(x, row);
  const rounding = 2 * UNIT * Math.hypot(...x) + 2 ** -70; // squares that vanish
  assert.ok(row.error >= exact - rounding, `expected at least ${exact}, found ${row.error}`);
  if (exact < 2 ** 60) assert.ok(row.error <= exact * (1 + (2 * x.length + 20) * UNIT) + rounding, `expected ${exact}, found ${row.error}`);
}

testKernels('i8_quantize_rows gives the nearest integers, and how far off they are', (bench) => {
  fc.assert(
    fc.property(shape, fc.integer({ min: -60, max: 60 }), ({ n, k, shift, seed }, exponent) => {
      const x = randomFloats(n * k, seed, 2 ** exponent);
      for (const [i, row] of quantize(bench, n, k, x, shift).entries()) {
        const own = x.subarray(i * k, (i + 1) * k);
        const { integers, padding, scale } = row;
        const largest = own.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
        assertWithin([scale], [largest / 63], (largest / 63) * UNIT, 'scale');
        assertWithin(
          Array.from(integers, (q) => q * scale),
          own,
          0.5001 * scale,
          `row ${i}`,
        );
        assert.ok(k === 0 || integers.includes(63) || integers.includes(-63));
        assert.ok(padding.every((byte) => byte === 0));
        assertError(row, own);
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
          assert.ok(row.integers.every((q) => Math.abs(q) <= 63));
          if (Number.isFinite(largest)) {
            assertError(row, own);
            if (largest >= 63 * 2 ** -110) continue;
            assertSame([row.scale], [0]);
          } else assert.ok(Number.isNaN(row.scale) && Number.isNaN(row.error), `row ${i}: ${row.scale}, ${row.error}`);
          assert.ok(row.integers.every((q) => q === 0));
        }
      }),
      { seed: 2, numRuns: 500 },
    );
  },
);

test.run();
