import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeNpy } from '../../src/checkpoint/npy.ts';
import { DTypeError, ShapeError } from '../../src/errors.ts';
import { DTYPES, type DType } from '../../src/tensor/dtype.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { refuses } from '../helpers.ts';

const zeros = (dtype: DType, dims: number[]): Tensor => new Tensor(dtype, new DTYPES[dtype](dims.reduce((a, b) => a * b, 1)), dims);

/** Length and text of the header. */
function headerOf(npy: Uint8Array): [number, string] {
  const length = new DataView(npy.buffer).getUint16(8, true);
  const text = new TextDecoder().decode(npy.subarray(10, 10 + length));
  assert.ok(text.endsWith('\n'));
  return [length, text.trimEnd()];
}

test('headers are those that numpy 2.4 writes', () => {
  const header = (descr: string, shape: string): string => `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape}), }`;
  assert.equal(headerOf(encodeNpy(zeros('float32', [2, 3]))), [118, header('<f4', '2, 3')]);
  assert.equal(headerOf(encodeNpy(zeros('float32', []))), [118, header('<f4', '')]);
  assert.equal(headerOf(encodeNpy(zeros('int8', [3]))), [118, header('|i1', '3,')]);
  assert.equal(headerOf(encodeNpy(zeros('int64', [0, 4]))), [118, header('<i8', '0, 4')]);
  assert.equal(headerOf(encodeNpy(zeros('bool', [2]))), [118, header('|b1', '2,')]);
  assert.equal(headerOf(encodeNpy(zeros('uint8', [2]))), [118, header('|u1', '2,')]);
  assert.equal(headerOf(encodeNpy(zeros('int32', [2]))), [118, header('<i4', '2,')]);
  const ones = Array(19).fill(1);
  assert.equal(headerOf(encodeNpy(zeros('float16', ones))), [182, header('<f2', ones.join(', '))]);
});

test('a file is magic, version, header and little-endian elements', () => {
  const npy = encodeNpy(new Tensor('int32', [1, -2], [2]));
  assert.equal([...npy.subarray(0, 8)], [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  assert.equal([...npy.subarray(128)], [1, 0, 0, 0, 254, 255, 255, 255]);
});

test('part of a larger tensor is written alone', () => {
  const npy = encodeNpy(new Tensor('uint8', [1, 2, 3, 4], [2, 2]).at(1));
  assert.equal([...npy.subarray(128)], [3, 4]);
});

test('what numpy does not have is refused by name', async () => {
  await refuses(() => encodeNpy(zeros('bfloat16', [1])), DTypeError, 'found bfloat16', "convert with .to('float32')");
  await refuses(() => encodeNpy(zeros('int8', Array(65).fill(1))), ShapeError, 'at most 64 dimensions', 'found 65');
});

test('the room that numpy leaves for the first dimension to grow counts in the length of the header', () => {
  // numpy 2.4: numpy.save of zeros of these shapes
  const lengthOf = (...dims: number[]): number => headerOf(encodeNpy(zeros('float32', dims)))[0];
  const ones = (count: number): number[] => Array<number>(count).fill(1);
  assert.equal([lengthOf(...ones(14)), lengthOf(...ones(15)), lengthOf(100, ...ones(14))], [118, 182, 182]);
});

test.run();
