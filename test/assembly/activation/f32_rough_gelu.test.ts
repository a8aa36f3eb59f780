import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertSame, assertSameBits, assertWithin } from '../../reference/compare.ts';
import { ACTIVATIONS } from '../../reference/ops.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

function roughGelu(bench: Bench, x: Float32Array, { shift = 0, inPlace = false } = {}): Float32Array {
  return bench.try(() => {
    const y = inPlace ? bench.output(x, { shift }) : bench.room(x.length, { shift });
    bench.engine.call('f32_rough_gelu', x.length, inPlace ? y : bench.input(x, { shift }), y);
    return bench.read(y, x.length);
  });
}

testKernels('f32_rough_gelu is GELU within 9e-5 and 2e-6 of x, whatever the magnitude', (bench) => {
  const dense = Float32Array.from({ length: 2 ** 16 }, (_, i) => (i - 2 ** 15) / 2 ** 12);
  for (const x of [dense, randomBits(2 ** 16, 1).filter((value) => Math.abs(value) < 1e38)]) {
    const expected = Float64Array.from(x, ACTIVATIONS.gelu);
    assertWithin(roughGelu(bench, x), expected, (i) => 9e-5 + 2e-6 * Math.abs(x[i] as number), 'y');
  }
});

testKernels('f32_rough_gelu is 0 from -4.2 down', (bench) => {
  for (const value of roughGelu(bench, Float32Array.of(-4.2, -4.3, -100, -1e4, -1e20, -3e38))) assert.is(Math.abs(value), 0);
});

testKernels('f32_rough_gelu takes any count, in place too, and gives a number the same bits wherever it stands', (bench) => {
  fc.assert(
    fc.property(fc.nat({ max: 20 }), fc.constantFrom(...SHIFTS), fc.nat(), (count, shift, seed) => {
      const x = randomFloats(count + 4, seed, 4);
      const whole = roughGelu(bench, x);
      for (let from = 0; from < 4; from++) {
        const part = x.slice(from, from + count);
        assertSameBits(roughGelu(bench, part, { shift }), whole.subarray(from, from + count), `from ${from}`);
        assertSameBits(roughGelu(bench, part, { shift, inPlace: true }), whole.subarray(from, from + count), 'in place');
      }
    }),
    { seed: 2, numRuns: 30 },
  );
});

testKernels('f32_rough_gelu keeps NaN in each place and does with infinities what PyTorch does', (bench) => {
  for (let count = 1; count <= 9; count++) {
    for (let i = 0; i < count; i++) {
      const y = roughGelu(bench, randomFloats(count, i).with(i, Number.NaN));
      assert.equal(
        [...y].map(Number.isNaN),
        [...y].map((_, j) => i === j),
        `NaN at ${i} of ${count}`,
      );
    }
  }
  const { NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number;
  assertSame(roughGelu(bench, Float32Array.of(POSITIVE_INFINITY, NEGATIVE_INFINITY)), [POSITIVE_INFINITY, Number.NaN]);
});

test.run();
