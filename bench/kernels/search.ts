/**
 * What a search of a million vectors of 384 numbers takes: node --conditions=dinov2-source --import tsx bench/kernels/search.ts [ROUNDS]
 *
 * First the kernel on one thread, as bytes where relaxed SIMD has them and as words, and reading as many bytes and doing nothing with them, which no
 * search can do faster; in turn, in pieces of a few milliseconds out of 256 MiB that no cache holds: on a machine that others use too most pieces
 * are undisturbed. Then whole searches for the 10 nearest of a million, of random vectors, and of ones in 2000 clusters, whose members are alike by
 * 0.8 to 0.95, as those of photographs of few kinds are; beside them how many rows cannot be told from the nearest by their integers alone, and how many of the
 * neighbours are those of a comparison of all in float64. It takes 2.2 GB.
 */

import { Engine } from '../../src/runtime/engine.ts';
import { VectorIndex } from '../../src/tasks/index.ts';
import { rowLengths } from '../../src/tasks/unitRows.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { ScoredRows } from '../../src/tensor/scoredRows.ts';
import { quantile } from '../measure.ts';
import { table } from '../report/markdown.ts';
import { compileLimits } from './limit.ts';

const WIDTH = 384;
const ROWS = 32768; // of a piece
const PIECES = 20;
const MILLION = 1e6;
const K = 10;
/** Queries that are compared with all rows in float64. */
const CHECKED = 10;

const rounds = Number(process.argv[2] ?? 30);
const text = (ms: readonly number[], at: number): string => quantile(ms, at).toFixed(1);

/** Milliseconds for a million rows. */
async function kernels(): Promise<string> {
  const engine = new Engine();
  const piece = ROWS * WIDTH;
  const x = engine.allocate(piece * PIECES);
  const query = engine.allocate(WIDTH * 2);
  const y = engine.allocate(ROWS * 4);
  const heads = engine.allocate(ROWS * 8);
  const peaks = engine.allocate(ROWS / 64);
  const fill = Int8Array.from({ length: piece }, (_, i) => Math.round(63 + 63 * Math.sin(i)));
  for (let i = 0; i < PIECES; i++) engine.write(x + i * piece, fill);
  engine.write(query, fill.subarray(0, WIDTH * 2));

  const { exports: limit } = new WebAssembly.Instance(await compileLimits(engine.build, 'read'));
  const memory = limit.memory as WebAssembly.Memory;
  memory.grow((piece * PIECES) / 65536);
  new Float32Array(memory.buffer).fill(1);
  const read = limit.read as (address: number, bytes: number) => number;

  const dot = (bytes: number) => (at: number) => engine.call('i8_dot_rows', bytes, ROWS, WIDTH, x + at, heads, query, 0, 1, 0, y, peaks);
  const cases: { name: string; run(at: number): unknown }[] = [
    { name: 'bare reading', run: (at) => read(at, piece) },
    ...(engine.multipliesBytes ? [{ name: 'i8_dot_rows, bytes', run: dot(1) }] : []),
    { name: 'i8_dot_rows, words', run: dot(0) },
  ];
  const times = cases.map((): number[] => []);
  let turn = 0;
  for (let round = 0; round <= rounds; round++) {
    for (const [i, { run }] of cases.entries()) {
      for (let n = 0; n < 3; n++, turn++) {
        const start = performance.now();
        run((turn % PIECES) * piece);
        if (round > 0) times[i]?.push(((performance.now() - start) * MILLION) / ROWS);
      }
    }
  }
  engine.dispose();
  return table(
    [`build "${engine.build}"`, 'median, ms', 'fastest tenth'],
    cases.map(({ name }, i) => [name, text(times[i] as number[], 0.5), text(times[i] as number[], 0.1)]),
  );
}

/** Words of 32 bits (xorshift). */
function words(seed: number): () => number {
  let word = seed;
  return () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return word >>> 0;
  };
}

/** Numbers around 0 with a deviation of 1, nearly normal: sums of four bytes. */
function normals(seed: number): () => number {
  const next = words(seed);
  return () => {
    const word = next();
    return ((word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24) - 510) / 147.8;
  };
}

