import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { maskOf, segmentsOf } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';

const LABELS = new Tensor('int32', [2, 2, 0, 2, 5, 0, 2, 2], [2, 4]);

test('each label that is there comes once, by its number, with its part of the picture', () => {
  assert.equal(segmentsOf(LABELS, { 0: 'wall', 1: 'floor', 2: 'cat' }), [
    { id: 0, label: 'wall', part: 2 / 8 },
    { id: 2, label: 'cat', part: 5 / 8 },
    { id: 5, label: 'LABEL_5', part: 1 / 8 },
  ]);
});

test('a mask is white where the label is', () => {
  const mask = maskOf(LABELS, 0);
  assert.equal([mask.width, mask.height, mask.channels], [4, 2, 1]);
  assert.equal([...mask.data], [0, 0, 255, 0, 0, 255, 0, 0]);
});

test('other dimensions are refused', async () => {
  await refuses(() => segmentsOf(LABELS.reshape(8), {}), ShapeError, '(height, width)', '[8]');
});

test.run();
