import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { ScoredRows } from '../../src/tensor/scoredRows.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { refuses } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { randomTensor } from './helpers.ts';

/** Rows of a block: more than one of them shows whether they are told apart. */
const BLOCK = 16384;
const WIDTH = 5;

/** The products of all rows, and where each visit began and how much it got. */
function scores(rows: ScoredRows, query: Float32): { all: number[]; visits: [first: number, count: number][] } {
  const all: number[] = [];
  const visits: [number, number][] = [];
  rows.score(query, (found, first) => {
    visits.push([first, found.length]);
    for (const [i, score] of found.entries()) all[first + i] = score;
  });
  return { all, visits };
}

/** The products in float64. */
function expected(rows: Float32, query: Float32): number[] {
  return Array.from({ length: rows.dims[0] as number }, (_, r) =>
    query.data.reduce((sum, value, i) => sum + value * (rows.data[r * WIDTH + i] as number), 0),
  );
}

for (const [dtype, bound] of [
  ['float32', 1e-6],
  ['int8', 2 * WIDTH * (1 / 127)], // numbers up to 1: each of both factors is off by half of 1 / 127 at most
] as const) {
  test(`rows in ${dtype} are multiplied with one query after another, block by block, however they were added`, () => {
    const rows = randomTensor([BLOCK + 700, WIDTH], 1);
    const scored = new ScoredRows(WIDTH, { dtype });
    assert.equal([scored.width, scored.dtype, scored.count], [WIDTH, dtype, 0]);
    assert.equal(scores(scored, randomTensor([WIDTH], 2)), { all: [], visits: [] });
    const cuts = [0, 1, 300, BLOCK - 3, BLOCK + 4, BLOCK + 700];
    for (const [i, end] of cuts.slice(1).entries()) {
      scored.add(rows.slice(cuts[i] as number, end));
      assert.is(scored.count, end);
    }
    for (const seed of [2, 3]) {
      const query = randomTensor([WIDTH], seed);
      const { all, visits } = scores(scored, query);
      assert.equal(visits, [
        [0, BLOCK],
        [BLOCK, 700],
      ]);
      assertWithin(all, expected(rows, query), bound, `query ${seed}`);
    }
    scored.dispose();
  });
}

test('rows of integers are exact where numbers are integers', () => {
  const scored = new ScoredRows(WIDTH, { dtype: 'int8' });
  const rows = new Tensor('float32', [127, 1, -2, 3, 0, 0, 0, 127, 0, -127], [2, WIDTH]);
  scored.add(rows);
  assertWithin(scores(scored, new Tensor('float32', [1, 2, 127, 0, 5], [WIDTH])).all, [127 + 2 - 254, 127 * 127 - 5 * 127], 0.01);
});

test('integers take a quarter of the memory', () => {
  const bytes = (dtype: 'float32' | 'int8'): number => {
    let most = 0;
    const width = 256;
    for (let limit = 2 ** 21; most === 0; limit += 2 ** 20) {
      const rows = new ScoredRows(width, { dtype, memoryLimit: limit });
      try {
        rows.add(randomTensor([1, width], 1));
        most = limit;
      } catch {
        // more is needed
      }
      rows.dispose();
    }
    return most;
  };
  assert.ok(bytes('int8') < bytes('float32') / 2);
});

test('rows and queries of another width are refused by name', async () => {
  const scored = new ScoredRows(WIDTH);
  assert.is(scored.dtype, 'float32');
  await refuses(() => scored.add(randomTensor([2, WIDTH + 1], 1)), ShapeError, 'rows: expected [*, 5], found [2, 6]');
  await refuses(() => scored.add(randomTensor([WIDTH], 1)), ShapeError, 'rows: expected [*, 5], found [5]');
  await refuses(() => scored.score(randomTensor([1, WIDTH], 1), () => {}), ShapeError, 'query: expected [5], found [1, 5]');
  assert.is(scored.count, 0);
});

test.run();