/** Gives rows (n, WIDTH) of a kind. */
type Source = (count: number) => Float32Array<ArrayBuffer>;

function randomRows(seed: number): Source {
  const next = normals(seed);
  return (count) => Float32Array.from({ length: count * WIDTH }, next);
}

function clusteredRows(seed: number): Source {
  const count = 2000;
  const centres = randomRows(seed)(count);
  const next = normals(seed + 1);
  const pick = words(seed + 2);
  return (rows) => {
    const data = new Float32Array(rows * WIDTH);
    for (let i = 0; i < rows; i++) {
      const cluster = pick() % count;
      const noise = 0.22 + (0.28 * cluster) / count; // alike by 1 / (1 + noise^2)
      for (let j = 0; j < WIDTH; j++) data[i * WIDTH + j] = (centres[cluster * WIDTH + j] as number) + noise * next();
    }
    return data;
  };
}

/** How many of the neighbours of a query are among the nearest in float64, and how many rows may be as near as these by their integers. */
function check(parts: readonly Float32Array[], scan: ScoredRows, query: Float32Array, rows: ReadonlySet<number>): [number, number] {
  const [length] = rowLengths(query, WIDTH);
  const unit = Float64Array.from(query, (x) => x / (length as number));
  const scores = new Float64Array(scan.count);
  let row = 0;
  for (const part of parts) {
    const lengths = rowLengths(part, WIDTH);
    for (let i = 0, at = 0; i < lengths.length; i++, row++) {
      let sum = 0;
      for (let j = 0; j < WIDTH; j++, at++) sum += (part[at] as number) * (unit[j] as number);
      scores[row] = sum / (lengths[i] as number);
    }
  }
  const last = scores.toSorted().at(-K) as number;
  let near = 0;
  scan.score(unit, (bounds) => {
    for (const bound of bounds) if (bound >= last) near += 1;
    return last;
  });
  return [[...rows].filter((one) => (scores[one] as number) >= last - 1e-12).length, near];
}

function searches(name: string, source: Source): string[] {
  const index = new VectorIndex(WIDTH);
  const parts: Float32Array<ArrayBuffer>[] = [];
  let adding = 0;
  while (index.count < MILLION) {
    const part = source(Math.min(20000, MILLION - index.count));
    parts.push(part);
    const start = performance.now();
    index.add(new Tensor('float32', part, [part.length / WIDTH, WIDTH]), { copy: false });
    adding += performance.now() - start;
  }
  const queries = source(rounds);
  const times: number[] = [];
  const found: ReadonlySet<number>[] = [];
  for (let i = 0; i < rounds; i++) {
    const query = new Tensor('float32', queries.subarray(i * WIDTH, (i + 1) * WIDTH), [1, WIDTH]);
    const start = performance.now();
    const [neighbors = []] = index.search(query, { k: K });
    times.push(performance.now() - start);
    found.push(new Set(neighbors.map(({ row }) => row)));
  }
  index.dispose();
  const scan = new ScoredRows(WIDTH);
  for (const part of parts) scan.add(part, rowLengths(part, WIDTH));
  const checks = found.slice(0, CHECKED).map((rows, i) => check(parts, scan, queries.subarray(i * WIDTH, (i + 1) * WIDTH), rows));
  scan.dispose();
  const near = checks.map(([, count]) => count);
  const right = checks.reduce((sum, [count]) => sum + count, 0);
  const ms = [text(times, 0.5), text(times, 0.1), text(times, 0.9)];
  return [name, ...ms, `${quantile(near, 0.5)}`, `${right} of ${K * checks.length}`, `${(adding / 1000).toFixed(1)} s`];
}

console.log(`Node ${process.versions.node}; ${MILLION} vectors of ${WIDTH} numbers, one thread\n`);
console.log(`${await kernels()}\n`);
console.log(
  table(
    [`search, k = ${K}`, 'median, ms', 'fastest tenth', 'slowest tenth', 'rows within the bound', 'right', 'adding all'],
    [searches('random', randomRows(1)), searches('in clusters', clusteredRows(2))],
  ),
);
