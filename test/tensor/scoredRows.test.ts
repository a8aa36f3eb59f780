import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryError, ShapeError } from '../../src/errors.ts';
import { ScoredRows } from '../../src/tensor/scoredRows.ts';
import { refuses } from '../helpers.ts';
import { randomFloats, uniform } from '../reference/random.ts';

/** Rows of a block: more than one of them shows whether they are told apart. */
const BLOCK = 16384;
const WIDTH = 5;

interface Visit {
  readonly first: number;
  readonly scores: readonly number[];
  readonly error: number;
}

function visits(rows: ScoredRows, query: Float64Array): Visit[] {
  const all: Visit[] = [];
  rows.score(query, (scores, first, error) => all.push({ first, scores: [...scores], error }));
  return all;
}

/** Lengths of rows (n, width), and 1 for those of zeros. */
function lengthsOf(rows: Float32Array, width: number): Float64Array {
  return Float64Array.from({ length: rows.length / width }, (_, i) => Math.hypot(...rows.subarray(i * width, (i + 1) * width)) || 1);
}

function unit(numbers: ArrayLike<number>): Float64Array {
  const length = Math.hypot(...Array.from(numbers)) || 1;
  return Float64Array.from(numbers, (x) => x / length);
}

/** Asserts that no cosine is off by more than is said. @returns the largest error said */
function assertBounded(scored: ScoredRows, rows: Float32Array, query: Float64Array): number {
  const { width } = scored;
  let largest = 0;
  let seen = 0;
  for (const { first, scores, error } of visits(scored, query)) {
    assert.is(first, seen);
    largest = Math.max(largest, error);
    for (const [i, score] of scores.entries()) {
      const row = unit(rows.subarray((first + i) * width, (first + i + 1) * width));
      const exact = query.reduce((sum, q, j) => sum + q * (row[j] as number), 0);
      assert.ok(Math.abs(score - exact) <= error, `row ${first + i}: ${score} is off ${exact} by more than ${error}`);
    }
    seen += scores.length;
  }
  assert.is(seen, scored.count);
  return largest;
}

test('rows are compared with one query after another, block by block, however they were added, within the error that is said', () => {
  const rows = randomFloats((BLOCK + 700) * WIDTH, 1, 1000);
  const lengths = lengthsOf(rows, WIDTH);
  const scored = new ScoredRows(WIDTH);
  assert.equal([scored.width, scored.count], [WIDTH, 0]);
  assert.equal(visits(scored, unit(randomFloats(WIDTH, 2))), []);
  const cuts = [0, 1, 300, 300, BLOCK - 3, BLOCK + 4, BLOCK + 700];
  for (const [i, end] of cuts.slice(1).entries()) {
    const begin = cuts[i] as number;
    scored.add(rows.subarray(begin * WIDTH, end * WIDTH), lengths.subarray(begin, end));
    assert.is(scored.count, end);
  }
  assert.equal(
    visits(scored, unit(randomFloats(WIDTH, 2))).map(({ first, scores }) => [first, scores.length]),
    [
      [0, BLOCK],
      [BLOCK, 700],
    ],
  );
  for (const seed of [2, 3]) assert.ok(assertBounded(scored, rows, unit(randomFloats(WIDTH, seed))) < 0.03);
  scored.dispose();
});

test('the error holds for rows of any width, magnitude and shape, and queries of one sign, of two, sparse and of zeros', () => {
  for (const width of [1, 2, 3, 16, 33, 384]) {
    const next = uniform(width);
    const count = 200;
    const rows = Float32Array.from({ length: count * width }, (_, e) => {
      const kind = Math.floor(e / width) % 5;
      const magnitude = 10 ** ((Math.floor(e / width) % 61) - 30);
      const x = 2 * next() - 1;
      if (kind === 0) return magnitude * x;
      if (kind === 1) return next() < 0.9 ? 0 : magnitude * x; // sparse
      if (kind === 2) return magnitude * x ** 9; // of few large numbers
      if (kind === 3) return magnitude * Math.abs(x);
      return e % width === 0 ? 0.5 : x * 0.0015; // hardly more than one number
    });
    const scored = new ScoredRows(width);
    scored.add(rows, lengthsOf(rows, width));
    const query = randomFloats(width, width + 1);
    const zeros = new Float32Array(width);
    const queries = [query, query.map(Math.abs), query.map((x) => -Math.abs(x)), query.map((x, i) => (i % 7 === 0 ? x : 0)), zeros];
    for (const one of queries) assertBounded(scored, rows, unit(one));
    assert.ok(
      visits(scored, unit(zeros)).every(({ scores }) => scores.every((score) => score === 0)),
      'zeros are like nothing',
    );
    scored.dispose();
  }
});

test('random rows of 384 numbers are off by 0.023 at most, and rows that integers have exactly by what the query is', () => {
  const rows = randomFloats(1000 * 384, 5);
  const scored = new ScoredRows(384);
  scored.add(rows, lengthsOf(rows, 384));
  assert.ok(assertBounded(scored, rows, unit(randomFloats(384, 6))) < 0.023);
  const exact = new ScoredRows(2);
  const integers = Float32Array.of(127, 1, -127, 64, 0, -127);
  exact.add(integers, lengthsOf(integers, 2));
  assert.ok(assertBounded(exact, integers, Float64Array.of(1, 0)) < 1e-5);
  for (const one of [scored, exact]) one.dispose();
});

test('rows take a byte a number, and a block that does not fit is refused with nothing added', async () => {
  const width = 256;
  const scored = new ScoredRows(width, { memoryLimit: 12 * 2 ** 20 });
  const rows = randomFloats(BLOCK * width, 1);
  const lengths = lengthsOf(rows, width);
  for (let i = 0; i < 2; i++) scored.add(rows, lengths);
  assert.is(scored.count, 2 * BLOCK, '8 MiB of integers');
  await refuses(() => scored.add(rows, lengths), MemoryError, 'engine memory: expected at most 12288 KiB');
  assert.is(scored.count, 2 * BLOCK);
  assert.is(visits(scored, unit(rows.subarray(0, width))).length, 2);
  scored.dispose();
});

test('rows and queries of another width are refused by name', async () => {
  const scored = new ScoredRows(WIDTH);
  await refuses(() => scored.add(new Float32Array(12), new Float64Array(2)), ShapeError, 'rows: expected 2 of 5 numbers, found 12');
  await refuses(() => scored.score(new Float64Array(4), () => {}), ShapeError, 'query: expected 5 numbers, found 4');
  assert.is(scored.count, 0);
  scored.dispose();
});

test.run();
