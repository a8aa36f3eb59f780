import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasRelaxedSimd, hasSimd } from '../../src/runtime/features.ts';
import { kernelFile } from '../assembly/helpers.ts';

const validate = (bytes: Uint8Array): boolean => WebAssembly.validate(new Uint8Array(bytes));

test('SIMD is found exactly where the baseline build compiles', () => {
  assert.is(hasSimd(), validate(kernelFile('simd')));
});

test('relaxed SIMD is found exactly where the relaxed build compiles', () => {
  assert.is(hasRelaxedSimd(), validate(kernelFile('relaxed')));
});

test.run();
