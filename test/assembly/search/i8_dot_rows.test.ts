import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame } from '../../reference/compare.ts';
import { LAYOUTS } from '../../reference/integers.ts';
import { dotRows } from '../../reference/ops.ts';
import { uniform } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const shape = fc.record({
  n: fc.integer({ min: 0, max: 14 }),
  k: fc.integer({ min: 0, max: 140 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

/** Integers of -127 to 127, often the outermost. */
function integers(count: number, seed: number): Int8Array {
  const next = uniform(seed);
  return Int8Array.from({ length: count }, () => Math.max(-127, Math.min(127, Math.round((2 * next() - 1) * 180))));
}

testKernels('i8_dot_rows gives exact sums times both scales, in each form that this host multiplies exactly', (bench) => {
  const forms = [...new Set(['pairs', bench.engine.integerForm] as const)];
  fc.assert(
    fc.property(shape, fc.constantFrom(...forms), ({ n, k, shift, seed }, form) => {
      const x = integers(n * k, seed);
      const query = integers(k, seed + 1);
      const scales = Float32Array.from({ length: n }, (_, i) => 2 ** (i - 2));
      const found = bench.try(() => {
        const y = bench.room(n, { shift });
        const places = [bench.input(x, { shift }), bench.input(scales), bench.input(query, { shift })] as const;
        bench.engine.call('i8_dot_rows', LAYOUTS[form].number, n, k, ...places, 0.5, y);
        return bench.read(y, n);
      });
      const expected = dotRows(x, query, n).map((sum, i) => Math.fround(sum) * (scales[i] as number) * 0.5);
      assertSame(found, expected, 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('i8_dot_rows is exact for the longest rows of the outermost integers, and hands on scales that are no numbers', (bench) => {
  const k = 131072;
  const scales = Float32Array.of(1, -1, 2 ** -149, Number.NaN, Number.POSITIVE_INFINITY);
  const [row, query] = [new Int8Array(k).fill(127), new Int8Array(k).fill(-127)];
  for (const form of new Set(['pairs', bench.engine.integerForm] as const)) {
    const found = bench.try(() => {
      const y = bench.room(scales.length);
      const rows = bench.input(Int8Array.from({ length: scales.length * k }, (_, i) => row[i % k] as number));
      bench.engine.call('i8_dot_rows', LAYOUTS[form].number, scales.length, k, rows, bench.input(scales), bench.input(query), 1, y);
      return bench.read(y, scales.length);
    });
    const sum = Math.fround(-127 * 127 * k);
    assertSame(
      found,
      Array.from(scales, (scale) => Math.fround(sum * scale)),
      form,
    );
  }
});

test.run();
