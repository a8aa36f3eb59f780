import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertSums, assertWithin, UNIT } from '../../reference/compare.ts';
import { sum } from '../../reference/ops.ts';
import { extremeFloats, randomFloats, randomIntegers, uniform } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

interface Axis {
  outer: number;
  size: number;
  to: number;
  inner: number;
  taps: number;
  indices: Int32Array;
  weights: Float32Array;
}

const axes: fc.Arbitrary<Axis> = fc
  .record({
    outer: fc.nat({ max: 4 }),
    size: fc.integer({ min: 1, max: 9 }),
    to: fc.nat({ max: 9 }),
    inner: fc.nat({ max: 40 }),
    taps: fc.nat({ max: 6 }),
    seed: fc.nat(),
  })
  .map(({ seed, ...axis }) => {
    const next = uniform(seed);
    const indices = Int32Array.from({ length: axis.to * axis.taps }, () => next() * axis.size);
    return { ...axis, indices, weights: randomIntegers(axis.to * axis.taps, seed + 1).map((x) => x / 4) };
  });

function resample(bench: Bench, { outer, size, to, inner, taps, indices, weights }: Axis, x: Float32Array, shift: number): Float32Array {
  return bench.try(() => {
    const y = bench.room(outer * to * inner, { shift });
    const [from, table, factors] = [bench.input(x, { shift }), bench.input(indices), bench.input(weights)];
    bench.engine.call('f32_resample', outer, size, to, inner, taps, from, table, factors, y);
    return bench.read(y, outer * to * inner);
  });
}

/** The terms of which each output is the sum. */
function termsOf({ outer, size, to, inner, taps, indices, weights }: Axis, x: Float32Array): number[][] {
  return Array.from({ length: outer * to * inner }, (_, e) => {
    const [o, j, i] = [Math.floor(e / (to * inner)), Math.floor(e / inner) % to, e % inner];
    return Array.from({ length: taps }, (_, t) => {
      const source = indices[j * taps + t] as number;
      return (weights[j * taps + t] as number) * (x[(o * size + source) * inner + i] as number);
    });
  });
}

testKernels('f32_resample sums the taps of each output along one axis, whatever stands around it', (bench) => {
  fc.assert(
    fc.property(axes, fc.constantFrom(...SHIFTS), fc.nat(), (axis, shift, seed) => {
      const x = randomFloats(axis.outer * axis.size * axis.inner, seed);
      const terms = termsOf(axis, x);
      const expected = terms.map((t) => sum(t.length, (i) => t[i] as number));
      const bound = (e: number): number => axis.taps * UNIT * (terms[e] as number[]).reduce((total, term) => total + Math.abs(term), 0);
      assertWithin(resample(bench, axis, x, shift), expected, bound, 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_resample hides no NaN and no infinity under a tap', (bench) => {
  fc.assert(
    fc.property(axes, fc.nat(), (axis, seed) => {
      const x = randomIntegers(axis.outer * axis.size * axis.inner, seed, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
      const expected = termsOf(axis, x).map((t) => sum(t.length, (i) => t[i] as number));
      assertSame(resample(bench, axis, x, 0), expected, 'y');
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('f32_resample keeps denormal numbers, and is right up to the largest', (bench) => {
  fc.assert(
    fc.property(axes, fc.nat(), fc.constantFrom(2, 20), (axis, seed, one) => {
      const x = extremeFloats(axis.outer * axis.size * axis.inner, seed, { one });
      assertSums(resample(bench, axis, x, 0), termsOf(axis, x), axis.taps, 'y');
    }),
    { seed: 3, numRuns: 300 },
  );
});

test.run();
