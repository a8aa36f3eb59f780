import { ArgumentError } from '../errors.ts';
import { checkOptions } from '../options.ts';
import type { EngineOptions } from '../runtime/engine.ts';
import type { Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import { ScoredRows } from '../tensor/scoredRows.ts';
import { rowLengths } from './unitRows.ts';

export interface Neighbor {
  /** Its place in the order in which rows were added, from 0. */
  readonly row: number;
  /** Cosine similarity, -1 to 1. */
  readonly score: number;
}

/** Features as they were added. */
interface Piece {
  /** The number of its first row. */
  readonly first: number;
  /** (n, width) */
  readonly rows: Float32Array;
  readonly lengths: Float64Array;
}

/**
 * Features of any number of pictures, to find those most like others by cosine similarity, exactly. All are compared as 8-bit integers in the memory of
 * an engine, a quarter of theirs; by how much each may be off is known, and those that may be among the best are computed from the features themselves,
 * in float64 and one order, so that the result is the same on every host.
 */
export class VectorIndex {
  readonly width: number;
  readonly #scan: ScoredRows;
  readonly #pieces: Piece[] = [];

  /** @param width numbers of a feature; @param options those of an engine. @throws {ArgumentError} */
  constructor(width: number, options: EngineOptions = {}) {
    checkOptions('VectorIndex', options, ['build', 'threads', 'memoryLimit']);
    if (!Number.isSafeInteger(width) || width < 1) throw new ArgumentError(`width: expected an integer of at least 1, found ${width}`);
    this.width = width;
    this.#scan = new ScoredRows(width, options);
  }

  get count(): number {
    return this.#scan.count;
  }

  /**
   * Appends features (n, width), all or, on an error, none.
   * @param options copy: whether they are copied, by default. If not, float32 features are kept where they are, and must be left as they are.
   * @throws {ShapeError} {ArgumentError} on numbers that are not finite {MemoryError}
   */
  add(features: Tensor, options: { copy?: boolean } = {}): void {
    checkOptions('add', options, ['copy']);
    checkDims('features', [-1, this.width], features.dims);
    const { data } = features.to('float32');
    const rows = data === features.data && options.copy !== false ? data.slice() : data;
    const lengths = finiteLengths('features', rows, this.width);
    const first = this.count;
    this.#scan.add(rows, lengths);
    this.#pieces.push({ first, rows, lengths });
  }

  /**
   * The `k` (default 10) features most like each of queries (n, width): best first, of equal ones the first.
   * @throws {ShapeError} {ArgumentError}
   */
  search(queries: Tensor, { k = 10 }: { k?: number } = {}): Neighbor[][] {
    checkDims('queries', [-1, this.width], queries.dims);
    if (!Number.isSafeInteger(k) || k < 1) throw new ArgumentError(`k: expected an integer of at least 1, found ${k}`);
    const { data } = queries.to('float32');
    const lengths = finiteLengths('queries', data, this.width);
    return Array.from(lengths, (length, i) => {
      const query = Float64Array.from(data.subarray(i * this.width, (i + 1) * this.width), (x) => x / length);
      return this.#nearest(query, k);
    });
  }

  dispose(): void {
    this.#scan.dispose();
  }

  #nearest(query: Float64Array, k: number): Neighbor[] {
    const best = new Best(k);
    this.#scan.score(query, (bounds, first) => {
      let { least } = best;
      for (let i = 0; i < bounds.length; i++) {
        if ((bounds[i] as number) < least) continue;
        best.offer(first + i, this.#scoreOf(first + i, query));
        least = best.least;
      }
      return least;
    });
    return best.sorted();
  }

  #scoreOf(row: number, query: Float64Array): number {
    const { first, rows, lengths } = this.#pieceOf(row);
    const from = (row - first) * this.width;
    const cosine = product(rows, from, query) / (lengths[row - first] as number);
    return Math.max(-1, Math.min(1, cosine)); // rounding may go beyond
  }

  #pieceOf(row: number): Piece {
    let [low, high] = [0, this.#pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#pieces[middle] as Piece).first <= row) low = middle;
      else high = middle - 1;
    }
    return this.#pieces[low] as Piece;
  }
}

/** @throws {ArgumentError} on rows with numbers that are not finite */
function finiteLengths(name: string, data: Float32Array, width: number): Float64Array {
  const lengths = rowLengths(data, width);
  const wrong = lengths.findIndex((length) => !Number.isFinite(length));
  if (wrong !== -1) throw new ArgumentError(`${name}[${wrong}]: expected finite numbers, found others`);
  return lengths;
}

/** Of a query and as many numbers of rows from one on, in four sums, which a processor makes side by side. */
function product(rows: Float32Array, from: number, query: Float64Array): number {
  const whole = query.length & ~3;
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (let at = from; i < whole; i += 4, at += 4) {
    a += (rows[at] as number) * (query[i] as number);
    b += (rows[at + 1] as number) * (query[i + 1] as number);
    c += (rows[at + 2] as number) * (query[i + 2] as number);
    d += (rows[at + 3] as number) * (query[i + 3] as number);
  }
  for (; i < query.length; i++) a += (rows[from + i] as number) * (query[i] as number);
  return a + b + (c + d);
}

const byScore = (a: Neighbor, b: Neighbor): number => b.score - a.score || a.row - b.row;

/** The best of rows, of equal ones the first: a heap, the worst on top. */
class Best {
  readonly #limit: number;
  readonly #heap: Neighbor[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What the worst of as many as there is room for scores. */
  get least(): number {
    return this.#heap.length < this.#limit ? Number.NEGATIVE_INFINITY : (this.#heap[0] as Neighbor).score;
  }

  offer(row: number, score: number): void {
    const item = { row, score };
    const heap = this.#heap;
    if (heap.length < this.#limit) {
      heap.push(item);
      for (let i = heap.length - 1; i > 0 && this.#isWorse(i, (i - 1) >> 1); i = (i - 1) >> 1) this.#swap(i, (i - 1) >> 1);
    } else if (byScore(item, heap[0] as Neighbor) < 0) {
      heap[0] = item;
      this.#sink();
    }
  }

  sorted(): Neighbor[] {
    return [...this.#heap].sort(byScore);
  }

  /** Brings the top to where it belongs. */
  #sink(): void {
    const { length } = this.#heap;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const child = right < length && this.#isWorse(right, left) ? right : left;
      if (child >= length || !this.#isWorse(child, i)) return;
      this.#swap(i, child);
      i = child;
    }
  }

  #isWorse(a: number, b: number): boolean {
    return byScore(this.#heap[a] as Neighbor, this.#heap[b] as Neighbor) > 0;
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b] as Neighbor, this.#heap[a] as Neighbor];
  }
}
