import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, ShapeError } from '../../src/errors.ts';
import { type Classification, classifyFeatures, KnnClassifier, loadFeatureClassifier } from '../../src/tasks/index.ts';
import { type Float32, Tensor } from '../../src/tensor/index.ts';
import { refuses, withFolder } from '../helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import { randomFloats, uniform } from '../reference/random.ts';

const LABELS = ['ant', 'bee', 'cat', 'dog'];

function random(rows: number, width: number, seed: number): Float32 {
  return new Tensor('float32', randomFloats(rows * width, seed, 3), [rows, width]);
}

/** The votes as the paper's evaluation counts them, one query and one picture at a time, in float64. */
function votes(bank: Float32, classes: readonly number[], query: Float32Array, k: number, temperature: number): number[] {
  const cosine = (a: Float32Array, b: Float32Array): number => {
    const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  const all = classes.map((label, i) => ({ label, similarity: cosine(bank.at(i).data, query) }));
  const near = all.sort((a, b) => b.similarity - a.similarity).slice(0, k);
  const counts = LABELS.map((_, label) =>
    near.filter((one) => one.label === label).reduce((sum, { similarity }) => sum + Math.exp(similarity / temperature), 0),
  );
  const total = counts.reduce((a, b) => a + b);
  return counts.map((count) => count / total);
}

for (const { k, temperature } of [
  { k: 20, temperature: 0.07 },
  { k: 1, temperature: 0.07 },
  { k: 7, temperature: 1 },
  { k: 500, temperature: 0.3 },
]) {
  test(`the ${k} nearest vote, with a weight of temperature ${temperature}`, () => {
    const bank = random(90, 13, 1);
    const next = uniform(2);
    const classes = Array.from({ length: 90 }, () => Math.floor(next() * 4));
    const queries = random(6, 13, 3);
    const scores = new KnnClassifier(bank, classes, LABELS, { k, temperature }).scores(queries);
    assert.equal(scores.dims, [6, 4]);
    for (let i = 0; i < 6; i++) assertWithin(scores.at(i).data, votes(bank, classes, queries.at(i).data, k, temperature), 2e-5);
  });
}

test('20 neighbours and a temperature of 0.07 are the default, as in the paper', () => {
  const { k, temperature, pooling } = new KnnClassifier(random(3, 2, 4), [0, 1, 2], LABELS);
  assert.equal([k, temperature, pooling], [20, 0.07, 'cls']);
});

test('lengths of features do not matter; a feature of zeros is like none', () => {
  const bank = new Tensor('float32', [1, 0, 0, 1, 0, 0], [3, 2]);
  const head = new KnnClassifier(bank, [0, 1, 2], LABELS, { k: 1 });
  const far = new KnnClassifier(new Tensor('float32', [1000, 0, 0, 1e-4, 0, 0], [3, 2]), [0, 1, 2], LABELS, { k: 1 });
  const query = new Tensor('float32', [2, 5, 1e-3, 0], [2, 2]);
  assert.equal([...head.scores(query).data], [0, 1, 0, 0, 1, 0, 0, 0]);
  assertSameBits(far.scores(query).data, head.scores(query).data);
  assert.equal([...head.scores(new Tensor('float32', [0, 0], [1, 2])).data], [1, 0, 0, 0]);
});

test('the labels come best first', () => {
  const head = new KnnClassifier(new Tensor('float32', [1, 0, 0, 1, 1, 1], [3, 2]), [3, 1, 3], LABELS, { temperature: 1 });
  const [[best, second]] = classifyFeatures(head, new Tensor('float32', [1, 0.1], [1, 2]), { topK: 2 }) as [
    [Classification, Classification],
  ];
  assert.equal([best.label, second.label], ['dog', 'bee']);
});

test('saved and loaded it is the same', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'knn.safetensors');
    const head = new KnnClassifier(
      random(30, 7, 5),
      Array.from({ length: 30 }, (_, i) => i % 4),
      LABELS,
      { k: 5, temperature: 0.2 },
    );
    await head.save(path);
    const loaded = (await loadFeatureClassifier(path)) as KnnClassifier;
    assert.ok(loaded instanceof KnnClassifier);
    assert.equal([loaded.labels, loaded.k, loaded.temperature, loaded.width], [LABELS, 5, 0.2, 7]);
    assertWithin(loaded.scores(random(4, 7, 6)).data, head.scores(random(4, 7, 6)).data, 1e-6);

    const text = readFileSync(path).toString('latin1');
    const changed = (from: string, to: string): { 'knn.safetensors': Uint8Array } => {
      assert.ok(text.includes(from) && from.length === to.length);
      return { 'knn.safetensors': new Uint8Array(Buffer.from(text.replace(from, to), 'latin1')) };
    };
    await refuses(() => loadFeatureClassifier(changed('"knn.classes"', '"knn.klasses"')), CheckpointError, '"knn.classes"');
    await refuses(() => loadFeatureClassifier(changed('"k":"5"', '"k":"0"')), CheckpointError, 'k: expected a number above 0');
    await refuses(() => loadFeatureClassifier(changed('\\"dog\\"', '\\"cat\\"')), CheckpointError, 'labels', '"cat" again');
    await refuses(() => loadFeatureClassifier(changed(',\\"dog\\"', '        ')), CheckpointError, 'classes[3]', 'from 0 to 2');
  });
});

test('what there is no classifier of is refused by name', async () => {
  const bank = random(3, 2, 7);
  await refuses(() => new KnnClassifier(bank, [0, 1], LABELS), ShapeError, 'classes: expected 3');
  await refuses(() => new KnnClassifier(random(0, 2, 7), [], LABELS), ArgumentError, 'one picture at least');
  await refuses(() => new KnnClassifier(bank, [0, 1, 2], LABELS, { k: 0 }), ArgumentError, 'k: expected');
  await refuses(() => new KnnClassifier(bank, [0, 1, 2], LABELS, { temperature: 0 }), ArgumentError, 'temperature');
  await refuses(() => new KnnClassifier(bank, [0, 1, 2], LABELS).scores(random(1, 3, 8)), ShapeError, '[*, 2]', '[1, 3]');
});

test.run();
