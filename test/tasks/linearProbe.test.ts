import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, DTypeError, ShapeError } from '../../src/errors.ts';
import { Dinov2ForImageClassification } from '../../src/index.ts';
import { embed, fitLinearProbe, LinearProbe, loadFeatureClassifier, type Validation } from '../../src/tasks/index.ts';
import { argmax, type Float32, softmax, Tensor } from '../../src/tensor/index.ts';
import { refuses, withFolder } from '../helpers.ts';
import { pixels, TINY } from '../models/helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import { randomFloats, uniform } from '../reference/random.ts';

const LABELS = ['ant', 'bee', 'cat'];
const WIDTH = 5;

/** Clouds around three points, with features of very different scales and places, the last of no meaning. */
function clouds(count: number, seed: number, spread: number): { features: Float32; classes: number[] } {
  const next = uniform(seed);
  const noise = (): number => next() + next() + next() - 1.5;
  const centers = [
    [2, 0],
    [-1, 1.7],
    [-1, -1.7],
  ];
  const classes = Array.from({ length: count }, (_, i) => i % 3);
  const rows = classes.flatMap((k) => {
    const [x, y] = (centers[k] as number[]).map((c) => c + spread * noise()) as [number, number];
    return [1000 + 100 * x, 1e-3 * y, x + y, noise(), 7];
  });
  return { features: new Tensor('float32', rows, [count, WIDTH]), classes };
}

function accuracy(probe: LinearProbe, { features, classes }: { features: Float32; classes: number[] }): number {
  const scores = probe.scores(features);
  return classes.filter((k, i) => argmax(scores.at(i)) === k).length / classes.length;
}

test('classes that a plane separates are told apart, seen or not', async () => {
  const { features, classes } = clouds(90, 1, 0.5);
  const { probe, validations, regularization, isConverged } = await fitLinearProbe(features, classes, LABELS);
  assert.is(accuracy(probe, { features, classes }), 1);
  assert.is(accuracy(probe, clouds(300, 2, 0.5)), 1);
  const best = validations.find((one) => one.regularization === regularization) as Validation;
  assert.equal([best.accuracy, isConverged], [1, true]);
  assert.ok(validations.every(({ loss }) => loss >= best.loss));
});

test('cross-validation tells how good it is on pictures it has not seen', async () => {
  const { features, classes } = clouds(600, 3, 2.5);
  const { probe, validations, regularization } = await fitLinearProbe(features, classes, LABELS);
  const best = validations.find((one) => one.regularization === regularization) as Validation;
  const truth = accuracy(probe, clouds(3000, 4, 2.5));
  assert.ok(truth > 0.6 && truth < 0.95, `${truth} is a task that can be learned and has mistakes`);
  assert.ok(Math.abs(best.accuracy - truth) < 0.05, `${best.accuracy} expected, ${truth} found`);
});

test('where nothing can be learned, regularization is strong', async () => {
  const features = new Tensor('float32', randomFloats(60 * 40, 5), [60, 40]);
  const classes = Array.from({ length: 60 }, (_, i) => i % 2);
  const { regularization, validations } = await fitLinearProbe(features, classes, ['a', 'b']);
  assert.ok(regularization >= 1, `${regularization}`);
  assert.ok(validations.length < 11, 'values that can only be worse are not tried');
});

test('the weights are those at which the gradient for standardised features is zero', async () => {
  const { features, classes } = clouds(60, 6, 2);
  const regularization = 0.1;
  const { probe, validations } = await fitLinearProbe(features, classes, LABELS, { regularization });
  assert.equal(validations, []);
  const scores = probe.scores(features);
  for (let i = 0; i < WIDTH; i++) {
    const column = Array.from({ length: 60 }, (_, row) => features.data[row * WIDTH + i] as number);
    const center = column.reduce((sum, x) => sum + x, 0) / 60;
    const deviation = Math.sqrt(column.reduce((sum, x) => sum + (x - center) ** 2, 0) / 60);
    for (let k = 0; k < 3; k++) {
      const weight = probe.weight.at(k).data[i] as number;
      if (deviation === 0) assert.is(weight, 0);
      else {
        const pull = column.reduce(
          (sum, x, row) => sum + ((scores.at(row).data[k] as number) - Number(classes[row] === k)) * ((x - center) / deviation),
          0,
        );
        assertWithin([pull / 60 + regularization * weight * deviation], [0], 1e-5, `class ${k}, feature ${i}`);
      }
    }
  }
});

test('the same features, options and seed give the same bits; the seed deals out the folds', async () => {
  const { features, classes } = clouds(60, 7, 2.5);
  const fit = (seed?: number) => fitLinearProbe(features, classes, LABELS, seed === undefined ? {} : { seed });
  const [one, other, third] = [await fit(), await fit(0), await fit(1)];
  assertSameBits(one.probe.weight.data, other.probe.weight.data);
  assertSameBits(one.probe.bias.data, other.probe.bias.data);
  assert.equal(one.validations, other.validations);
  assert.not.equal(one.validations, third.validations);
});

test('progress grows, and an abort ends the work with its reason', async () => {
  const { features, classes } = clouds(60, 8, 2);
  const parts: number[] = [];
  await fitLinearProbe(features, classes, LABELS, { progress_callback: ({ progress }) => parts.push(progress) });
  assert.ok(parts.length > 10 && parts[0] === 0 && (parts.at(-1) as number) < 1);
  assert.equal(
    parts,
    [...parts].sort((a, b) => a - b),
  );
  const work = new AbortController();
  const stop = (): void => work.abort(new RangeError('enough'));
  await refuses(() => fitLinearProbe(features, classes, LABELS, { signal: work.signal, progress_callback: stop }), RangeError, 'enough');
});

