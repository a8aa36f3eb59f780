import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertWithin, SMALLEST, UNIT } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { extremeFloats, randomFloats } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const shape = fc.record({
  rows: fc.integer({ min: 0, max: 5 }),
  columns: fc.integer({ min: 0, max: 40 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

testKernels('f32_l2_norm gives each row the length 1, but divides by no less than epsilon', (bench) => {
  fc.assert(
    fc.property(shape, fc.boolean(), fc.constantFrom(1e-3, 1, 1e15), ({ rows, columns, shift, seed }, inPlace, size) => {
      const x = randomFloats(rows * columns, seed, size);
      const epsilon = Math.fround(0.25);
      const found = bench.try(() => {
        const from = inPlace ? bench.output(x, { shift }) : bench.input(x, { shift });
        const y = inPlace ? from : bench.room(x.length, { shift });
        bench.engine.call('f32_l2_norm', rows, columns, epsilon, from, y);
        return bench.read(y, x.length);
      });
      const expected = reference.l2Norm(x, columns, epsilon);
      assertWithin(found, expected, (i) => 3 * UNIT * Math.abs(expected[i] as number), 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_l2_norm leaves zeros at zero', (bench) => {
  const y = bench.try(() => {
    const place = bench.room(5);
    bench.engine.call('f32_l2_norm', 1, 5, 1e-12, bench.input(new Float32Array(5)), place);
    return bench.read(place, 5);
  });
  assertSame(y, new Float32Array(5), 'y');
});

testKernels(
  'f32_l2_norm hides no NaN, makes a row with an infinity NaN there and 0 elsewhere, and takes the largest and the smallest numbers',
  (bench) => {
    fc.assert(
      fc.property(shape, fc.constantFrom(2, 20), fc.boolean(), ({ rows, columns, shift, seed }, one, nonFinite) => {
        const x = extremeFloats(rows * columns, seed, { one, nonFinite });
        const epsilon = Math.fround(1e-12);
        const found = bench.try(() => {
          const y = bench.room(x.length, { shift });
          bench.engine.call('f32_l2_norm', rows, columns, epsilon, bench.input(x, { shift }), y);
          return bench.read(y, x.length);
        });
        const expected = reference.l2Norm(x, columns, epsilon);
        // one over a length above 2^126 is a denormal number, which has fewer digits
        const bound = (i: number): number => 3 * UNIT * Math.abs(expected[i] as number) + SMALLEST * (1 + Math.abs(x[i] as number));
        assertWithin(found, expected, bound, 'y');
      }),
      { seed: 2, numRuns: 500 },
    );
  },
);

test.run();
