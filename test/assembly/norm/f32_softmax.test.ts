import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertSame, assertSameBits, assertWithin, SMALLEST, UNIT } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomFloats, randomIntegers } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

function softmax(bench: Bench, rows: number, columns: number, x: Float32Array, { shift = 0, inPlace = false } = {}): Float32Array {
  return bench.try(() => {
    const y = inPlace ? bench.output(x, { shift }) : bench.room(x.length, { shift });
    bench.engine.call('f32_softmax', rows, columns, inPlace ? y : bench.input(x, { shift }), y);
    return bench.read(y, x.length);
  });
}

const shape = fc.record({
  rows: fc.integer({ min: 0, max: 5 }),
  columns: fc.integer({ min: 0, max: 40 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

testKernels('f32_softmax is e^(x - max) / sum over each row', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom(1, 20, 200), ({ rows, columns, shift, seed }, size) => {
      const x = randomFloats(rows * columns, seed, size);
      const expected = columns ? reference.softmax(x, columns) : x;
      // e^z as its header claims, z rounded too; the sum of the others; e^z is 0 where float32 has only denormal numbers
      const relative = 2e-7 + (columns / 4 + 4 + 3 * Math.min(2 * size, 90)) * UNIT;
      assertWithin(softmax(bench, rows, columns, x, { shift }), expected, (i) => relative * (expected[i] as number) + 2 ** -126, 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_softmax in place, or of a row alone, gives the same bits', (bench) => {
  fc.assert(
    fc.property(shape, ({ rows, columns, shift, seed }) => {
      const x = randomFloats(rows * columns, seed, 5);
      const y = softmax(bench, rows, columns, x);
      assertSameBits(softmax(bench, rows, columns, x, { shift, inPlace: true }), y, 'in place');
      const last = Math.max(rows - 1, 0) * columns;
      assertSameBits(softmax(bench, Math.min(rows, 1), columns, x.slice(last)), y.slice(last), 'the last row');
    }),
    { seed: 2, numRuns: 100 },
  );
});

testKernels('f32_softmax gives NaN for rows with NaN, with infinity, or of nothing but -infinity, as PyTorch does', (bench) => {
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
  fc.assert(
    fc.property(shape, ({ rows, columns, seed }) => {
      const x = randomIntegers(rows * columns, seed, specials);
      assertWithin(softmax(bench, rows, columns, x), columns ? reference.softmax(x, columns) : x, 1e-6, 'y');
    }),
    { seed: 3, numRuns: 300 },
  );
  for (const columns of [1, 3, 4, 9]) {
    for (const special of specials.slice(0, 2)) {
      for (let i = 0; i < columns; i++) {
        const y = softmax(bench, 1, columns, new Float32Array(columns).fill(special, i, i + 1));
        assert.ok(y.every(Number.isNaN), `${special} at ${i} of ${columns}: found ${y}`);
      }
    }
    assert.ok(
      softmax(bench, 1, columns, new Float32Array(columns).fill(Number.NEGATIVE_INFINITY)).every(Number.isNaN),
      `all of ${columns}`,
    );
  }
});

testKernels('f32_softmax neither overflows nor loses equal numbers, however large', (bench) => {
  for (const x of [0, 1e-45, -3e38, 3e38])
    assertSame(softmax(bench, 1, 8, new Float32Array(8).fill(x)), new Float32Array(8).fill(1 / 8), `${x}`);
  assertSame(softmax(bench, 1, 3, Float32Array.of(-3e38, 3e38, 0)), [0, 1, 0], 'far apart');
});

testKernels('e^z is within 2e-7 and 1.2e-7 |z| of its value', (bench) => {
  // beside three numbers below -19 a 0 has the probability 1, they theirs without the rounding of a sum or a division: four lanes, then the tail
  const [from, to] = [-87.3, -19];
  const steps = 2 ** 17;
  const x = Float32Array.from({ length: steps }, (_, i) => (i % 4 === 0 ? 0 : from + ((to - from) * i) / steps));
  for (const [what, y] of [
    ['four lanes', softmax(bench, steps / 4, 4, x)],
    [
      'the tail',
      softmax(
        bench,
        steps / 2,
        2,
        x.map((value, i) => (i % 2 === 0 ? 0 : value)),
      ),
    ],
  ] as const) {
    let worst = 0;
    for (let i = 1; i < steps; i += 2) {
      const z = x[i] as number;
      const expected = Math.exp(z);
      worst = Math.max(worst, Math.abs((y[i] as number) / expected - 1) / (2e-7 - 1.2e-7 * z));
    }
    assert.ok(worst <= 1, `${what}: ${worst} of the bound`);
    assert.ok(worst > 0.1, `${what}: no error at all is no measurement: ${worst} of the bound`);
  }
  assertSame(
    softmax(bench, 1, 4, Float32Array.of(0, -88, -1e4, Number.NEGATIVE_INFINITY)),
    [1, 0, 0, 0],
    'below all float32 but denormal ones',
  );
  assertWithin(softmax(bench, 1, 4, Float32Array.of(0, -SMALLEST, SMALLEST, -0)), [0.25, 0.25, 0.25, 0.25], 0, 'denormal numbers');
});

test.run();
