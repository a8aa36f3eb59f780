import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rotate } from '../../../src/tensor/matrix/rotation.ts';
import { assertSameBits, assertWithin } from '../../reference/compare.ts';
import { GROUP } from '../../reference/integers.ts';
import * as reference from '../../reference/ops.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

function rotated(bench: Bench, x: Float32Array, rows: number, columns: number, { shift = 0 } = {}): Float32Array {
  return bench.try(() => {
    const y = bench.room(x.length, { shift });
    bench.engine.call('f32_rotate', rows, columns, bench.input(x, { shift }), y);
    return bench.read(y, x.length);
  });
}

const R = [
  [1, 1, 1, -1],
  [1, -1, 1, 1],
  [1, 1, -1, 1],
  [-1, 1, 1, 1],
] as const;

/** Element [i, j] of H = R (x) H_2 (x) R (x) I_4. */
function h(i: number, j: number): number {
  if (i % 4 !== j % 4) return 0;
  const r = (shift: number): number => R[(i >> shift) & 3]?.[(j >> shift) & 3] as number;
  return r(5) * (((i & j) >> 4) & 1 ? -1 : 1) * r(2);
}

testKernels('f32_rotate multiplies every whole group with H, and leaves the rest of a row as it is', (bench) => {
  fc.assert(
    fc.property(fc.nat({ max: 4 }), fc.nat({ max: 3 * GROUP }), fc.constantFrom(...SHIFTS), fc.nat(), (rows, columns, shift, seed) => {
      const x = randomFloats(rows * columns, seed);
      const whole = columns - (columns % GROUP);
      const expected = Float64Array.from(x, (value, e) => {
        const column = e % columns;
        const first = e - (column % GROUP);
        return column < whole ? reference.sum(GROUP, (j) => h(column % GROUP, j) * (x[first + j] as number)) : value;
      });
      const found = rotated(bench, x, rows, columns, { shift });
      assertWithin(found, expected, (e) => (e % columns < whole ? 32 * 5 * 2 ** -24 : 0));
      assertSameBits(rotate(x.slice(), columns), found, 'as rotate does');
    }),
    { seed: 1, numRuns: 100 },
  );
});

testKernels('f32_rotate in place gives the same, and twice 32 times the numbers', (bench) => {
  const columns = 2 * GROUP + 9;
  const x = randomFloats(3 * columns, 1).map((value) => Math.round(value * 1000)); // exact
  const twice = bench.try(() => {
    const y = bench.output(x);
    for (let i = 0; i < 2; i++) bench.engine.call('f32_rotate', 3, columns, y, y);
    return bench.read(y, x.length);
  });
  assertSameBits(
    twice,
    x.map((value, e) => (e % columns < 2 * GROUP ? 32 * value : value)),
  );
});

testKernels('f32_rotate of any bits: numbers in a group with one that is none are none, and other groups do not see it', (bench) => {
  for (let seed = 0; seed < 50; seed++) {
    const x = randomFloats(3 * GROUP, seed);
    x.set(randomBits(4, seed), GROUP + 8);
    const finite = x.subarray(GROUP + 8, GROUP + 12).map((value) => Number(Number.isFinite(value)));
    const y = rotated(bench, x, 1, 3 * GROUP);
    for (const [i, value] of y.entries()) {
      if (i < GROUP || i >= 2 * GROUP) assert.ok(Number.isFinite(value));
      else if (!finite[i % 4]) assert.not.ok(Number.isFinite(value), `${seed}: ${i}`);
    }
  }
});

test.run();
