import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Dinov2Model, MemoryError } from '../../src/index.ts';
import { residentBlocks } from '../../src/models/residency.ts';
import type { Parameter } from '../../src/nn/parameters.ts';
import { refuses, withFolder } from '../helpers.ts';
import { pixels } from './helpers.ts';

const parameters = (...bytes: number[]): Parameter[] => bytes.map((size) => ({ bytes: size }) as Parameter);

test('all blocks stay in memory that fit beside the activations', () => {
  const blocks = Array.from({ length: 4 }, () => parameters(600, 400));
  assert.is(residentBlocks(parameters(100), blocks, { limit: 1e9, width: 8 }), 4);
  assert.is(residentBlocks(parameters(100), blocks, { limit: Math.ceil(4100 / 0.75), width: 1e6 }), 4);
});

test('of more blocks than fit, as many stay as leave room for one that is exchanged', () => {
  const blocks = Array.from({ length: 10 }, () => parameters(1000));
  assert.is(residentBlocks(parameters(500), blocks, { limit: Math.ceil(5500 / 0.75), width: 1e6 }), 4); // 5 fit
  assert.is(residentBlocks(parameters(500), blocks, { limit: 100, width: 1e6 }), 0);
});

for (const dtype of ['float32', 'float16', 'int8'] as const) {
  test(`a model larger than its memory gives the same bits, in ${dtype}, as often as it runs`, async () => {
    await withFolder(async (folder) => {
      const config = {
        hidden_size: 64,
        num_hidden_layers: 12,
        num_attention_heads: 2,
        image_size: 28,
        patch_size: 14,
        num_channels: 2,
        initializer_range: 0.2,
      };
      await new Dinov2Model(config, { seed: 1 }).save_pretrained(folder);
      using whole = await Dinov2Model.from_pretrained(folder, { dtype });
      const memoryLimit = { float32: 18, float16: 12, int8: 11 }[dtype] * 65536; // a page is 64 KiB; whole, it takes more
      assert.ok(whole.memory > memoryLimit, String(whole.memory));
      const model = await Dinov2Model.from_pretrained(folder, { dtype, memoryLimit });
      for (const batch of [1, 3, 1]) {
        const inputs = pixels(batch, 28);
        const [expected, found] = [await whole(inputs), await model(inputs)];
        assert.equal(found.last_hidden_state.data, expected.last_hidden_state.data);
      }
      assert.ok(model.memory <= memoryLimit);
      await refuses(() => model.trace({ height: 28, width: 28 }), MemoryError, 'trace', 'raise memoryLimit');
      await refuses(() => model.save_pretrained(folder), MemoryError, 'save_pretrained');
      await refuses(() => [...model.weights()], MemoryError, 'weights');
      model.dispose();
    });
  });
}

test.run();
