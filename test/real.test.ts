import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoImageProcessor } from '../src/image/processor.ts';
import { AutoModel } from '../src/models/auto.ts';
import type { Tensor } from '../src/tensor/index.ts';
import { readTensors } from './models/helpers.ts';
import { assertWithinOfLargest } from './reference/compare.ts';

/**
 * A folder with config.json, model.safetensors and preprocessor_config.json of a full-size model, and PyTorch's outputs in io.safetensors.
 */
const FOLDER = process.env.DINOV2_REAL;

/** Relative to the largest value of the reference. */
const TOLERANCE = 2e-4;

/** Entries of io.safetensors: a photograph, how it is processed if not as the folder says, and which tokens the reference has kept. */
const ENTRIES: readonly { name: string; photo: string; options?: object; everyToken?: number }[] = [
  { name: 'astronaut', photo: 'astronaut.png' },
  { name: 'chelsea', photo: 'chelsea.png' },
  { name: 'coffee', photo: 'coffee.png' },
  {
    name: 'chelsea_518',
    photo: 'chelsea.png',
    options: { size: { shortest_edge: 518 }, crop_size: { height: 518, width: 518 } },
    everyToken: 8,
  },
  { name: 'coffee_280x364', photo: 'coffee.png', options: { size: { shortest_edge: 300 }, crop_size: { height: 280, width: 364 } } },
];

const photoPath = (file: string): string => fileURLToPath(new URL(`../examples/photos/${file}`, import.meta.url));

async function compareAll(folder: string): Promise<void> {
  const references = await readTensors(`${folder}/io.safetensors`);
  const processor = await AutoImageProcessor.from_pretrained(folder);
  const model = await AutoModel.from_pretrained(folder);
  const compare = async (name: string, pixel_values: Tensor, step = 1): Promise<void> => {
    const expected = references.get(`${name}.last_hidden_state`) as Tensor<'float32'>;
    const { last_hidden_state } = await model({ pixel_values });
    const tokens = last_hidden_state.at(0);
    const [count = 0, width = 0] = tokens.dims;
    assert.equal(expected.dims, [1, Math.ceil(count / step), width], name);
    const kept = tokens.data.filter((_, i) => Math.floor(i / width) % step === 0);
    assertWithinOfLargest(kept, expected.data, TOLERANCE, name);
  };
  try {
    assert.is(references.size, ENTRIES.length + 2, 'every entry is looked at');
    await compare('rocket', references.get('rocket.pixel_values') as Tensor); // a JPEG, which decoders decode differently
    for (const { name, photo, options, everyToken } of ENTRIES) {
      const { pixel_values } = await processor(photoPath(photo), options);
      await compare(name, pixel_values, everyToken);
    }
  } finally {
    model.dispose();
  }
}

const NAME = 'a full-size model gives every token of PyTorch’s, at 224, 518 and a size that is not square';
if (FOLDER) test(NAME, () => compareAll(FOLDER));
else test.skip(`${NAME} (set DINOV2_REAL to its folder)`);

test.run();
