import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame } from '../../reference/compare.ts';
import { dotRows, sum } from '../../reference/ops.ts';
import { uniform } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const shape = fc.record({
  n: fc.integer({ min: 0, max: 14 }),
  k: fc.integer({ min: 0, max: 140 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

/** Integers from `low` to `high`, often the outermost. */
function integers(count: number, seed: number, low: number, high: number): number[] {
  const next = uniform(seed);
  return Array.from({ length: count }, () => Math.max(low, Math.min(high, Math.round(low + (1.4 * next() - 0.2) * (high - low)))));
}

/** Scales and the sums of the integers of rows (n, k), as they lie in memory. */
function headsOf(x: Int8Array, scales: ArrayLike<number>, k: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * scales.length));
  for (let i = 0; i < scales.length; i++) {
    view.setFloat32(8 * i, scales[i] as number, true);
    view.setInt32(
      8 * i + 4,
      sum(k, (j) => x[i * k + j] as number),
      true,
    );
  }
  return new Uint8Array(view.buffer);
}

/** With bytes and with pairs, as far as this build has them. */
const waysOf = ({ engine }: Bench): number[] => (engine.multipliesBytes ? [1, 0] : [0]);

testKernels('i8_dot_rows gives exact sums without what the zero adds, times both scales, as bytes and as pairs', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom(...waysOf(bench)), fc.integer({ min: 0, max: 127 }), ({ n, k, shift, seed }, bytes, zero) => {
      const x = Int8Array.from(integers(n * k, seed, -127, 127));
      const query = Uint8Array.from(integers(k, seed + 1, 0, 127));
      const scales = Float32Array.from({ length: n }, (_, i) => 2 ** (i - 2));
      const found = bench.try(() => {
        const y = bench.room(n, { shift });
        const places = [bench.input(x, { shift }), bench.input(headsOf(x, scales, k)), bench.input(query, { shift })] as const;
        bench.engine.call('i8_dot_rows', bytes, n, k, ...places, zero, 0.5, y);
        return bench.read(y, n);
      });
      const meant = Int16Array.from(query, (q) => q - zero);
      const expected = dotRows(x, meant, n).map((product, i) => Math.fround(product) * (scales[i] as number) * 0.5);
      assertSame(found, expected, 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('i8_dot_rows is exact for the longest rows of the outermost integers, and hands on scales that are no numbers', (bench) => {
  const k = 131072;
  const scales = Float32Array.of(1, -1, 2 ** -149, Number.NaN, Number.POSITIVE_INFINITY);
  for (const bytes of waysOf(bench)) {
    for (const [integer, q, zero] of [
      [127, 127, 0],
      [-127, 127, 0],
      [127, 0, 127],
      [-127, 0, 127],
    ] as const) {
      const rows = new Int8Array(scales.length * k).fill(integer);
      const query = new Uint8Array(k).fill(q);
      const found = bench.try(() => {
        const y = bench.room(scales.length);
        const places = [bench.input(rows), bench.input(headsOf(rows, scales, k)), bench.input(query)] as const;
        bench.engine.call('i8_dot_rows', bytes, scales.length, k, ...places, zero, 1, y);
        return bench.read(y, scales.length);
      });
      const product = Math.fround(integer * (q - zero) * k);
      assertSame(
        found,
        Array.from(scales, (scale) => Math.fround(product * scale)),
        `${integer} by ${q} - ${zero}`,
      );
    }
  }
});

test.run();
