import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Dinov2Model } from '../../src/models/dinov2.ts';
import { Tensor } from '../../src/tensor/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { flatten, pixels, TINY } from './helpers.ts';

const model = new Dinov2Model(TINY);
const EVERYTHING = { output_hidden_states: true, output_attentions: true };

test('a picture has the same bits whatever its batch and its place in it', async () => {
  for (const [height, width] of [
    [20, 20],
    [13, 30],
  ] as const) {
    const batch = pixels(5, height, width);
    const all = flatten(await model(batch, EVERYTHING));
    for (let i = 0; i < 5; i++) {
      const alone = await model(batch.slice(i, i + 1), EVERYTHING);
      for (const [key, value] of flatten(alone))
        assertSameBits(value.data, all.get(key)?.slice(i, i + 1).data as Float32Array, `picture ${i}: ${key}`);
    }
  }
});

test('what was run before does not matter, NaN and infinities included', async () => {
  const picture = pixels(2, 24, 16);
  const first = flatten(await model(picture, EVERYTHING));
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
    for (const size of [24, 40]) await model(new Tensor('float32', pixels(2, size).data.fill(value), [2, 2, size, size]), EVERYTHING);
  }
  for (const [key, value] of flatten(await model(picture, EVERYTHING)))
    assertSameBits(value.data, first.get(key)?.data as Float32Array, key);
});

test('one NaN pixel makes every token NaN and stays in its picture', async () => {
  const batch = pixels(2);
  const clean = (await model(batch)).last_hidden_state;
  batch.data[5] = Number.NaN;
  const { last_hidden_state, pooler_output } = await model(batch);
  assert.ok(last_hidden_state.at(0).data.every(Number.isNaN));
  assert.ok(pooler_output.at(0).data.every(Number.isNaN));
  assertSameBits(last_hidden_state.at(1).data, clean.at(1).data);
});

test('asking for attentions or hidden states changes no bit of the rest', async () => {
  const picture = pixels(2, 12, 28);
  const plain = await model(picture);
  for (const options of [{ output_attentions: true }, { output_hidden_states: true }, EVERYTHING]) {
    const found = await model(picture, options);
    assertSameBits(found.last_hidden_state.data, plain.last_hidden_state.data);
    assertSameBits(found.pooler_output.data, plain.pooler_output.data);
  }
});

test('outputs have the shapes of transformers, and fit together', async () => {
  const { last_hidden_state, pooler_output, hidden_states = [], attentions = [] } = await model(pixels(2, 12, 28), EVERYTHING);
  const tokens = 1 + 3 * 7;
  assert.equal(
    [last_hidden_state.dims, pooler_output.dims],
    [
      [2, tokens, 12],
      [2, 12],
    ],
  );
  assert.equal(
    hidden_states.map(({ dims }) => dims),
    new Array(4).fill([2, tokens, 12]),
  );
  assert.equal(
    attentions.map(({ dims }) => dims),
    new Array(3).fill([2, 3, tokens, tokens]),
  );
  for (let i = 0; i < 2; i++) assertSameBits(pooler_output.at(i).data, last_hidden_state.at(i).at(0).data, 'the class token');
  // a new model's layer norm has weight 1 and bias 0
  const normed = reference.layerNorm((hidden_states.at(-1) as Float32).data, new Float32Array(12).fill(1), new Float32Array(12), 1e-6);
  assertWithin(last_hidden_state.data, normed, 1e-5, 'the last hidden state');
  for (const { data } of attentions) {
    for (let row = 0; row < data.length; row += tokens)
      assertWithin([reference.sum(tokens, (i) => data[row + i] as number)], [1], 1e-5, 'probabilities');
  }
});

test('pixels right of and below the last whole patch have no effect', async () => {
  const picture = pixels(1, 23, 23);
  const cut = new Tensor(
    'float32',
    picture.data.filter((_, i) => i % 23 < 20 && Math.floor(i / 23) % 23 < 20),
    [1, 2, 20, 20],
  );
  assertSameBits((await model(picture)).last_hidden_state.data, (await model(cut)).last_hidden_state.data);
});

