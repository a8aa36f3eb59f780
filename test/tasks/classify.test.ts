import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { AutoModelForImageClassification, Dinov2Config, EMBEDDED_MODEL, Tensor } from '../../src/index.ts';
import { classify, labelScores } from '../../src/tasks/index.ts';
import { goldenPath, refuses } from '../helpers.ts';
import { readTensors } from '../models/helpers.ts';
import { assertWithin } from '../reference/compare.ts';

const COLORS = new Dinov2Config({ id2label: { 0: 'red', 1: 'green', 2: 'blue' } });
const LOGITS = new Tensor('float32', [0, Math.log(2), Math.log(5), 3, 3, -100], [2, 3]);

test('labels come with their softmax, the best first', () => {
  const [first = [], second = []] = classify(LOGITS, COLORS);
  assert.equal(
    first.map(({ label }) => label),
    ['blue', 'green', 'red'],
  );
  assertWithin(
    first.map(({ score }) => score),
    [5 / 8, 2 / 8, 1 / 8],
    1e-6,
  );
  assert.equal(
    second.map(({ label }) => label),
    ['red', 'green', 'blue'],
    'of equal ones the first',
  );
});

test('topK says how many, 5 where it does not', () => {
  const labels = new Dinov2Config({ num_labels: 7 });
  const logits = new Tensor('float32', [1, 2, 3, 4, 5, 6, 7], [1, 7]);
  assert.is(classify(logits, labels)[0]?.length, 5);
  assert.equal(
    classify(logits, labels, { topK: 2 })[0]?.map(({ label }) => label),
    ['LABEL_6', 'LABEL_5'],
  );
  assert.is(classify(logits, labels, { topK: 100 })[0]?.length, 7);
});

test('labels that do not exclude each other are scored one by one, and so is a single one', () => {
  const several = new Dinov2Config({ ...COLORS.to_dict(), problem_type: 'multi_label_classification' });
  assertWithin(labelScores(LOGITS, several).data, [1 / 2, 2 / 3, 5 / 6, 1 / (1 + Math.exp(-3)), 1 / (1 + Math.exp(-3)), 0], 1e-6);
  assertWithin(labelScores(new Tensor('float32', [0], [1, 1]), new Dinov2Config({ num_labels: 1 })).data, [1 / 2], 1e-6);
});

test('logits of another number of labels and an impossible topK are refused by name', async () => {
  await refuses(() => classify(LOGITS, new Dinov2Config({ num_labels: 4 })), ShapeError, 'logits', '[*, 4]', '[2, 3]');
  for (const topK of [0, -1, 1.5, Number.NaN]) await refuses(() => classify(LOGITS, COLORS, { topK }), ArgumentError, 'topK', String(topK));
});

test('the logits of the demonstration model are those of PyTorch', async () => {
  const golden = await readTensors(goldenPath('demo/io.safetensors'));
  const model = await AutoModelForImageClassification.from_pretrained(EMBEDDED_MODEL);
  const { logits } = await model({ pixel_values: golden.get('rocket.pixel_values') as Tensor });
  const expected = golden.get('rocket.logits') as Tensor<'float32'>;
  assertWithin(logits.data, expected.data, 1e-4);
  assert.is(classify(logits, model.config)[0]?.[0]?.label, 'projectile');
  model.dispose();
});

test.run();
