import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError, NotFoundError } from '../../src/errors.ts';
import { AutoConfig, Dinov2Config, type Dinov2ConfigFields, Dinov2WithRegistersConfig } from '../../src/models/config.ts';
import { goldenPath, refuses, valueOrNamedError, withFolder } from '../helpers.ts';

const json = (value: unknown): { 'config.json': Uint8Array } => ({ 'config.json': new TextEncoder().encode(JSON.stringify(value)) });
const refused = (fields: unknown, ...parts: string[]): Promise<void> =>
  refuses(() => new Dinov2Config(fields as Dinov2ConfigFields), ConfigError, ...parts);

test('every field has the default of transformers v4.37.2', () => {
  const stage_names = ['stem', ...Array.from({ length: 12 }, (_, i) => `stage${i + 1}`)];
  assert.equal(
    { ...new Dinov2Config() },
    {
      hidden_size: 768,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      mlp_ratio: 4,
      hidden_act: 'gelu',
      hidden_dropout_prob: 0,
      attention_probs_dropout_prob: 0,
      drop_path_rate: 0,
      initializer_range: 0.02,
      layer_norm_eps: 1e-6,
      image_size: 224,
      patch_size: 16,
      num_channels: 3,
      qkv_bias: true,
      layerscale_value: 1,
      use_swiglu_ffn: false,
      stage_names,
      out_features: ['stage12'],
      out_indices: [12],
      apply_layernorm: true,
      reshape_hidden_states: true,
      use_mask_token: true,
      id2label: { 0: 'LABEL_0', 1: 'LABEL_1' },
      label2id: { LABEL_0: 0, LABEL_1: 1 },
      problem_type: null,
      classifier_layers: 1, // ours
      output_attentions: false,
      output_hidden_states: false,
      return_dict: true,
    },
  );
});

test('a classifier on several layers is a field of ours, written where it is not 1', async () => {
  assert.not('classifier_layers' in new Dinov2Config().to_dict());
  assert.is(new Dinov2Config({ classifier_layers: 4 }).to_dict().classifier_layers, 4);
  for (const wrong of [0, 13, 1.5, '4']) {
    await refuses(() => new Dinov2Config({ classifier_layers: wrong as number }), ConfigError, '"classifier_layers"', 'from 1 to 12');
  }
});

test('sizes that models need follow from the fields', () => {
  const base = new Dinov2Config({ patch_size: 14, image_size: 518 });
  assert.equal([base.headSize, base.mlpSize, base.patchSize, base.imageSize, base.grid], [64, 3072, [14, 14], [518, 518], [37, 37]]);
  const giant = new Dinov2Config({ hidden_size: 1536, num_attention_heads: 24, use_swiglu_ffn: true });
  assert.is(giant.swigluSize, 4096);
  const odd = new Dinov2Config({ hidden_size: 39, num_attention_heads: 3, mlp_ratio: 2.7, image_size: [30, 50], patch_size: [14, 10] });
  assert.equal([odd.headSize, odd.mlpSize, odd.swigluSize, odd.grid], [13, 105, 72, [2, 5]]);
  assert.is(new Dinov2Config({ return_dict: false }).use_return_dict, false);
});

for (const name of [
  'encoder',
  'encoder-swiglu',
  'encoder-odd',
  'encoder-act-relu',
  'classify-inferred',
  'classify-regression',
  'backbone-features-raw',
]) {
  test(`the config.json of ${name}, which transformers wrote, is read and written back unchanged`, async () => {
    const written = JSON.parse(readFileSync(goldenPath(`${name}/config.json`), 'utf8'));
    const config = await Dinov2Config.from_pretrained(goldenPath(name));
    assert.equal(config.to_dict(), written);
    assert.equal((await AutoConfig.from_pretrained(goldenPath(name))).to_dict(), written);
    await withFolder(async (folder) => {
      await config.save_pretrained(join(folder, 'new'));
      const text = readFileSync(join(folder, 'new', 'config.json'), 'utf8');
      assert.is(text, `${JSON.stringify(written, null, 2)}\n`); // and the keys of `written` are sorted
    });
  });
}

