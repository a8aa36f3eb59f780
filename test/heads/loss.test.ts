import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { classificationLoss, type ProblemType } from '../../src/heads/loss.ts';
import { type DType, Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';

const logits = (...rows: number[][]): Tensor<'float32'> => new Tensor('float32', rows.flat(), [rows.length, (rows[0] as number[]).length]);
const labels = (dtype: DType, values: number[], ...dims: number[]): Tensor =>
  new Tensor(dtype, values, dims.length ? dims : [values.length]);

function loss(x: Tensor<'float32'>, y: Tensor | readonly number[], problem: ProblemType | null = null): number {
  const value = classificationLoss(x, y, problem);
  assert.equal([value.dtype, value.dims], ['float32', []]);
  return value.item();
}

const near = (found: number, expected: number): void => assertWithin([found], [expected], 1e-6 * Math.max(1, Math.abs(expected)));

test('cross entropy is -log of the probability of the class, averaged', () => {
  const x = logits([Math.log(3), 0], [0, 0]);
  near(loss(x, labels('int64', [0, 1])), (Math.log(4 / 3) + Math.log(2)) / 2);
  near(loss(x, labels('int32', [1, 0])), (Math.log(4) + Math.log(2)) / 2);
  near(loss(x, [1, 0]), (Math.log(4) + Math.log(2)) / 2);
  near(loss(x, labels('int64', [1, 0], 2, 1)), (Math.log(4) + Math.log(2)) / 2);
  near(loss(x, labels('float32', [1, 0]), 'single_label_classification'), (Math.log(4) + Math.log(2)) / 2);
});

test('cross entropy passes over -100, and the mean of nothing is NaN', () => {
  const x = logits([Math.log(3), 0], [5, 9]);
  near(loss(x, labels('int64', [0, -100])), Math.log(4 / 3));
  near(loss(x, [-100, 0]), Math.log(1 + Math.exp(4)));
  assert.ok(Number.isNaN(loss(x, [-100, -100])));
});

test('cross entropy neither overflows nor underflows', () => {
  near(loss(logits([3e38, 0, -3e38]), [0]), 0);
  near(loss(logits([10000, 0]), [1]), 10000);
  near(loss(logits([-10000, -10000]), [1]), Math.log(2));
});

test('a class that does not exist is refused with its place', async () => {
  const x = logits([1, 2, 3], [1, 2, 3]);
  for (const [label, found] of [
    [3, '3'],
    [-1, '-1'],
    [-101, '-101'],
    [0.5, '0.5'],
    [Number.NaN, 'NaN'],
  ] as const) {
    await refuses(
      () => loss(x, [0, label], 'single_label_classification'),
      ArgumentError,
      'labels[1]: expected a class from 0 to 2',
      `found ${found}`,
    );
    await refuses(() => loss(x, [0, label]), ArgumentError, 'labels[1]');
  }
  await refuses(() => loss(x, labels('int64', [3, 0])), ArgumentError, 'labels[0]');
});

test('binary cross entropy is of each logit on its own', () => {
  near(loss(logits([0, 0]), labels('float32', [1, 0], 1, 2)), Math.log(2));
  const x = logits([Math.log(3), Math.log(4)]);
  // -log sigmoid(ln 3) = log(4 / 3), -log(1 - sigmoid(ln 4)) = log 5
  near(loss(x, labels('float32', [1, 0], 1, 2)), (Math.log(4 / 3) + Math.log(5)) / 2);
  near(loss(x, [1, 0], 'multi_label_classification'), (Math.log(4 / 3) + Math.log(5)) / 2);
  // a label between them mixes both
  near(loss(x, labels('float32', [0.5, 0], 1, 2)), (0.5 * Math.log(4 / 3) + 0.5 * Math.log(4) + Math.log(5)) / 2);
});

test('binary cross entropy neither overflows nor cancels', () => {
  near(loss(logits([1000, -1000]), labels('float32', [0, 1], 1, 2)), 1000);
  near(loss(logits([1000, -1000]), labels('float32', [1, 0], 1, 2)), 0);
  assertWithin([loss(logits([40, 40]), labels('float32', [1, 1], 1, 2))], [Math.exp(-40)], Math.exp(-40) * 1e-6);
});

test('squared error is averaged over all logits, of one label or more', () => {
  near(loss(logits([1], [3]), labels('float32', [2, 7])), (1 + 16) / 2);
  near(loss(logits([1], [3]), labels('float32', [2, 7], 2, 1)), (1 + 16) / 2);
  near(loss(logits([1], [3]), [2, 7]), (1 + 16) / 2);
  near(loss(logits([1], [3]), labels('int64', [2, 7])), (1 + 16) / 2);
  near(loss(logits([1, 3]), labels('float32', [2, 7], 1, 2), 'regression'), (1 + 16) / 2);
  near(loss(logits([1, 3]), [2, 7], 'regression'), (1 + 16) / 2);
});

test('NaN in the logits is NaN in the loss', () => {
  const x = logits([Number.NaN, 1], [0, 0]);
  assert.ok(Number.isNaN(loss(x, [0, 1])));
  assert.ok(Number.isNaN(loss(x, [1, 1])));
  assert.ok(Number.isNaN(loss(x, labels('float32', [0, 1, 1, 0], 2, 2))));
  assert.ok(Number.isNaN(loss(x, labels('float32', [0, 1, 1, 0], 2, 2), 'regression')));
});

test('labels of other dimensions than the logits are refused with both', async () => {
  const x = logits([1, 2, 3], [1, 2, 3]);
  await refuses(() => loss(x, labels('float32', [1, 0, 0, 1, 0, 1], 3, 2)), ShapeError, 'labels', '[2,3]', '[3,2]');
  await refuses(() => loss(x, labels('float32', [1, 0])), ShapeError, '[2,3]', '[2]');
  await refuses(() => loss(x, labels('float32', [1, 0], 2, 1), 'regression'), ShapeError, '[2,3]', '[2,1]');
  await refuses(() => loss(x, labels('int64', [1, 0, 0])), ShapeError, 'expected [2] classes, found [3]');
  await refuses(() => loss(x, labels('int64', [1, 0, 0, 1, 0, 0], 2, 3)), ShapeError, 'expected [2] classes, found [2,3]');
  await refuses(() => loss(x, [1, 2, 0, 1]), ShapeError, 'labels', 'found 4');
  await refuses(() => loss(x, []), ShapeError, 'labels');
});

test('what are no labels is refused', async () => {
  const x = logits([1, 2]);
  for (const wrong of ['tabby', 3, {}, new Float32Array(1)]) await refuses(() => loss(x, wrong as never), ArgumentError, 'labels');
  await refuses(() => loss(x, ['0'] as never), ArgumentError, 'data[0]');
});

test.run();
