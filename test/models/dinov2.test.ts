import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ConfigError } from '../../src/errors.ts';
import { Dinov2Config, type Dinov2ConfigFields } from '../../src/models/config.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from '../../src/models/dinov2.ts';
import type { ModelOptions } from '../../src/models/pretrained.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { flatten, pixels, TINY } from './helpers.ts';

const EVERYTHING = { output_hidden_states: true, output_attentions: true };
const weights = (model: Dinov2Model): Map<string, Float32> => new Map(model.weights());

test('a configuration alone builds a model as transformers initialises it', () => {
  const all = weights(new Dinov2Model({ ...TINY, layerscale_value: 0.3 }));
  const of = (pattern: RegExp): number[] => [...all].filter(([name]) => pattern.test(name)).flatMap(([, { data }]) => [...data]);
  assert.is(all.size, 4 + 1 + 3 * 18 + 2);
  assert.ok(of(/norm.*weight$/).every((x) => x === 1));
  assert.ok(of(/bias$/).every((x) => x === 0));
  assert.ok(of(/mask_token$/).every((x) => x === 0));
  assert.ok(of(/lambda1$/).every((x) => x === Math.fround(0.3)));
  const random = of(/(cls_token|position_embeddings|projection\.weight|query\.weight|fc1\.weight)$/);
  const deviation = Math.sqrt(reference.sum(random.length, (i) => (random[i] as number) ** 2) / random.length);
  assert.ok(Math.abs(deviation / TINY.initializer_range - 1) < 0.1, `deviation ${deviation}`);
  for (const [name, { data }] of all) assert.ok(data.every(Number.isFinite), name);
});

test('a seed gives the same weights again, and another seed others', () => {
  const make = (options?: ModelOptions) => weights(new Dinov2Model(TINY, options));
  const [zero, one] = [make({ seed: 0 }), make({ seed: 1 })];
  for (const [name, { data }] of make()) assertSameBits(data, zero.get(name)?.data as Float32Array, name);
  assert.not.equal(zero.get('embeddings.cls_token')?.data, one.get('embeddings.cls_token')?.data);
  assert.not.equal(zero.get('encoder.layer.0.mlp.fc1.weight')?.data, zero.get('encoder.layer.1.mlp.fc1.weight')?.data);
});

test('the default configuration is that of transformers v4.37.2', () => {
  assert.equal(new Dinov2Model(new Dinov2Config(TINY)).config, new Dinov2Model(TINY).config);
  assert.is(new Dinov2Model({ hidden_size: 24, num_hidden_layers: 1 }).config.patch_size, 16);
});

test('options and configurations that are none are refused', async () => {
  const make = (config: Dinov2ConfigFields, options: object) => new Dinov2Model(config, options);
  await refuses(
    () => make(TINY, { posEmbed: 'nearest' }),
    ArgumentError,
    'posEmbed: expected one of offset, size, antialias, found "nearest"',
  );
  await refuses(() => make(TINY, { build: 'avx' }), ArgumentError, 'build');
  await refuses(() => make(TINY, { memoryLimit: '1GB' }), ArgumentError, 'memoryLimit');
  for (const seed of ['a', Number.NaN, 0.5]) await refuses(() => make(TINY, { seed }), ArgumentError, 'seed');
  await refuses(() => make({ ...TINY, num_attention_heads: 5 }, {}), ConfigError, 'num_attention_heads');
});

test('configurations off the beaten track run', async () => {
  const variants = {
    swiglu: { use_swiglu_ffn: true },
    'no bias': { qkv_bias: false },
    'no mask token': { use_mask_token: false },
    'one head': { num_attention_heads: 1 },
    'one layer': { num_hidden_layers: 1 },
    'large epsilon': { layer_norm_eps: 0.1 },
  };
  for (const [what, variant] of Object.entries(variants)) {
    const { data, dims } = (await new Dinov2Model({ ...TINY, ...variant })(pixels(1))).last_hidden_state;
    assert.equal(dims, [1, 26, 12], what);
    assert.ok(data.every(Number.isFinite), what);
  }
});

test('return_dict false gives the values in the order of transformers', async () => {
  const picture = pixels(2);
  const tuple = { ...EVERYTHING, return_dict: false };
  const cases: [Dinov2Model | Dinov2ForImageClassification | Dinov2Backbone, object, string[]][] = [
    [new Dinov2Model(TINY), {}, ['last_hidden_state', 'pooler_output', 'hidden_states', 'attentions']],
    [new Dinov2ForImageClassification(TINY), { labels: [1, 2] }, ['loss', 'logits', 'hidden_states', 'attentions']],
    [new Dinov2ForImageClassification(TINY), {}, ['logits', 'hidden_states', 'attentions']],
    [new Dinov2Backbone(TINY), {}, ['feature_maps', 'hidden_states', 'attentions']],
  ];
  for (const [model, options, order] of cases) {
    const call = model as unknown as (x: Tensor, o: object) => Promise<object>;
    const named = (await call(picture, { ...EVERYTHING, ...options })) as Record<string, unknown>;
    const values = (await call(picture, { ...tuple, ...options })) as unknown[];
    assert.ok(Array.isArray(values));
    assert.equal(Object.keys(named), order);
    assert.equal(
      values,
      order.map((key) => named[key]),
    );
    const plain = (await call(picture, { return_dict: false, ...options })) as unknown[];
    assert.equal(
      plain,
      order.filter((key) => !/hidden_states|attentions/.test(key)).map((key) => named[key]),
    );
  }
});

