import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, LimitError } from '../../src/errors.ts';
import {
  AutoImageProcessor,
  AutoModel,
  AutoModelForImageClassification,
  BitImageProcessor,
  Dinov2Model,
  EMBEDDED_MODEL,
} from '../../src/index.ts';
import { classify, embed, ImageTasks, LinearProbe } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses, withFolder } from '../helpers.ts';
import { randomNumbers } from '../image/helpers.ts';
import { assertSameBits } from '../reference/compare.ts';

const ROCKET = new Uint8Array(readFileSync(new URL('../../examples/photos/rocket.jpg', import.meta.url)));

test('one model gives the embeddings of AutoModel and the labels of the classifier, to the bit', async () => {
  const { pixel_values } = await (await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL))(ROCKET);
  using encoder = await AutoModel.from_pretrained(EMBEDDED_MODEL);
  using classifier = await AutoModelForImageClassification.from_pretrained(EMBEDDED_MODEL);
  const { last_hidden_state } = await encoder({ pixel_values });
  const { logits } = await classifier({ pixel_values });
  using tasks = await ImageTasks.open(EMBEDDED_MODEL);
  assert.equal(tasks.available, ['embed', 'classify']);
  for (const pooling of ['cls', 'mean', 'both'] as const) {
    const expected = embed(last_hidden_state, { pooling });
    assertSameBits((await tasks.embed(ROCKET, { pooling })).data, expected.data);
    const { embedding } = await tasks.run('embed', ROCKET, { pooling });
    assertSameBits(Float32Array.from(JSON.parse(JSON.stringify(embedding))), expected.data); // 9 digits are enough
  }
  const labels = classify(logits, classifier.config, { topK: 3 })[0];
  assert.equal(await tasks.classify(ROCKET, { top: 3 }), labels);
  assert.equal(await tasks.run('classify', ROCKET, { top: 3 }), {
    labels: labels?.map(({ label, score }) => ({ label, score: Number(score.toPrecision(9)) })),
  });
  assert.is((await tasks.run('classify', ROCKET)).labels.length, 5);
  assert.ok(tasks.memory > 0);
});

test('an encoder alone embeds, and with a fitted head classifies', async () => {
  await withFolder(async (folder) => {
    await AutoModel.from_pretrained(EMBEDDED_MODEL).then((encoder) => encoder.save_pretrained(folder).then(() => encoder.dispose()));
    await (await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL)).save_pretrained(folder);
    using alone = await ImageTasks.open(folder);
    assert.equal(alone.available, ['embed']);
    await refuses(() => alone.run('classify', ROCKET), ArgumentError, 'classify: expected a model with a classifier');

    const width = 2 * alone.config.hidden_size;
    const random = randomNumbers(7);
    const weight = new Tensor(
      'float32',
      Float32Array.from({ length: 2 * width }, () => random() - 0.5),
      [2, width],
    );
    const probe = new LinearProbe(weight, new Tensor('float32', [0, 0], [2]), ['day', 'night']);
    await probe.save(`${folder}/heads/head.safetensors`);
    using tasks = await ImageTasks.open(folder, { head: `${folder}/heads/head.safetensors` });
    const scores = probe.scores(await alone.embed(ROCKET, { pooling: 'both' })).data;
    const { labels } = await tasks.run('classify', ROCKET);
    assert.is(labels.length, 2);
    for (const { label, score } of labels) assert.is(Math.fround(score), scores[probe.labels.indexOf(label)]);
  });
});

test('what is wrong with a request is named, and the next is served', async () => {
  using tasks = await ImageTasks.open(EMBEDDED_MODEL, { limits: { pixels: 300_000 } });
  await refuses(() => tasks.run('paint' as never, ROCKET), ArgumentError, 'task: expected one of embed, classify, found "paint"');
  await refuses(() => tasks.run('embed', ROCKET, { pooling: 'max' as never }), ArgumentError, 'pooling', 'cls, mean, both', '"max"');
  await refuses(() => tasks.run('embed', ROCKET, { top: 3 } as never), ArgumentError, 'embed: expected options pooling, found "top"');
  for (const top of [0, 1.5, '3', null, Number.NaN]) {
    await refuses(() => tasks.run('classify', ROCKET, { top: top as never }), ArgumentError, 'top: expected an integer of at least 1');
  }
  await refuses(() => tasks.run('embed', new Uint8Array(100)), ImageError, 'expected a PNG or JPEG file');
  const astronaut = new Uint8Array(readFileSync(new URL('../../examples/photos/astronaut.png', import.meta.url)));
  using small = await ImageTasks.open(EMBEDDED_MODEL, { limits: { pixels: 200_000 } });
  await refuses(() => small.run('embed', astronaut), LimitError, 'at most 200000 pixels');
  assert.ok((await tasks.run('embed', ROCKET)).embedding.every(Number.isFinite));
});

test('a signal stops a run, before it and within', async () => {
  using tasks = await ImageTasks.open(EMBEDDED_MODEL);
  const stopped = new Error('gone');
  assert.is(await tasks.run('embed', ROCKET, {}, { signal: AbortSignal.abort(stopped) }).catch((error) => error), stopped);
  const leaving = new AbortController();
  const run = tasks.run('embed', ROCKET, {}, { signal: leaving.signal }).catch((error) => error);
  setTimeout(() => leaving.abort(stopped), 1);
  assert.is(await run, stopped);
  assert.ok((await tasks.run('embed', ROCKET)).embedding.length > 0);
});

test('a head that was fitted to another model is refused', async () => {
  await withFolder(async (folder) => {
    const small = new Dinov2Model({ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, image_size: 12, patch_size: 4 });
    await small.save_pretrained(folder);
    small.dispose();
    await new BitImageProcessor({ size: 12, crop_size: 12 }).save_pretrained(folder);
    await new LinearProbe(new Tensor('float32', new Float32Array(12), [2, 6]), new Tensor('float32', [0, 0], [2]), ['a', 'b']).save(
      `${folder}/head/head.safetensors`,
    );
    await refuses(() => ImageTasks.open(folder, { head: `${folder}/head/head.safetensors` }), ArgumentError, '16 numbers', 'found 6');
  });
});

test.run();