test('a wrong type is refused with field, expected and found', async () => {
  await refused({ hidden_size: 'abc' }, 'config "hidden_size": expected a positive integer, found "abc"');
  const cases: [string, unknown, string][] = [
    ['hidden_size', 1.5, 'a positive integer'],
    ['hidden_size', null, 'a positive integer'],
    ['hidden_size', Number.NaN, 'a positive integer'],
    ['num_hidden_layers', 0, 'an integer from 1 to 1000'],
    ['num_hidden_layers', 1e9, 'an integer from 1 to 1000'],
    ['num_attention_heads', -12, 'a positive integer'],
    ['mlp_ratio', 0, 'a positive number'],
    ['mlp_ratio', '4', 'a positive number'],
    ['hidden_act', 'tanh', '"gelu" or "relu"'],
    ['hidden_dropout_prob', 1.1, 'a number from 0 to 1'],
    ['attention_probs_dropout_prob', -0.1, 'a number from 0 to 1'],
    ['drop_path_rate', true, 'a number from 0 to 1'],
    ['initializer_range', -1, 'a number of at least 0'],
    ['layer_norm_eps', Number.POSITIVE_INFINITY, 'a number of at least 0'],
    ['layerscale_value', Number.NaN, 'a number'],
    ['image_size', [224], 'a pair of them'],
    ['image_size', [224, 0], 'a pair of them'],
    ['patch_size', '14', 'a pair of them'],
    ['num_channels', 0, 'a positive integer'],
    ['qkv_bias', 1, 'true or false'],
    ['use_swiglu_ffn', 'false', 'true or false'],
    ['apply_layernorm', null, 'true or false'],
    ['reshape_hidden_states', 0, 'true or false'],
    ['use_mask_token', {}, 'true or false'],
    ['out_features', 'stage1', 'an array of strings, or null'],
    ['out_indices', [1.5], 'an array of integers, or null'],
    ['id2label', ['cat'], 'labels by number'],
    ['id2label', { cat: 'cat' }, 'labels by number'],
    ['id2label', { 0: 7 }, 'labels by number'],
    ['label2id', { cat: '0' }, 'numbers by label'],
    ['num_labels', -1, 'an integer from 0 to 1000000'],
    ['num_labels', 1e12, 'an integer from 0 to 1000000'],
    ['problem_type', 'classification', '"regression" or "single_label_classification" or "multi_label_classification", or null'],
    ['output_attentions', 'yes', 'true or false'],
    ['output_hidden_states', 1, 'true or false'],
    ['return_dict', null, 'true or false'],
    ['model_type', 'vit', '"dinov2"'],
  ];
  for (const [field, value, expected] of cases) {
    const found = typeof value === 'number' ? String(value) : JSON.stringify(value);
    await refused({ [field]: value }, `config "${field}": expected`, expected, `found ${found}`);
  }
  for (const fields of [null, [], 'dinov2', 7, new Map()]) await refused(fields, 'expected an object');
});

test('fields that do not go together are refused by name', async () => {
  await refused({ num_attention_heads: 7 }, 'config "num_attention_heads": expected a divisor of hidden_size 768, found 7');
  await refused({ image_size: 10 }, 'config "image_size": expected at least one patch of 16, found 10');
  await refused({ image_size: [32, 10] }, 'found [32,10]');
  await refused({ mlp_ratio: 1e-9 }, 'config "mlp_ratio"', 'hidden_size 768', 'found 1e-9');
  await refused({ mlp_ratio: 1e300 }, 'config "mlp_ratio"');
  await refused({ hidden_size: 1, num_attention_heads: 1, mlp_ratio: 1, use_swiglu_ffn: true }, 'config "mlp_ratio"');
  await refused({ label2id: { cat: 0 } }, 'config "label2id": expected id2label beside it');
});

test('stages are given by name or by number, and each follows from the other', () => {
  const stages = (out_features?: string[] | null, out_indices?: number[] | null): unknown => {
    const config = new Dinov2Config({
      num_hidden_layers: 3,
      ...(out_features !== undefined && { out_features }),
      ...(out_indices !== undefined && { out_indices }),
    });
    return [config.out_features, config.out_indices];
  };
  assert.equal(stages(), [['stage3'], [3]]);
  assert.equal(stages(null, null), [['stage3'], [3]]);
  assert.equal(stages(['stem', 'stage2']), [
    ['stem', 'stage2'],
    [0, 2],
  ]);
  assert.equal(stages(null, [0, 2]), [
    ['stem', 'stage2'],
    [0, 2],
  ]);
  assert.equal(stages(undefined, [-4, -1]), [
    ['stem', 'stage3'],
    [-4, -1],
  ]);
  assert.equal(stages(['stem', 'stage3'], [0, -1]), [
    ['stem', 'stage3'],
    [0, -1],
  ]);
  assert.equal(stages([]), [[], []]);
});

test('stages that are unknown, disagree or repeat are refused', async () => {
  await refused({ out_features: ['stage1', 'stage13'] }, 'config "out_features"', '"stage1" to "stage12"', 'found "stage13"');
  await refused({ out_indices: [13] }, 'config "out_indices"', 'from -13 to 12', 'found 13');
  await refused({ out_indices: [-14] }, 'found -14');
  await refused({ out_features: ['stage1'], out_indices: [2] }, 'config "out_features"', 'expected ["stage2"]', 'found ["stage1"]');
  await refused({ out_features: ['stage1'], out_indices: [1, 2] }, 'expected ["stage1","stage2"]');
  await refused({ out_features: ['stage1', 'stage1'] }, 'each stage once');
  await refused({ out_indices: [12, -1] }, 'config "out_indices"', 'each stage once', 'found [12,-1]');
});

