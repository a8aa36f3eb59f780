import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoImageProcessor } from '../../src/image/processor.ts';
import { AutoModel, AutoModelForImageClassification } from '../../src/models/auto.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import { goldenPath } from '../helpers.ts';
import { assertWithinOfLargest } from '../reference/compare.ts';
import { readTensors } from './helpers.ts';

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const WEIGHTS = path('weights');

/** Relative to the largest value of the reference. */
const TOLERANCE = 1e-4;

test('the embedded model gives the features and logits of PyTorch for the bundled photographs', async () => {
  const references = await readTensors(goldenPath('demo/io.safetensors'));
  const processor = await AutoImageProcessor.from_pretrained(WEIGHTS);
  const [model, classifier] = [await AutoModel.from_pretrained(WEIGHTS), await AutoModelForImageClassification.from_pretrained(WEIGHTS)];
  const given = references.get('rocket.pixel_values') as Tensor; // a JPEG, which decoders decode differently
  for (const name of ['astronaut', 'chelsea', 'coffee', 'rocket']) {
    const pixel_values = name === 'rocket' ? given : (await processor(path(`examples/photos/${name}.png`))).pixel_values;
    const outputs = { ...(await model({ pixel_values })), ...(await classifier({ pixel_values })) };
    for (const key of ['last_hidden_state', 'logits'] as const) {
      const expected = references.get(`${name}.${key}`) as Tensor<'float32'>;
      assert.equal(outputs[key].dims, expected.dims);
      assertWithinOfLargest(outputs[key].data, expected.data, TOLERANCE, `${name}.${key}`);
    }
  }
  model.dispose();
  classifier.dispose();
});

test.run();
