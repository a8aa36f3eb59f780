import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertSameBits } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomBits, randomFloats, randomIntegers } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const size = fc.integer({ min: 0, max: 20 });
const shape = fc.record({ rows: size, columns: size, gap: fc.nat({ max: 5 }), shift: fc.constantFrom(...SHIFTS), seed: fc.nat() });

for (const [kernel, combine] of [
  ['f32_add', (a: number, b: number) => a + b],
  ['f32_mul', (a: number, b: number) => a * b],
] as const) {
  testKernels(
    `${kernel} is exactly rounded for every pair of numbers, with rows of y apart or repeated, in place of x or y too`,
    (bench) => {
      fc.assert(
        fc.property(shape, fc.boolean(), fc.boolean(), ({ rows, columns, gap, shift, seed }, repeated, any) => {
          const make = any ? randomBits : randomFloats;
          const ldy = repeated ? 0 : columns + gap;
          const x = make(rows * columns, seed);
          const y = make(repeated ? columns : rows * ldy, seed + 1);
          const expected = x.map((value, i) =>
            Math.fround(combine(value, y[Math.floor(i / (columns || 1)) * ldy + (i % columns)] as number)),
          );
          const run = (place: 'new' | 'x' | 'y'): Float32Array =>
            bench.try(() => {
              const xs = place === 'x' ? bench.output(x, { shift }) : bench.input(x, { shift });
              const ys = place === 'y' ? bench.output(y, { shift }) : bench.input(y, { shift });
              const z = { new: () => bench.room(x.length, { shift }), x: () => xs, y: () => ys }[place]();
              bench.engine.call(kernel, rows, columns, xs, ys, ldy, z);
              return bench.read(z, x.length);
            });
          assertSame(run('new'), expected, 'z');
          assertSame(run('x'), expected, 'z in the place of x');
          if (!repeated && gap === 0) assertSame(run('y'), expected, 'z in the place of y');
        }),
        { seed: 1, numRuns: 300 },
      );
    },
  );
}

testKernels('f32_mean is the mean of the rows, summed in float64, and no NaN or infinity is lost', (bench) => {
  fc.assert(
    fc.property(shape, fc.boolean(), ({ rows, columns, gap, shift, seed }, special) => {
      const ldx = columns + gap;
      const x = special
        ? randomIntegers(rows * ldx, seed, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        : randomFloats(rows * ldx, seed, 1e30);
      const found = bench.try(() => {
        const y = bench.room(columns, { shift });
        bench.engine.call('f32_mean', rows, columns, bench.input(x, { shift }), ldx, y);
        return bench.read(y, columns);
      });
      assertSame(found, Float32Array.from(reference.mean(x, rows, ldx).subarray(0, columns)), 'y');
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('f32_transpose moves every bit', (bench) => {
  fc.assert(
    fc.property(shape, ({ rows, columns, shift, seed }) => {
      const x = randomBits(rows * columns, seed);
      const found = bench.try(() => {
        const y = bench.room(x.length, { shift });
        bench.engine.call('f32_transpose', rows, columns, bench.input(x, { shift }), y);
        return bench.read(y, x.length);
      });
      // as bits, because float64 would quiet a NaN
      const bits = reference.transpose(new Uint32Array(x.buffer), rows, columns);
      assertSameBits(found, Uint32Array.from(bits), 'y');
    }),
    { seed: 3, numRuns: 200 },
  );
});

testKernels('f32_clamp is exact for every number, and NaN stays', (bench) => {
  fc.assert(
    fc.property(shape, fc.boolean(), fc.boolean(), ({ rows, columns, shift, seed }, any, inPlace) => {
      const x = (any ? randomBits : randomFloats)(rows * columns, seed);
      const found = bench.try(() => {
        const from = inPlace ? bench.output(x, { shift }) : bench.input(x, { shift });
        const y = inPlace ? from : bench.room(x.length, { shift });
        bench.engine.call('f32_clamp', x.length, -0.25, 0.5, from, y);
        return bench.read(y, x.length);
      });
      assertSame(
        found,
        x.map((value) => Math.min(Math.max(value, -0.25), 0.5)),
        'y',
      );
    }),
    { seed: 4, numRuns: 200 },
  );
});

test.run();
