import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DTypeError } from '../../src/errors.ts';
import { bytesOf, checkDType, DTYPES } from '../../src/tensor/dtype.ts';
import { refuses } from '../helpers.ts';

test('an element has the bytes its dtype says', () => {
  const bytes = { float32: 4, float16: 2, bfloat16: 2, int64: 8, int32: 4, int8: 1, uint8: 1, bool: 1 };
  assert.equal(Object.fromEntries(Object.keys(DTYPES).map((dtype) => [dtype, bytesOf(dtype as keyof typeof DTYPES)])), bytes);
});

test('an unknown dtype is refused with those there are', async () => {
  await refuses(() => checkDType('float64'), DTypeError, 'expected one of float32, float16', 'found "float64"');
  await refuses(() => checkDType('toString'), DTypeError, 'found "toString"');
});

test.run();