test('a probe saved and loaded is the same, and the head of a classifier', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'head.safetensors');
    const { features, classes } = clouds(30, 9, 1);
    const { probe } = await fitLinearProbe(features, classes, LABELS, { regularization: 0.01 });
    await probe.save(path);
    const loaded = (await loadFeatureClassifier(path)) as LinearProbe;
    assert.ok(loaded instanceof LinearProbe);
    assert.equal(loaded.labels, LABELS);
    assertSameBits(loaded.scores(features).data, probe.scores(features).data);
    assertSameBits(probe.scores(features).data, softmax(probe.logits(features)).data);
    assert.ok((await loadFeatureClassifier({ 'head.safetensors': new Uint8Array(readFileSync(path)) })).width === WIDTH);
  });
});

test('the classifier of a checkpoint gives its logits on the embeddings of the encoder', async () => {
  await withFolder(async (folder) => {
    const model = new Dinov2ForImageClassification(TINY, { seed: 2 });
    await model.save_pretrained(folder);
    const inputs = pixels(2, 24, 20);
    const { logits, hidden_states } = await model(inputs, { output_hidden_states: true });
    model.dispose();
    assert.ok(hidden_states);
    const probe = await LinearProbe.load(folder);
    assert.equal(probe.labels, ['LABEL_0', 'LABEL_1', 'LABEL_2', 'LABEL_3', 'LABEL_4']);
    const { Dinov2Model } = await import('../../src/index.ts');
    const encoder = await Dinov2Model.from_pretrained(folder);
    const { last_hidden_state } = await encoder(inputs);
    encoder.dispose();
    assertWithin(probe.logits(embed(last_hidden_state, { pooling: 'both' })).data, logits.data, 1e-5);
  });
});

test('what cannot be fitted is refused by name', async () => {
  const { features, classes } = clouds(12, 10, 1);
  const fit = (change: { features?: Tensor; classes?: number[]; labels?: string[]; options?: object }) => () =>
    fitLinearProbe(change.features ?? features, change.classes ?? classes, change.labels ?? LABELS, change.options);
  await refuses(fit({ classes: classes.slice(1) }), ShapeError, 'classes: expected 12', 'found 11');
  await refuses(fit({ classes: classes.map(() => 3) }), ArgumentError, 'classes[0]', 'from 0 to 2', 'found 3');
  await refuses(fit({ classes: classes.map(() => 0.5) }), ArgumentError, 'classes[0]', 'found 0.5');
  await refuses(fit({ classes: classes.map((k) => Math.min(k, 1)) }), ArgumentError, '"cat"', 'found none');
  await refuses(fit({ classes: [2, ...Array.from({ length: 11 }, (_, i) => i % 2)] }), ArgumentError, '"cat"', 'two pictures', 'found 1');
  await refuses(fit({ labels: ['a', 'b', 'a'] }), ArgumentError, 'labels', '"a" again');
  await refuses(fit({ labels: ['a'], classes: classes.map(() => 0) }), ArgumentError, 'two classes');
  await refuses(fit({ features: features.reshape(60) }), ShapeError, 'features');
  await refuses(fit({ features: new Tensor('float32', [...features.data].fill(Number.NaN, 7, 8), [12, 5]) }), ArgumentError, 'features[1]');
  await refuses(fit({ options: { regularization: 0 } }), ArgumentError, 'regularization', 'above 0');
  await refuses(fit({ options: { regularization: [] } }), ArgumentError, 'regularization');
  await refuses(fit({ options: { folds: 1 } }), ArgumentError, 'folds', 'found 1');
  await refuses(fit({ options: { l2: 1 } }), ArgumentError, '"l2"');
  const probe = new LinearProbe(new Tensor('float32', [1, 2], [1, 2]), new Tensor('float32', [0], [1]), ['a']);
  await refuses(() => probe.scores(new Tensor('float32', [1, 2, 3], [1, 3])), ShapeError, '[*, 2]', '[1, 3]');
  await refuses(() => probe.scores(new Tensor('int32', [1, 2], [1, 2])), DTypeError, 'float32');
  await refuses(() => new LinearProbe(probe.weight, probe.bias, LABELS), ShapeError, 'weight');
});

test('one picture a class is enough where regularization is given', async () => {
  const features = new Tensor('float32', [0, 1, 5, 5], [2, 2]);
  const { probe } = await fitLinearProbe(features, [0, 1], ['a', 'b'], { regularization: 0.1 });
  assert.is(argmax(probe.scores(features).at(1)), 1);
});

test('files that are no classifier are refused by name', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'head.safetensors');
    await new LinearProbe(new Tensor('float32', [1, 2], [1, 2]), new Tensor('float32', [0], [1]), ['a']).save(path);
    const bytes = readFileSync(path);
    const changed = (from: string, to: string): { 'head.safetensors': Uint8Array } => {
      assert.is(from.length, to.length);
      assert.ok(bytes.includes(from));
      return { 'head.safetensors': new Uint8Array(Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1')) };
    };
    await refuses(() => loadFeatureClassifier(changed('classifier.weight', 'classifier.height')), CheckpointError, '"classifier.weight"');
    await refuses(() => loadFeatureClassifier(changed('[\\"a\\"]', '{\\"a\\"}')), CheckpointError, 'labels');
    await refuses(() => loadFeatureClassifier(changed('[\\"a\\"]', '[    2]')), CheckpointError, 'labels');
    await refuses(() => loadFeatureClassifier(changed('"shape":[1]', '"shape":[ ]')), CheckpointError, 'classifier.bias');
  });
});

test.run();
