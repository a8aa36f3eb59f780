import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { float16ToNumber, fromFloat32, numberToFloat16, toFloat32 } from '../../src/tensor/convert.ts';
import { HALVES, nearestHalf } from '../reference/halves.ts';

const everyHalf = Uint16Array.from({ length: 65536 }, (_, half) => half);

for (const dtype of ['float16', 'bfloat16'] as const) {
  test(`each of the 65536 numbers of ${dtype} has its value, and comes back from it`, () => {
    const values = toFloat32(dtype, everyHalf);
    const again = fromFloat32(dtype, values) as Uint16Array;
    for (const [half, expected] of HALVES[dtype].entries()) {
      assert.ok(Object.is(values[half], expected), `${half}: expected ${expected}, found ${values[half]}`);
      if (!Number.isNaN(expected)) assert.is(again[half], half);
      else assert.ok(Number.isNaN(HALVES[dtype][again[half] as number]), `${half} is NaN and does not stay one`);
    }
  });

  test(`${dtype} rounds to the nearest, and of two as near to the even one`, () => {
    const check = (x: number): void => {
      const [found] = fromFloat32(dtype, Float32Array.of(x)) as Uint16Array;
      assert.is(found, nearestHalf(dtype, Math.fround(x)), `${x}`);
    };
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (x) => check(x)),
      { seed: 1, numRuns: 5000 },
    );
    for (let half = 0; half < 65536; half += 7) {
      const [low, high] = [HALVES[dtype][half] as number, HALVES[dtype][half + 1] as number];
      if (Number.isFinite(low) && Number.isFinite(high)) check((low + high) / 2);
    }
  });
}

test('NaN of any sign and payload stays NaN', () => {
  const words = Uint32Array.of(0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc00000, 0xffffffff);
  for (const dtype of ['float16', 'bfloat16'] as const) {
    for (const half of fromFloat32(dtype, new Float32Array(words.buffer)) as Uint16Array)
      assert.ok(Number.isNaN(HALVES[dtype][half]), `${half}`);
  }
});

test('one number at a time converts as arrays do', () => {
  for (const half of [0, 1, 0x3c00, 0x7bff, 0x7c00, 0x8001, 0xfc00]) {
    assert.is(float16ToNumber(half), HALVES.float16[half]);
    assert.is(numberToFloat16(float16ToNumber(half)), half);
  }
  assert.ok(Number.isNaN(float16ToNumber(numberToFloat16(Number.NaN))));
});

test.run();
