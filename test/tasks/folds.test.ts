import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stratifiedFolds } from '../../src/tasks/folds.ts';

const CLASSES = Array.from({ length: 53 }, (_, i) => (i < 30 ? 0 : i < 47 ? 1 : 2));

test('every row is in one fold, and each class is spread evenly', () => {
  const folds = stratifiedFolds(CLASSES, 5, 1);
  assert.equal(
    folds.flat().sort((a, b) => a - b),
    [...CLASSES.keys()],
  );
  for (const [label, count] of [30, 17, 6].entries()) {
    for (const fold of folds) {
      const own = fold.filter((row) => CLASSES[row] === label).length;
      assert.ok(own === Math.floor(count / 5) || own === Math.ceil(count / 5), `class ${label}: ${own} of ${count}`);
    }
  }
});

test('the seed decides, and nothing else', () => {
  assert.equal(stratifiedFolds(CLASSES, 4, 2), stratifiedFolds(CLASSES, 4, 2));
  assert.not.equal(stratifiedFolds(CLASSES, 4, 2), stratifiedFolds(CLASSES, 4, 3));
});

test.run();
