import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { AutoModel, EMBEDDED_MODEL, Tensor } from '../../src/index.ts';
import { embed, type Pooling } from '../../src/tasks/index.ts';
import { goldenPath, refuses } from '../helpers.ts';
import { readTensors } from '../models/helpers.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';

/** Two pictures of a class token and two patches, three numbers each. */
const STATES = new Tensor('float32', [1, 2, 3, 10, 20, 30, 30, 40, 50, -1, -2, -3, 0, 0, 1, 0, 0, 3], [2, 3, 3]);

test('cls is the first token', () => {
  const vectors = embed(STATES);
  assert.equal(vectors.dims, [2, 3]);
  assertSame(vectors.data, [1, 2, 3, -1, -2, -3]);
});

test('mean is that of the tokens after the first', () => {
  const vectors = embed(STATES, { pooling: 'mean' });
  assert.equal(vectors.dims, [2, 3]);
  assertSame(vectors.data, [20, 30, 40, 0, 0, 2]);
});

test('both is one behind the other', () => {
  const vectors = embed(STATES, { pooling: 'both' });
  assert.equal(vectors.dims, [2, 6]);
  assertSame(vectors.data, [1, 2, 3, 20, 30, 40, -1, -2, -3, 0, 0, 2]);
});

test('registers have no part in a mean', () => {
  assertSame(embed(STATES, { pooling: 'both', registers: 1 }).data, [1, 2, 3, 30, 40, 50, -1, -2, -3, 0, 0, 3]);
});

test('the vectors do not share memory with the tokens', () => {
  const states = STATES.clone();
  const vectors = embed(states);
  states.data.fill(0);
  assertSame(vectors.data, [1, 2, 3, -1, -2, -3]);
});

test('other poolings and dimensions are refused by name', async () => {
  await refuses(() => embed(STATES, { pooling: 'max' as Pooling }), ArgumentError, 'pooling', 'cls, mean, both', '"max"');
  await refuses(() => embed(STATES.at(0)), ShapeError, 'last_hidden_state', '[3,3]');
  await refuses(() => embed(STATES, { registers: 2 }), ShapeError, '(batch, 3 + patches, hidden)', '[2,3,3]');
  await refuses(() => embed(new Tensor('float32', [1, 2], [1, 1, 2])), ShapeError, 'last_hidden_state', '[1,1,2]');
});

test('the tokens of the demonstration model are those of PyTorch, and their first the embedding', async () => {
  const golden = await readTensors(goldenPath('demo/io.safetensors'));
  const model = await AutoModel.from_pretrained(EMBEDDED_MODEL);
  const { last_hidden_state, pooler_output } = await model({ pixel_values: golden.get('rocket.pixel_values') as Tensor });
  model.dispose();
  const expected = golden.get('rocket.last_hidden_state') as Tensor<'float32'>;
  assertWithin(last_hidden_state.data, expected.data, 1e-4, 'rocket');
  assertSame(embed(last_hidden_state).data, pooler_output.data);
});

test.run();
