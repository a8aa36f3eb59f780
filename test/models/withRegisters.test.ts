import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Dinov2Model, Dinov2WithRegistersModel } from '../../src/index.ts';
import { withFolder } from '../helpers.ts';
import { assertSame } from '../reference/compare.ts';
import { pixels, TINY } from './helpers.ts';

test('registers stand between the class token and the patches', async () => {
  const model = new Dinov2WithRegistersModel({ ...TINY, num_register_tokens: 3 }, { seed: 1 });
  const { last_hidden_state } = await model({ pixel_values: pixels(2) });
  assert.equal(last_hidden_state.dims, [2, 1 + 3 + 25, TINY.hidden_size]);
  model.dispose();
});

test('without registers the numbers are those of the model that knows none', async () => {
  const [model, plain] = [
    new Dinov2WithRegistersModel({ ...TINY, num_register_tokens: 0 }, { seed: 1 }),
    new Dinov2Model(TINY, { seed: 1 }),
  ];
  const [found, expected] = [await model({ pixel_values: pixels(1) }), await plain({ pixel_values: pixels(1) })];
  assertSame(found.last_hidden_state.data, expected.last_hidden_state.data);
  model.dispose();
  plain.dispose();
});

test('a saved model is read back, registers included, and traced to the bit', () =>
  withFolder(async (folder) => {
    const model = new Dinov2WithRegistersModel(TINY, { seed: 2 });
    await model.save_pretrained(folder);
    const again = await Dinov2WithRegistersModel.from_pretrained(folder);
    const inputs = { pixel_values: pixels(1, 24, 28) };
    const expected = await model(inputs);
    assertSame((await again(inputs)).last_hidden_state.data, expected.last_hidden_state.data);
    const traced = await again.trace(inputs);
    assertSame((await traced(inputs)).last_hidden_state.data, expected.last_hidden_state.data);
    assert.ok(
      [...again.weights()].some(([name, { dims }]) => name === 'embeddings.register_tokens' && dims.join() === `1,4,${TINY.hidden_size}`),
    );
    model.dispose();
    again.dispose();
  }));

test.run();