test('what a call does not say the configuration says', async () => {
  const model = new Dinov2Model({ ...TINY, ...EVERYTHING, return_dict: false });
  assert.is(((await model(pixels(1))) as unknown as unknown[]).length, 4);
  assert.equal(Object.keys(await model(pixels(1), { return_dict: true, output_attentions: false })), [
    'last_hidden_state',
    'pooler_output',
    'hidden_states',
  ]);
});

test('the classifier sees the same tokens as the model', async () => {
  const [model, classifier] = [new Dinov2Model(TINY), new Dinov2ForImageClassification(TINY)];
  const picture = pixels(2, 12, 24);
  const { last_hidden_state } = await model(picture);
  const { logits } = await classifier(picture);
  const all = new Map(classifier.weights());
  const [weight, bias] = ['classifier.weight', 'classifier.bias'].map((name) => all.get(name)?.data as Float32Array);
  assert.equal(logits.dims, [2, 5]);
  for (let i = 0; i < 2; i++) {
    const tokens = last_hidden_state.at(i);
    const features = [...tokens.at(0).data, ...reference.mean(tokens.slice(1).data, 18, 12)];
    const expected = reference.linear(features, weight as Float32Array, bias, { rows: 1, inputs: 24, outputs: 5 });
    assertWithin(logits.at(i).data, expected, 1e-5, `picture ${i}`);
  }
});

test('a classifier without labels gives the features', async () => {
  const classifier = new Dinov2ForImageClassification({ ...TINY, num_labels: 0 });
  assert.equal((await classifier(pixels(2))).logits.dims, [2, 24]);
  assert.not.ok([...classifier.weights()].some(([name]) => name.startsWith('classifier')));
});

test('labels give a loss, and a wrong label leaves the model usable', async () => {
  const classifier = new Dinov2ForImageClassification(TINY);
  const picture = pixels(2);
  const { logits } = await classifier(picture);
  const { loss } = await classifier(picture, { labels: [4, 0] });
  const rows = [0, 1].map((i) => reference.softmax(logits.at(i).data, 5));
  assertWithin(loss?.data as Float32Array, [-(Math.log(rows[0]?.[4] as number) + Math.log(rows[1]?.[0] as number)) / 2], 1e-5);
  await refuses(() => classifier(picture, { labels: [0, 5] }), ArgumentError, 'labels[1]: expected a class from 0 to 4', 'found 5');
  assertSameBits((await classifier(picture)).logits.data, logits.data);
});

test('a backbone gives the stages that were asked for, in their order, from the stem to the last', async () => {
  const picture = pixels(2, 12, 24);
  const stages = ['stage3', 'stem', 'stage1'];
  const config = { ...TINY, out_features: stages, apply_layernorm: false, reshape_hidden_states: false };
  const { hidden_states = [] } = await new Dinov2Model(TINY)(picture, { output_hidden_states: true });
  const { feature_maps } = await new Dinov2Backbone(config)(picture);
  assert.equal(
    feature_maps.map(({ data }) => data),
    [0, 1, 3].map((i) => hidden_states[i]?.data),
  );
});

test('feature maps are the patch tokens, as channels, after the final layer norm', async () => {
  const picture = pixels(2, 12, 24);
  const { feature_maps } = await new Dinov2Backbone(TINY)(picture);
  const { last_hidden_state } = await new Dinov2Model(TINY)(picture);
  assert.equal(
    feature_maps.map(({ dims }) => dims),
    [[2, 12, 3, 6]],
  );
  for (let i = 0; i < 2; i++) {
    const expected = reference.transpose(last_hidden_state.at(i).slice(1).data, 18, 12);
    assertSameBits(feature_maps[0]?.at(i).data as Float32Array, Float32Array.from(expected));
  }
});

test('a backbone by negative indices is the same as by positive ones', async () => {
  const maps = async (out_indices: number[]): Promise<Map<string, Tensor>> =>
    flatten(await new Dinov2Backbone({ ...TINY, out_indices })(pixels(1)));
  assert.equal(
    [...(await maps([-1, 0]))].map(([, t]) => (t as Float32).data),
    [...(await maps([0, 3]))].map(([, t]) => (t as Float32).data),
  );
});

test.run();