test('the number of labels follows id2label, as in PretrainedConfig', () => {
  const named = new Dinov2Config({ id2label: { 0: 'cat', 1: 'dog', 2: 'cat' }, num_labels: 7 });
  assert.is(named.num_labels, 3);
  assert.equal(named.label2id, { cat: 2, dog: 1 });
  assert.is(named.id2label[1], 'dog');
  const numbered = new Dinov2Config({ num_labels: 3 });
  assert.equal(numbered.id2label, { 0: 'LABEL_0', 1: 'LABEL_1', 2: 'LABEL_2' });
  assert.equal(numbered.label2id, { LABEL_0: 0, LABEL_1: 1, LABEL_2: 2 });
  assert.is(new Dinov2Config({ num_labels: 0 }).num_labels, 0);
  assert.is(new Dinov2Config(new Dinov2Config({ num_labels: 0 }).to_dict()).num_labels, 0);
});

test('unknown fields are kept at every depth and written back; old ones are without effect', () => {
  const unknown = { intermediate_size: 17, architectures: ['Dinov2Model'], extra: { deep: [1, { a: null }] }, torch_dtype: 'float32' };
  const config = new Dinov2Config(unknown);
  const { intermediate_size, architectures, extra, torch_dtype } = config.to_dict();
  assert.equal({ intermediate_size, architectures, extra, torch_dtype }, unknown);
  assert.is(config.mlpSize, 3072);
  (extra as typeof unknown.extra).deep.length = 0;
  unknown.extra.deep.length = 0;
  assert.equal(config.to_dict().extra, { deep: [1, { a: null }] });
});

test('what JSON cannot hold is refused by name', async () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  for (const value of [() => 1, 1n, Symbol('s'), Number.NaN, new Date(0), cycle, [undefined]]) {
    await refused({ mine: value }, 'config "mine": expected a value that JSON can hold');
  }
  assert.is('mine' in new Dinov2Config({ mine: undefined }).to_dict(), false);
});

test('a configuration does not change with the object it was made from', () => {
  const image_size: [number, number] = [224, 224];
  const config = new Dinov2Config({ image_size });
  image_size[0] = 1;
  assert.equal(config.image_size, [224, 224]);
});

test('fields of every model are written only where they differ from the default', () => {
  const all = {
    problem_type: 'regression',
    output_attentions: true,
    output_hidden_states: true,
    return_dict: false,
    num_labels: 1,
  } as const;
  const { problem_type, output_attentions, output_hidden_states, return_dict, id2label } = new Dinov2Config(all).to_dict();
  assert.equal(
    [problem_type, output_attentions, output_hidden_states, return_dict, id2label],
    ['regression', true, true, false, { 0: 'LABEL_0' }],
  );
  for (const field of ['problem_type', 'output_attentions', 'return_dict', 'id2label', 'label2id']) {
    assert.not.ok(field in new Dinov2Config().to_dict(), field);
  }
});

test('an override takes the place of what the file says in other words', async () => {
  const file = json({
    num_hidden_layers: 4,
    out_features: ['stage4'],
    out_indices: [4],
    id2label: { 0: 'a', 1: 'b', 2: 'c' },
    label2id: { a: 0, b: 1, c: 2 },
  });
  const stages = async (overrides: Dinov2ConfigFields): Promise<unknown> =>
    (await Dinov2Config.from_pretrained(file, overrides)).out_features;
  assert.equal(await stages({ out_indices: [1, 2] }), ['stage1', 'stage2']);
  assert.equal(await stages({ out_features: ['stem'] }), ['stem']);
  assert.equal(await stages({ num_hidden_layers: 2 }), ['stage2']);
  assert.equal(await stages({ num_hidden_layers: 4 }), ['stage4']);
  const labels = async (overrides: Dinov2ConfigFields): Promise<unknown> => (await Dinov2Config.from_pretrained(file, overrides)).label2id;
  assert.equal(await labels({ num_labels: 2 }), { LABEL_0: 0, LABEL_1: 1 });
  assert.equal(await labels({ num_labels: 3 }), { a: 0, b: 1, c: 2 });
  assert.equal(await labels({ id2label: { 0: 'x' } }), { x: 0 });
  assert.equal(await labels({}), { a: 0, b: 1, c: 2 });
});

