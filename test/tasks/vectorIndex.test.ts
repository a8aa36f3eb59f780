import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoImageProcessor, AutoModel, EMBEDDED_MODEL } from '../../src/index.ts';
import { normals } from '../../src/nn/random.ts';
import { duplicates, patchFeatures, VectorIndex, wholePhoto } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { cosine } from '../reference/compare.ts';

function random(count: number, width: number, name: string): Tensor<'float32'> {
  const next = normals(1, name);
  return new Tensor('float32', Float32Array.from({ length: count * width }, next), [count, width]);
}

/** By definition. */
function nearest(rows: Tensor<'float32'>, query: Float32Array, k: number): number[] {
  return Array.from({ length: rows.dims[0] as number }, (_, row) => ({ row, score: cosine(rows.at(row).data, query) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, k)
    .map(({ row }) => row);
}

for (const dtype of ['float32', 'int8'] as const) {
  test(`${dtype}: finds the nearest of 40000 features, over several blocks and pieces`, () => {
    const rows = random(40000, 36, 'rows');
    const queries = random(10, 36, 'queries');
    const index = new VectorIndex(36, { dtype });
    for (const [from, to] of [
      [0, 1],
      [1, 20000],
      [20000, 40000],
    ] as const)
      index.add(rows.slice(from, to));
    assert.is(index.count, 40000);
    const found = index.search(queries, { k: 10 });
    let right = 0;
    for (const [i, neighbors] of found.entries()) {
      const expected = new Set(nearest(rows, queries.at(i).data, 10));
      right += neighbors.filter(({ row }) => expected.has(row)).length;
      for (const { row, score } of neighbors) assert.ok(Math.abs(score - cosine(rows.at(row).data, queries.at(i).data)) < 1e-6);
    }
    assert.ok(right >= 99, `${right} of 100`);
    assert.equal(index.search(queries, { k: 10 }), found);
    index.dispose();
  });
}

test('int8 finds 99 of 100 of the exact 10 nearest among patches of photographs, with their exact scores', async () => {
  const processor = await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL);
  const model = await AutoModel.from_pretrained(EMBEDDED_MODEL);
  const exact = new VectorIndex(model.config.hidden_size);
  const scanned = new VectorIndex(model.config.hidden_size, { dtype: 'int8' });
  let queries: Tensor<'float32'> | undefined;
  for (const name of ['astronaut.png', 'chelsea.png', 'coffee.png']) {
    const photo = await wholePhoto(`examples/photos/${name}`, { processor, config: model.config, shortestEdge: 336 });
    const { last_hidden_state } = await model({ pixel_values: photo.pixel_values });
    const patches = patchFeatures(last_hidden_state, [photo.frame.rows, photo.frame.columns]).at(0);
    const rows = patches.reshape(photo.frame.rows * photo.frame.columns, model.config.hidden_size) as Tensor<'float32'>;
    for (const index of [exact, scanned]) index.add(rows);
    queries = rows.slice(100, 200);
  }
  const expected = exact.search(queries as Tensor<'float32'>);
  const found = scanned.search(queries as Tensor<'float32'>);
  const scores = new Map(expected.flatMap((neighbors, i) => neighbors.map(({ row, score }) => [`${i} ${row}`, score] as const)));
  let right = 0;
  for (const [i, neighbors] of found.entries()) {
    for (const { row, score } of neighbors) {
      const same = scores.get(`${i} ${row}`);
      if (same === undefined) continue;
      right += 1;
      assert.ok(Math.abs(score - same) < 1e-6);
    }
  }
  assert.is(exact.count, scanned.count);
  assert.ok(right >= 990, `${right} of 1000`);
  for (const one of [model, exact, scanned]) one.dispose();
});

test('equal features come in the order in which they were added, and k may exceed their number', () => {
  const index = new VectorIndex(2);
  index.add(new Tensor('float32', [1, 0, 0, 1, 2, 0], [3, 2]));
  const [found] = index.search(new Tensor('float32', [3, 0], [1, 2]), { k: 5 });
  assert.equal(found, [
    { row: 0, score: 1 },
    { row: 2, score: 1 },
    { row: 1, score: 0 },
  ]);
  index.dispose();
});

test('what is no feature is refused', () => {
  const index = new VectorIndex(2);
  assert.throws(() => index.add(new Tensor('float32', [1, 2, 3], [1, 3])), /expected \[\*, 2\], found \[1, 3\]/);
  assert.throws(() => index.add(new Tensor('float32', [1, Number.NaN], [1, 2])), /features\[0\]: expected finite/);
  assert.throws(() => index.search(new Tensor('float32', [1, 1], [1, 2]), { k: 0 }), /k: expected/);
  assert.throws(() => new VectorIndex(0), /width: expected/);
  index.dispose();
});

test('near-duplicates are grouped across blocks, and others are in no group', () => {
  const rows = random(1200, 16, 'pictures');
  rows.at(1100).data.set(rows.at(3).data.map((x) => x * 2 + 0.001));
  rows.at(700).data.set(rows.at(1100).data);
  rows.at(6).data.set(rows.at(5).data);
  assert.equal(duplicates(rows, { threshold: 0.999 }), [
    [3, 700, 1100],
    [5, 6],
  ]);
  assert.throws(() => duplicates(rows, { threshold: 2 }), /threshold: expected/);
});

test.run();
