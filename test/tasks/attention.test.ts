import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { Dinov2Model, Tensor } from '../../src/index.ts';
import { attentionMaps, Rollout } from '../../src/tasks/index.ts';
import { refuses } from '../helpers.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';
import { randomFloats } from '../reference/random.ts';

const counting = new Tensor(
  'float32',
  Float32Array.from({ length: 2 * 6 * 6 }, (_, i) => i),
  [2, 6, 6],
);

test('maps are the rows of the class token or a patch, without the tokens before the patches', () => {
  assert.equal(attentionMaps(counting, [2, 2]).tolist(), [
    [
      [2, 3],
      [4, 5],
    ],
    [
      [38, 39],
      [40, 41],
    ],
  ]);
  assertSame(attentionMaps(counting, [2, 2], { from: { row: 1, column: 0 } }).at(0).data, [26, 27, 28, 29]);
});

test('rollout multiplies half the identity and half the mean of the heads', () => {
  const rollout = new Rollout();
  rollout.add(new Tensor('float32', [1, 0, 0, 1, 0, 1, 1, 0], [2, 2, 2]));
  rollout.add(new Tensor('float32', [0, 1, 0, 1], [1, 2, 2]));
  assertWithin(rollout.attention.data, [0.5, 0.5, 0.25, 0.75], 1e-6);
});

test('a model tells its attention block by block, the same as it gives', async () => {
  const model = new Dinov2Model({ hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, image_size: 8, patch_size: 4 });
  const heard: unknown[] = [];
  const { attentions = [] } = await model(new Tensor('float32', randomFloats(192 * 2, 1), [2, 3, 8, 8]), {
    output_attentions: true,
    attention_callback: (attention, at) => heard.push([at.layer, at.picture, attention.tolist()]),
  });
  assert.equal(
    heard,
    attentions.flatMap((all, layer) => [0, 1].map((i) => [layer, i, all.at(i).tolist()])),
  );
  const pixels = new Tensor('float32', new Float32Array(192), [1, 3, 8, 8]);
  await refuses(() => model(pixels, { attention_callback: 1 as never }), ArgumentError, 'attention_callback', 'function');
  model.dispose();
});

test('other dimensions are refused by name', async () => {
  await refuses(() => attentionMaps(counting, [2, 3]), ShapeError, 'attention', '6 tokens'.slice(2));
  await refuses(() => attentionMaps(counting, [2, 2], { from: { row: 2, column: 0 } }), ShapeError, 'from');
  await refuses(() => new Rollout().attention, ShapeError, 'rollout');
});

test.run();