test('errors in a file name the file', () =>
  withFolder(async (folder) => {
    await refuses(() => Dinov2Config.from_pretrained(folder), NotFoundError, folder, 'config.json');
    const write = (text: string): void => writeFileSync(join(folder, 'config.json'), text);
    write('{"hidden_size": "abc"}');
    await refuses(() => Dinov2Config.from_pretrained(folder), ConfigError, folder, 'config.json', '"hidden_size"', 'found "abc"');
    await refuses(() => Dinov2Config.from_pretrained(folder, { hidden_size: 7 }), ConfigError, folder, 'with overrides', 'divisor');
    write('{');
    await refuses(() => Dinov2Config.from_pretrained(folder), ConfigError, folder, 'line 1');
    write('[]');
    await refuses(() => Dinov2Config.from_pretrained(folder), ConfigError, folder, 'expected an object, found []');
  }));

test('the kind of model is chosen by model_type', async () => {
  assert.instance(await AutoConfig.from_pretrained(json({ model_type: 'dinov2' })), Dinov2Config);
  await refuses(
    () => AutoConfig.from_pretrained(json({ model_type: 'vit' })),
    ConfigError,
    'config.json',
    '"model_type"',
    '"dinov2"',
    'found "vit"',
  );
  await refuses(() => AutoConfig.from_pretrained(json({})), ConfigError, '"model_type"', 'found nothing');
});

test('the configuration with registers has their number, and the position rule of its authors', async () => {
  const config = await AutoConfig.from_pretrained(goldenPath('registers'), { num_register_tokens: 5 });
  assert.instance(config, Dinov2WithRegistersConfig);
  assert.equal([config.registers, config.posEmbed], [5, 'antialias']);
  assert.equal([new Dinov2Config().registers, new Dinov2Config().posEmbed], [0, 'offset']);
  assert.is(new Dinov2WithRegistersConfig().num_register_tokens, 4);
  const { use_mask_token, ...fields } = config.to_dict();
  assert.is(use_mask_token, true);
  assert.equal(fields, { ...JSON.parse(readFileSync(goldenPath('registers/config.json'), 'utf8')), num_register_tokens: 5 });
  await refuses(() => new Dinov2WithRegistersConfig({ num_register_tokens: -1 }), ConfigError, 'num_register_tokens', '-1');
});

/** Values near what fields take, and far from it. */
const anyValue = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    1,
    2,
    3,
    12,
    14,
    224,
    0.5,
    -1,
    1e300,
    true,
    false,
    null,
    '',
    'gelu',
    'stem',
    'stage1',
    [1],
    ['stem'],
    [14, 28],
    { 0: 'a' },
    { a: 0 },
  ),
  fc.jsonValue(),
);
const anyKnown = fc.dictionary(fc.constantFrom(...Object.keys(new Dinov2Config()), 'num_labels', 'model_type'), anyValue, { maxKeys: 4 });
const anyUnknown = fc.dictionary(
  fc.constantFrom('__proto__', 'constructor', 'toString', 'mlpSize', 'toJSON', 'name', '', '7'),
  fc.jsonValue(),
  { maxKeys: 3 },
);

test('any object makes a configuration that survives a round trip, or an error of its own', async () => {
  let made = 0;
  await fc.assert(
    fc.asyncProperty(anyKnown, anyUnknown, async (known, unknown) => {
      const config = await valueOrNamedError(() => new Dinov2Config({ ...unknown, ...known } as Dinov2ConfigFields));
      if (!config) return;
      made += 1;
      const dict = config.to_dict();
      for (const [key, value] of Object.entries(unknown))
        assert.ok(isDeepStrictEqual(Object.getOwnPropertyDescriptor(dict, key)?.value, value), key);
      const again = new Dinov2Config(dict);
      assert.ok(isDeepStrictEqual([again, again.to_dict()], [config, dict]));
      const read = await AutoConfig.from_pretrained(json(dict));
      assert.ok(isDeepStrictEqual(read.to_dict(), JSON.parse(JSON.stringify(dict))));
    }),
    { seed: 7, numRuns: 1500 },
  );
  assert.ok(made > 300, `${made} of 1500 made`);
});

test('no field can change what all objects inherit', async () => {
  const hostile =
    '{"model_type": "dinov2", "__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "label2id": {"__proto__": 0}, "id2label": {"0": "__proto__"}}';
  const config = await AutoConfig.from_pretrained({ 'config.json': new TextEncoder().encode(hostile) });
  assert.is(Object.getPrototypeOf(config), Dinov2Config.prototype);
  assert.is(Object.getPrototypeOf(config.to_dict()), Object.prototype);
  assert.is(({} as Record<string, unknown>).polluted, undefined);
  assert.is(JSON.stringify(config).includes('"__proto__":{"polluted":1}'), true);
});

test.run();
