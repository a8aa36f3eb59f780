import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/errors.ts';
import { evaluate } from '../../src/tasks/index.ts';
import { refuses } from '../helpers.ts';

test('what is right, class by class, and what is taken for what', () => {
  const { accuracy, balancedAccuracy, confusion, classes } = evaluate([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 2], ['a', 'b', 'c', 'd']);
  assert.is(accuracy, 4 / 6);
  assert.is(balancedAccuracy, (3 / 4 + 1 / 2) / 2);
  assert.equal(confusion, [
    [3, 1, 0, 0],
    [0, 1, 1, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  assert.equal(classes, [
    { label: 'a', count: 4, precision: 1, recall: 3 / 4 },
    { label: 'b', count: 2, precision: 1 / 2, recall: 1 / 2 },
    { label: 'c', count: 0, precision: 0, recall: Number.NaN },
    { label: 'd', count: 0, precision: Number.NaN, recall: Number.NaN },
  ]);
});

test('what does not go together is refused', async () => {
  await refuses(() => evaluate([], [], ['a']), ArgumentError, 'found 0 for 0');
  await refuses(() => evaluate([0, 0], [0], ['a']), ArgumentError, 'found 1 for 2');
  await refuses(() => evaluate([0], [1], ['a']), ArgumentError, 'from 0 to 0');
});

test.run();
