import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError, NotFoundError } from '../../src/errors.ts';
import { AutoBackbone, AutoModel, AutoModelForImageClassification } from '../../src/models/auto.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from '../../src/models/dinov2.ts';
import { refuses, withFolder } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { pixels, TINY } from './helpers.ts';

test('each Auto class loads its kind of model from a checkpoint with or without a head', async () => {
  await withFolder(async (folder) => {
    const classifier = new Dinov2ForImageClassification(TINY, { seed: 3 });
    await classifier.save_pretrained(folder);
    const model = await AutoModel.from_pretrained(folder);
    const backbone = await AutoBackbone.from_pretrained(folder, { config: { out_features: ['stage1'] } });
    const again = await AutoModelForImageClassification.from_pretrained(folder);
    assert.equal(
      [model, backbone, again].map((m) => m.constructor),
      [Dinov2Model, Dinov2Backbone, Dinov2ForImageClassification],
    );
    assertSameBits((await again(pixels(1))).logits.data, (await classifier(pixels(1))).logits.data);
    assert.is((await backbone(pixels(1))).feature_maps.length, 1);
    assert.ok(backbone.config.out_features.includes('stage1'), 'overrides reach the model');
  });
});

test('each file of a model is asked for once, by who chooses the class and the class together', async () => {
  await withFolder(async (folder) => {
    await new Dinov2ForImageClassification(TINY, { seed: 3 }).save_pretrained(folder);
    const asked: string[] = [];
    const file = (name: string) => () => {
      asked.push(name);
      const bytes = readFileSync(`${folder}/${name}`);
      return new Response(bytes, { headers: { 'content-length': String(bytes.length) } });
    };
    const files = { 'config.json': file('config.json'), 'model.safetensors': file('model.safetensors') };
    const model = await AutoModelForImageClassification.from_pretrained(files);
    assert.equal(asked, ['config.json', 'model.safetensors']);
    model.dispose();
  });
});

test('another model_type, or none, is refused with those there are', async () => {
  const files = (config: object) => ({
    'config.json': new TextEncoder().encode(JSON.stringify(config)),
    'model.safetensors': new Uint8Array(8),
  });
  for (const auto of [AutoModel, AutoBackbone, AutoModelForImageClassification]) {
    await refuses(() => auto.from_pretrained(files({ model_type: 'vit' })), ConfigError, 'model_type', '"dinov2"', 'found "vit"');
    await refuses(() => auto.from_pretrained(files({})), ConfigError, 'model_type', 'found nothing');
    await refuses(() => auto.from_pretrained({ 'model.safetensors': new Uint8Array(8) }), NotFoundError, 'config.json');
  }
});

test.run();