test('positions are left alone for square pictures of the trained number of patches, and otherwise interpolated', async () => {
  const [offset, size] = [new Dinov2Model(TINY, { posEmbed: 'offset' }), new Dinov2Model(TINY, { posEmbed: 'size' })];
  const embed = async (m: Dinov2Model, picture: Float32): Promise<Float32Array> => {
    const { hidden_states = [] } = await m(picture, { output_hidden_states: true });
    return (hidden_states[0] as Float32).data;
  };
  assertSameBits(await embed(offset, pixels(1, 20)), await embed(size, pixels(1, 20)));
  // 5 x 5 patches too, but v4.37.2 looks at the pixels
  const oblong = pixels(1, 21, 20);
  assert.not.equal(await embed(offset, oblong), await embed(size, oblong));
  assert.not.equal(await embed(offset, pixels(1, 28)), await embed(size, pixels(1, 28)));
});

test('a model trained on pictures that are not square leaves positions alone at that size', async () => {
  const config = { ...TINY, image_size: [20, 12] as const, patch_size: [4, 2] as const };
  const [offset, antialias] = [new Dinov2Model(config), new Dinov2Model(config, { posEmbed: 'antialias' })];
  const run = async (m: Dinov2Model, height: number, width: number): Promise<Float32Array> =>
    (await m(pixels(1, height, width))).last_hidden_state.data;
  assert.is((await run(offset, 20, 12)).length, (1 + 5 * 6) * 12);
  assertSameBits(await run(offset, 20, 12), await run(antialias, 20, 12));
  assert.not.equal(await run(offset, 12, 20), await run(antialias, 12, 20));
});

test('a head mask of ones changes nothing, one for all layers is one for each', async () => {
  const picture = pixels(2);
  const plain = (await model(picture)).last_hidden_state.data;
  const mask = (values: number[], ...dims: number[]) => ({ head_mask: new Tensor('float32', values, dims) });
  assertSameBits((await model(picture, mask([1, 1, 1], 3))).last_hidden_state.data, plain);
  const once = (await model(picture, mask([1, 0, 0.5], 3))).last_hidden_state.data;
  const each = (await model(picture, mask([1, 0, 0.5, 1, 0, 0.5, 1, 0, 0.5], 3, 3))).last_hidden_state.data;
  assertSameBits(once, each);
  assert.not.equal(once, plain);
});

test('a head mask acts on its own layer and head', async () => {
  const picture = pixels(1);
  const plain = await model(picture, EVERYTHING);
  const values = new Float32Array(9).fill(1);
  values[3 + 2] = 0; // layer 1, head 2
  const masked = await model(picture, { ...EVERYTHING, head_mask: new Tensor('float32', values, [3, 3]) });
  const attention = (from: typeof plain, layer: number, head: number): Float32Array =>
    from.attentions?.[layer]?.at(0).at(head).data as Float32Array;
  const hidden = (from: typeof plain, layer: number): Float32Array => from.hidden_states?.[layer]?.data as Float32Array;
  assertSameBits(hidden(masked, 1), hidden(plain, 1), 'before the layer');
  assertSameBits(attention(masked, 1, 0), attention(plain, 1, 0), 'another head');
  assert.ok(attention(masked, 1, 2).every((p) => p === 0));
  assert.not.equal(hidden(masked, 2), hidden(plain, 2));
});

test('a masked patch is the mask token whatever its pixels, and a mask of zeros is none', async () => {
  const [picture, other] = [pixels(2), pixels(2)];
  const mask = new Float32Array(50);
  mask[25 + 1] = 1; // second picture, second patch: columns 4 to 7 of the first 4 rows
  for (const dtype of ['bool', 'uint8', 'int64', 'float32'] as const) {
    const bool_masked_pos = new Tensor('float32', mask, [2, 25]).to(dtype);
    const found = (await model(picture, { bool_masked_pos })).last_hidden_state.data;
    for (let row = 0; row < 4; row++) other.at(1).at(0).at(row).data.fill(9, 4, 8);
    assertSameBits((await model(other, { bool_masked_pos })).last_hidden_state.data, found, dtype);
    assert.not.equal((await model(other)).last_hidden_state.data, found);
  }
  const none = new Tensor('bool', new Uint8Array(50), [2, 25]);
  assertSameBits((await model(picture, { bool_masked_pos: none })).last_hidden_state.data, (await model(picture)).last_hidden_state.data);
});

test('both kernel builds that the host has agree to rounding', async () => {
  const build = new Dinov2Model(TINY, { build: 'simd' });
  assertWithin((await build(pixels(1))).last_hidden_state.data, (await model(pixels(1))).last_hidden_state.data, 1e-4);
});

test.run();
