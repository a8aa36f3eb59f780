import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DTypeError, ShapeError } from '../../src/errors.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from '../../src/models/dinov2.ts';
import { type DType, Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { pixels, TINY } from './helpers.ts';

const model = new Dinov2Model(TINY);
const classifier = new Dinov2ForImageClassification(TINY);
const backbone = new Dinov2Backbone(TINY);

type Anything = (...args: unknown[]) => Promise<unknown>;
const run = model as unknown as Anything;
const classify = classifier as unknown as Anything;
const zeros = (dtype: DType, ...dims: number[]): Tensor => new Tensor(dtype, new Array(dims.reduce((n, d) => n * d, 1)).fill(0), dims);
const [PIXELS] = [pixels(1)];

test('pixels are given alone, by name, or with options beside them', async () => {
  const { data } = (await model(PIXELS)).last_hidden_state;
  assertSameBits((await model({ pixel_values: PIXELS })).last_hidden_state.data, data);
  assert.is((await model({ pixel_values: PIXELS, output_attentions: true })).attentions?.length, 3);
  assert.is((await model(PIXELS, { output_attentions: true })).attentions?.length, 3);
  assert.is(
    (await model({ pixel_values: PIXELS, output_attentions: true }, { output_attentions: false })).attentions,
    undefined,
    'options win',
  );
});

test('other things that an image processor gives beside the pixels are passed over', async () => {
  const more = { pixel_values: PIXELS, original_sizes: [[20, 20]] };
  assertSameBits((await model(more)).last_hidden_state.data, (await model(PIXELS)).last_hidden_state.data);
});

test('what is no input is refused', async () => {
  for (const wrong of [undefined, null, 'cat.png', 3])
    await refuses(() => run(wrong), ArgumentError, 'inputs: expected a tensor or an object with pixel_values');
  for (const wrong of [{}, [], { pixel_values: [1, 2] }, { pixel_values: new Float32Array(3) }, { pixels: PIXELS }]) {
    await refuses(() => run(wrong), ArgumentError, 'pixel_values: expected a Tensor');
  }
});

test('pixels are float32, or 16-bit floats that are widened', async () => {
  for (const dtype of ['float16', 'bfloat16'] as const) {
    const narrow = PIXELS.to(dtype);
    assertSameBits((await model(narrow)).last_hidden_state.data, (await model(narrow.to('float32'))).last_hidden_state.data);
  }
  for (const dtype of ['uint8', 'int8', 'int32', 'int64', 'bool'] as const) {
    await refuses(() => run(zeros(dtype, 1, 2, 20, 20)), DTypeError, `pixel_values: expected float32, found ${dtype}`, 'image processor');
  }
});

test('pixels of another shape are refused with both shapes', async () => {
  for (const dims of [[2, 20, 20], [1, 3, 20, 20], [1, 1, 2, 20, 20], [], [800]]) {
    await refuses(() => run(zeros('float32', ...dims)), ShapeError, 'pixel_values: expected [*, 2, *, *]', `found [${dims.join(', ')}]`);
  }
  for (const dims of [
    [0, 2, 20, 20],
    [1, 2, 3, 20],
    [1, 2, 20, 3],
    [1, 2, 0, 0],
  ]) {
    await refuses(
      () => run(zeros('float32', ...dims)),
      ShapeError,
      'pixel_values: expected a batch of at least 1',
      'one patch of 4 x 4',
      `[${dims}]`,
    );
  }
});

test('the smallest picture is one patch', async () => {
  assert.equal((await model(pixels(1, 4))).last_hidden_state.dims, [1, 2, 12]);
});

test('an option that the model does not take is refused with those it takes', async () => {
  await refuses(
    () => run(PIXELS, { output_attention: true }),
    ArgumentError,
    'output_attentions',
    'bool_masked_pos',
    'found "output_attention"',
  );
  await refuses(() => run(PIXELS, { labels: [1] }), ArgumentError, 'found "labels"');
  await refuses(() => classify(PIXELS, { bool_masked_pos: zeros('bool', 1, 25) }), ArgumentError, 'found "bool_masked_pos"');
  await refuses(() => (backbone as unknown as Anything)(PIXELS, { head_mask: zeros('float32', 3) }), ArgumentError, 'found "head_mask"');
});

test('an option of the wrong type is refused by name', async () => {
  for (const flag of ['output_attentions', 'output_hidden_states', 'return_dict']) {
    await refuses(() => run(PIXELS, { [flag]: 'yes' }), ArgumentError, `${flag}: expected true or false, found "yes"`);
    await refuses(() => run({ pixel_values: PIXELS, [flag]: 1 }), ArgumentError, flag);
  }
  for (const key of ['head_mask', 'bool_masked_pos'])
    await refuses(() => run(PIXELS, { [key]: [1, 0] }), ArgumentError, `${key}: expected a Tensor`);
  for (const signal of [5, {}, 'now']) await refuses(() => run(PIXELS, { signal }), ArgumentError, 'signal: expected an AbortSignal');
  await refuses(() => classify(PIXELS, { labels: 'tabby' }), ArgumentError, 'labels');
});

test('masks of another shape are refused with both shapes', async () => {
  await refuses(() => run(PIXELS, { head_mask: zeros('float32', 2) }), ShapeError, 'head_mask: expected [3], found [2]');
  await refuses(() => run(PIXELS, { head_mask: zeros('float32', 2, 3) }), ShapeError, 'head_mask: expected [3, 3], found [2, 3]');
  await refuses(() => run(PIXELS, { head_mask: zeros('float32', 3, 1, 3) }), ShapeError, 'head_mask: expected [3, 3], found [3, 1, 3]');
  await refuses(
    () => run(PIXELS, { bool_masked_pos: zeros('bool', 1, 24) }),
    ShapeError,
    'bool_masked_pos: expected [1, 25], found [1, 24]',
  );
  await refuses(() => run(PIXELS, { bool_masked_pos: zeros('bool', 25) }), ShapeError, 'bool_masked_pos: expected [1, 25], found [25]');
});

test('a model without mask token refuses masked positions', async () => {
  const bare = new Dinov2Model({ ...TINY, use_mask_token: false });
  await refuses(() => bare(PIXELS, { bool_masked_pos: zeros('bool', 1, 25) }), ArgumentError, 'bool_masked_pos', 'no mask token');
});

test('null and undefined are as good as not given', async () => {
  const given = { head_mask: null, bool_masked_pos: undefined, output_attentions: undefined, return_dict: null };
  assertSameBits(
    ((await run(PIXELS, given)) as { last_hidden_state: Tensor }).last_hidden_state.data,
    (await model(PIXELS)).last_hidden_state.data,
  );
});

test.run();
