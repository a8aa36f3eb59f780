import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryError, ShapeError } from '../../src/errors.ts';
import { ScoredRows } from '../../src/tensor/scoredRows.ts';
import { refuses } from '../helpers.ts';
import { randomFloats, uniform } from '../reference/random.ts';

/** Rows of a block: more than one of them shows whether they are told apart. */
const BLOCK = 16384;
const SPAN = 256;
const WIDTH = 5;

/** What the rows are at most, of all spans. */
function boundsOf(rows: ScoredRows, query: Float64Array): number[] {
  const all: number[] = [];
  let visited = 0;
  rows.score(query, (bounds, first) => {
    for (const [i, bound] of bounds.entries()) all[first + i] = bound;
    visited += bounds.length;
    return Number.NEGATIVE_INFINITY;
  });
  assert.is(visited, rows.count, 'each once');
  assert.is(all.filter(() => true).length, rows.count);
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

function cosines(rows: Float32Array, query: Float64Array): number[] {
  return Array.from({ length: rows.length / query.length }, (_, i) => {
    const row = unit(rows.subarray(i * query.length, (i + 1) * query.length));
    return query.reduce((sum, q, j) => sum + q * (row[j] as number), 0);
  });
}

/** Asserts that each cosine is at most what is said. @returns by how much that is more, at most */
function assertBounded(scored: ScoredRows, rows: Float32Array, query: Float64Array): number {
  const exact = cosines(rows, query);
  const over = boundsOf(scored, query).map((bound, i) => bound - (exact[i] as number));
  const wrong = over.findIndex((x) => !(x >= 0));
  assert.is(wrong, -1, `row ${wrong}: ${exact[wrong]} is more than it is at most, by ${-(over[wrong] as number)}`);
  return over.reduce((most, x) => Math.max(most, x), 0);
}

test('rows are compared with one query after another, span by span, however they were added', () => {
  const rows = randomFloats((BLOCK + 700) * WIDTH, 1, 1000);
  const lengths = lengthsOf(rows, WIDTH);
  const scored = new ScoredRows(WIDTH);
  assert.equal([scored.width, scored.count], [WIDTH, 0]);
  assert.equal(boundsOf(scored, unit(randomFloats(WIDTH, 2))), []);
  const cuts = [0, 1, 300, 300, BLOCK - 3, BLOCK + 4, BLOCK + 700];
  for (const [i, end] of cuts.slice(1).entries()) {
    const begin = cuts[i] as number;
    scored.add(rows.subarray(begin * WIDTH, end * WIDTH), lengths.subarray(begin, end));
    assert.is(scored.count, end);
  }
  for (const seed of [2, 3]) assert.ok(assertBounded(scored, rows, unit(randomFloats(WIDTH, seed))) < 0.06);
  scored.dispose();
});

test('the span of the highest bound is visited first; those in which no row can be what matters are passed over, and no others', () => {
  const rows = randomFloats((BLOCK + 700) * WIDTH, 1);
  const scored = new ScoredRows(WIDTH);
  scored.add(rows, lengthsOf(rows, WIDTH));
  const query = unit(randomFloats(WIDTH, 2));
  const bounds = boundsOf(scored, query);
  const spans = Array.from({ length: Math.ceil(bounds.length / SPAN) }, (_, i) => Math.max(...bounds.slice(i * SPAN, (i + 1) * SPAN)));
  for (const least of [1, Math.max(...bounds), Math.max(...bounds) - 0.005, 0]) {
    const visited: number[] = [];
    scored.score(query, (_, first) => {
      visited.push(first / SPAN);
      return least;
    });
    const highest = spans.indexOf(Math.max(...spans));
    const expected = spans.flatMap((peak, i) => (i === highest || peak >= least ? [i] : []));
    assert.is(visited[0], highest);
    assert.equal(
      visited.toSorted((a, b) => a - b),
      expected,
      `${least}`,
    );
  }
  scored.dispose();
});

test('the bounds hold for rows of any width, magnitude and shape, and queries of one sign, of two, sparse and of zeros', () => {
  for (const width of [1, 2, 3, 16, 33, 384]) {
    const next = uniform(width);
    const count = 300;
    const rows = Float32Array.from({ length: count * width }, (_, e) => {
      const kind = Math.floor(e / width) % 5;
      const magnitude = 10 ** ((Math.floor(e / width) % 61) - 30);
      const x = 2 * next() - 1;
      if (kind === 0) return magnitude * x;
      if (kind === 1) return next() < 0.9 ? 0 : magnitude * x; // sparse
      if (kind === 2) return magnitude * x ** 9; // of few large numbers
      if (kind === 3) return magnitude * Math.abs(x);
      return e % width === 0 ? 0.5 : x * 0.003; // hardly more than one number
    });
    const scored = new ScoredRows(width);
    scored.add(rows, lengthsOf(rows, width));
    const query = randomFloats(width, width + 1);
    const queries = [query, query.map(Math.abs), query.map((x) => -Math.abs(x)), query.map((x, i) => (i % 7 === 0 ? x : 0))];
    for (const one of queries) assertBounded(scored, rows, unit(one));
    assert.ok(assertBounded(scored, rows, new Float64Array(width)) < 0.5, 'a query of zeros is like nothing');
    scored.dispose();
  }
});

test('the bounds are tight: 0.06 above random rows of 384 numbers at most, and next to nothing where integers say it all', () => {
  const rows = randomFloats(1000 * 384, 5);
  const scored = new ScoredRows(384);
  scored.add(rows, lengthsOf(rows, 384));
  const most = assertBounded(scored, rows, unit(randomFloats(384, 6)));
  assert.ok(most < 0.06, `${most}`);
  const exact = new ScoredRows(2);
  const integers = Float32Array.of(1, 0, 0, -5, -7, 7, 63, 62);
  exact.add(integers, lengthsOf(integers, 2));
  for (const query of [
    [1, 0],
    [0, -1],
    [65, 64],
  ])
    assert.ok(assertBounded(exact, integers, unit(query)) < 1e-5);
  for (const one of [scored, exact]) one.dispose();
});

test('rows take a byte a number and twelve more, and a block that does not fit is refused with nothing added', async () => {
  const width = 256;
  const scored = new ScoredRows(width, { memoryLimit: 12 * 2 ** 20 });
  const rows = randomFloats(BLOCK * width, 1);
  const lengths = lengthsOf(rows, width);
  for (let i = 0; i < 2; i++) scored.add(rows, lengths);
  assert.is(scored.count, 2 * BLOCK, '8 MiB of integers');
  await refuses(() => scored.add(rows, lengths), MemoryError, 'engine memory: expected at most 12288 KiB');
  assert.is(scored.count, 2 * BLOCK);
  assert.is(boundsOf(scored, unit(rows.subarray(0, width))).length, 2 * BLOCK);
  scored.dispose();
});

test('rows and queries of another width are refused by name', async () => {
  const scored = new ScoredRows(WIDTH);
  await refuses(() => scored.add(new Float32Array(12), new Float64Array(2)), ShapeError, 'rows: expected 2 of 5 numbers, found 12');
  await refuses(() => scored.score(new Float64Array(4), () => 0), ShapeError, 'query: expected 5 numbers, found 4');
  assert.is(scored.count, 0);
  scored.dispose();
});

test.run();
