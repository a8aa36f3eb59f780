import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, MemoryError, ShapeError } from '../../src/errors.ts';
import { AutoImageProcessor, AutoModel, EMBEDDED_MODEL } from '../../src/index.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import { duplicates, type Neighbor, patchFeatures, VectorIndex, wholePhoto } from '../../src/tasks/index.ts';
import { concat, Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { uniform } from '../reference/random.ts';

type Float32 = Tensor<'float32'>;

function random(count: number, width: number, seed: number): Float32 {
  const next = uniform(seed);
  return new Tensor(
    'float32',
    Float32Array.from({ length: count * width }, () => next() + next() + next() - 1.5),
    [count, width],
  );
}

/** By definition, in float64; rows of zeros are like nothing. */
function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += (a[i] as number) * (b[i] as number);
    aa += (a[i] as number) ** 2;
    bb += (b[i] as number) ** 2;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa) / Math.sqrt(bb);
}

/** Beyond which float64 tells two cosines apart, whatever the order of its sums. */
const SAME = 1e-13;

/**
 * Asserts that these are the nearest: with the right scores, as good as the best there are, in order, of equal ones the first. Equal are rows with the
 * same bits.
 */
function assertNearest(found: readonly Neighbor[], rows: Float32, query: Float32Array, k: number): void {
  const width = query.length;
  const rowOf = (row: number): Float32Array => rows.data.subarray(row * width, (row + 1) * width);
  const exact = Array.from({ length: rows.dims[0] as number }, (_, row) => cosine(rowOf(row), query));
  const best = [...exact].sort((a, b) => b - a).slice(0, k);
  assert.is(found.length, best.length);
  assert.is(new Set(found.map(({ row }) => row)).size, found.length, 'each once');
  for (const [i, { row, score }] of found.entries()) {
    assert.ok(Math.abs(score - (exact[row] as number)) < SAME, `${i}: row ${row} has ${exact[row]}, found ${score}`);
    assert.ok(Math.abs(score - (best[i] as number)) < SAME, `${i}: expected ${best[i]}, found ${score}`);
    const before = found[i - 1];
    if (before) assert.ok(before.score > score || (before.score === score && before.row < row), `${i}: out of order`);
  }
  const last = found.at(-1);
  if (!last) return;
  const isEqual = (row: number): boolean => exact[row] === exact[last.row] && rowOf(row).join() === rowOf(last.row).join();
  const missed = exact.findIndex((_, row) => row < last.row && isEqual(row) && !found.some((one) => one.row === row));
  assert.is(missed, -1, `row ${missed} is equal to row ${last.row} and before it`);
}

/** Adds rows in pieces of random sizes. */
function filled(rows: Float32, seed: number, options: { build?: 'simd' | 'relaxed' } = {}): VectorIndex {
  const next = uniform(seed);
  const [count = 0, width = 0] = rows.dims;
  const index = new VectorIndex(width, options);
  for (let at = 0; at < count; ) {
    const end = Math.min(count, at + Math.floor(next() ** 3 * (count + 2)));
    index.add(rows.slice(at, end), { copy: next() < 0.5 });
    at = end;
  }
  return index;
}

/** Rows as they come in the world, and as they hardly do; zeros, copies and rows of one direction among them. */
function makeRows(kind: string, count: number, width: number, seed: number): Float32 {
  const next = uniform(seed);
  const centres = random(3, width, seed + 1);
  const rows = random(count, width, seed + 2);
  for (let i = 0; i < count; i++) {
    const row = rows.at(i).data;
    const centre = centres.at(Math.floor(next() * 3)).data;
    if (kind === 'clustered') for (let j = 0; j < width; j++) row[j] = (centre[j] as number) + 0.1 * (row[j] as number);
    if (kind === 'crowded') for (let j = 0; j < width; j++) row[j] = (centres.data[j] as number) + 1e-6 * (row[j] as number);
    if (kind === 'equal') row.set(centres.at(0).data);
    if (kind === 'duplicates') row.set(centre);
    if (kind === 'coarse') for (let j = 0; j < width; j++) row[j] = Math.round(row[j] as number);
    if (kind === 'sparse') for (let j = 0; j < width; j++) if (next() < 0.9) row[j] = 0;
    if (kind === 'outliers') for (let j = 0; j < width; j++) row[j] = (row[j] as number) ** 7;
    if (kind === 'rising')
      for (let j = 0; j < width; j++) row[j] = (centres.data[j] as number) + ((row[j] as number) * (count - i)) / count;
    if (next() < 0.05) row.fill(0);
    if (next() < 0.05) for (let j = 0; j < width; j++) row[j] = (row[j] as number) * 2 ** 40;
    if (next() < 0.05 && i > 0) row.set(rows.at(Math.floor(next() * i)).data);
  }
  return rows;
}

const KINDS = ['random', 'clustered', 'crowded', 'equal', 'duplicates', 'coarse', 'sparse', 'outliers', 'rising'];

test('a search finds what a comparison of all in float64 finds, of any rows, queries and number', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...KINDS),
      fc.integer({ min: 0, max: 400 }),
      fc.integer({ min: 1, max: 40 }),
      fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(399, 400, 10000)),
      fc.nat({ max: 1e6 }),
      (kind, count, width, k, seed) => {
        const rows = makeRows(kind, count, width, seed);
        const index = filled(rows, seed);
        const queries = makeRows(kind, 4, width, seed + 9);
        queries.at(1).data.fill(0);
        if (count > 0) queries.at(2).data.set(rows.at(count >> 1).data);
        assert.is(index.count, count);
        for (const [i, found] of index.search(queries, { k }).entries()) assertNearest(found, rows, queries.at(i).data, k);
        index.dispose();
      },
    ),
    { seed: 1, numRuns: 150 },
  );
});

