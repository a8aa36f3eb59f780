import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pattern } from '../../bench/engines/pattern.ts';
import { AutoModel, type Dinov2Model, Tensor } from '../../src/index.ts';
import { Dinov2Config, Dinov2WithRegistersConfig } from '../../src/models/config.ts';
import { withFolder } from '../helpers.ts';
import { stageErrors } from './reference.ts';
import { roundedWeight, tensorsOf, writeModel } from './weights.ts';

const SMALL = { hidden_size: 48, num_hidden_layers: 3, num_attention_heads: 3, image_size: 70, patch_size: 14 };

for (const [what, config] of [
  ['an MLP', new Dinov2Config(SMALL)],
  ['SwiGLU', new Dinov2Config({ ...SMALL, use_swiglu_ffn: true })],
  ['registers', new Dinov2WithRegistersConfig(SMALL)],
] as const) {
  test(`each stage of a small model with ${what} is within 4e-6 of float64, as test:shapes finds the large ones to be`, () =>
    withFolder(async (folder) => {
      await writeModel(folder, config, 7);
      const dims = tensorsOf(config);
      const model = (await AutoModel.from_pretrained(folder)) as Dinov2Model;
      assert.equal([...model.weights()].map(([name, weight]) => [name, weight.dims]).sort(), [...dims].sort());
      for (const size of [70, 56, 103]) {
        const pixels = new Tensor('float32', pattern(3 * size * size), [1, 3, size, size]);
        const { last_hidden_state, hidden_states = [] } = await model(pixels, { output_hidden_states: true });
        const states = [...hidden_states, last_hidden_state].map(({ data }) => data);
        const weights = (name: string) => roundedWeight(name, dims.get(name) as readonly number[], 7);
        const stages = stageErrors(config, { size, pixels: pixels.data, states, weights });
        assert.is(stages.length, 5);
        for (const { what: stage, error } of stages) assert.ok(error > 1e-9 && error < 4e-6, `${size}, ${stage}: ${error}`);
        const wrong = stageErrors(config, { size, pixels: pixels.data, states, weights: (name) => weights(name).map((w) => w * 1.0001) });
        assert.ok(
          wrong.every(({ error }) => error > 4e-6),
          'it tells weights apart that differ in the fourth digit',
        );
      }
      model.dispose();
    }));
}

test.run();