for (const kind of ['random', 'clustered', 'crowded', 'equal', 'rising']) {
  test(`over several blocks and pieces, of ${kind} rows`, () => {
    const rows = makeRows(kind, 36000, 12, 7);
    const index = filled(rows, 8);
    const queries = makeRows(kind, 3, 12, 9);
    for (const [i, found] of index.search(queries, { k: 10 }).entries()) assertNearest(found, rows, queries.at(i).data, 10);
    index.dispose();
  });
}

test('the same rows give the same neighbours to the bit, however they were added and whichever build is used', () => {
  const rows = makeRows('clustered', 3000, 50, 1);
  const queries = makeRows('clustered', 5, 50, 2);
  const builds = ['simd', ...(hasRelaxedSimd() ? (['relaxed'] as const) : [])] as const;
  const [expected, ...others] = builds.flatMap((build) =>
    [1, 2].map((seed) => {
      const index = filled(rows, seed, { build });
      const found = index.search(queries, { k: 20 });
      assert.equal(index.search(queries, { k: 20 }), found, 'and a second time');
      index.dispose();
      return found;
    }),
  );
  assert.ok(others.length > 0);
  for (const found of others) assert.equal(found, expected);
});

test('the nearest patches of photographs are found, each nearest to itself', async () => {
  const processor = await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL);
  const model = await AutoModel.from_pretrained(EMBEDDED_MODEL);
  const parts: Float32[] = [];
  for (const name of ['astronaut.png', 'chelsea.png', 'coffee.png']) {
    const photo = await wholePhoto(`examples/photos/${name}`, { processor, config: model.config, shortestEdge: 336 });
    const { last_hidden_state } = await model({ pixel_values: photo.pixel_values });
    const patches = patchFeatures(last_hidden_state, [photo.frame.rows, photo.frame.columns]).at(0);
    parts.push(patches.reshape(photo.frame.rows * photo.frame.columns, model.config.hidden_size) as Float32);
  }
  const rows = parts.reduce((a, b) => concat(a, b));
  const index = filled(rows, 1);
  const queries = rows.slice(100, 120);
  for (const [i, found] of index.search(queries).entries()) {
    assertNearest(found, rows, queries.at(i).data, 10);
    assert.is(found[0]?.row, 100 + i);
  }
  for (const one of [model, index]) one.dispose();
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

test('no score is beyond 1', () => {
  const rows = random(500, 7, 3);
  const index = new VectorIndex(7);
  index.add(rows);
  const opposite = new Tensor(
    'float32',
    rows.data.map((x) => -x),
    [500, 7],
  );
  for (const [i, found] of index.search(rows, { k: 500 }).entries()) {
    assert.ok(found.every(({ score }) => score >= -1 && score <= 1));
    assert.ok((found[0]?.score as number) > 1 - SAME, `${i}`);
  }
  for (const found of index.search(opposite, { k: 500 })) assert.ok((found.at(-1)?.score as number) >= -1);
  index.dispose();
});

test('features are copied, unless they are given away', () => {
  for (const [options, expected] of [
    [{}, 1],
    [{ copy: true }, 1],
    [{ copy: false }, 0],
  ] as const) {
    const index = new VectorIndex(2);
    const features = new Tensor('float32', [3, 0], [1, 2]);
    index.add(features, options);
    features.data.set([0, 3]);
    assert.is(index.search(new Tensor('float32', [1, 0], [1, 2]))[0]?.[0]?.score, expected);
    index.dispose();
  }
});

test('features in half precision are found as they are', () => {
  const rows = random(50, 9, 1).to('float16');
  const index = new VectorIndex(9);
  index.add(rows, { copy: false });
  const query = random(1, 9, 2);
  assertNearest(index.search(query)[0] as Neighbor[], rows.to('float32'), query.data, 10);
  assert.equal(index.search(query.to('float16')), index.search(query.to('float16').to('float32')));
  index.dispose();
});

test('what is no feature is refused, and nothing of it is added', async () => {
  const index = new VectorIndex(2, { memoryLimit: 2 ** 20 });
  const rows = new Tensor('float32', [1, 2], [1, 2]);
  index.add(rows);
  const expected = index.search(rows);
  await refuses(() => index.add(new Tensor('float32', [1, 2, 3], [1, 3])), ShapeError, 'features: expected [*, 2], found [1, 3]');
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const features = new Tensor('float32', [1, 2, 1, wrong], [2, 2]);
    await refuses(() => index.add(features), ArgumentError, 'features[1]: expected finite');
    await refuses(() => index.search(features), ArgumentError, 'queries[1]: expected finite');
  }
  await refuses(() => index.add(new Tensor('float32', new Float32Array(4e5), [2e5, 2])), MemoryError, 'engine memory');
  await refuses(() => index.add(rows, { copied: false } as object), ArgumentError, 'add: expected options copy, found "copied"');
  await refuses(() => index.search(rows, { k: 0 }), ArgumentError, 'k: expected');
  await refuses(() => index.search(new Tensor('float32', [1], [1, 1])), ShapeError, 'queries: expected [*, 2]');
  await refuses(() => new VectorIndex(0), ArgumentError, 'width: expected');
  await refuses(() => new VectorIndex(2, { dtype: 'int8' } as object), ArgumentError, 'VectorIndex: expected options build');
  assert.is(index.count, 1);
  assert.equal(index.search(rows), expected);
  index.dispose();
});

test('near-duplicates are grouped across blocks, and others are in no group', () => {
  const rows = random(1200, 16, 1);
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
