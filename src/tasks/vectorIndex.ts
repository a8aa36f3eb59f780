import { ArgumentError } from '../errors.ts';
import { checkOptions } from '../options.ts';
import type { Float32, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import { ScoredRows, type ScoredRowsOptions } from '../tensor/scoredRows.ts';
import { unitRows } from './unitRows.ts';

export interface Neighbor {
  /** Its place in the order in which rows were added, from 0. */
  readonly row: number;
  /** Cosine similarity, -1 to 1. */
  readonly score: number;
}

/** How many candidates of an int8 scan are looked at again, beside those asked for. */
const CANDIDATES = 64;

/**
 * Features of any number of pictures, to find those most like others by cosine similarity: all are compared, none is missed. With `int8` the
 * scan reads a quarter of the memory and the best are scored again exactly, for which the features are kept outside of the engine as well.
 */
export class VectorIndex {
  readonly width: number;
  readonly #rows: ScoredRows;
  /** Of int8: unit rows, as they were added, with the number of the first of each. */
  readonly #exact: { readonly first: number; readonly rows: Float32 }[] = [];

  /** @param width numbers of a feature; @param options those of an engine, and `dtype` of the scan. @throws {ArgumentError} */
  constructor(width: number, options: ScoredRowsOptions = {}) {
    checkOptions('VectorIndex', options, ['dtype', 'build', 'threads', 'memoryLimit']);
    if (!Number.isSafeInteger(width) || width < 1) throw new ArgumentError(`width: expected an integer of at least 1, found ${width}`);
    const { dtype = 'float32' } = options;
    if (dtype !== 'float32' && dtype !== 'int8') throw new ArgumentError(`dtype: expected float32 or int8, found "${dtype}"`);
    this.width = width;
    this.#rows = new ScoredRows(width, options);
  }

  get count(): number {
    return this.#rows.count;
  }

  /** Appends features (n, width). @throws {ShapeError} {ArgumentError} on numbers that are not finite {MemoryError} */
  add(features: Tensor): void {
    checkDims('features', [-1, this.width], features.dims);
    const rows = unitRows(features.to('float32'));
    const wrong = rows.data.findIndex((x) => !Number.isFinite(x));
    if (wrong !== -1) throw new ArgumentError(`features[${Math.floor(wrong / this.width)}]: expected finite numbers, found others`);
    if (this.#rows.dtype === 'int8') this.#exact.push({ first: this.count, rows });
    this.#rows.add(rows);
  }

  /**
   * The `k` (default 10) features most like each of queries (n, width): best first, of equal ones the first.
   * @throws {ShapeError} {ArgumentError}
   */
  search(queries: Tensor, { k = 10 }: { k?: number } = {}): Neighbor[][] {
    checkDims('queries', [-1, this.width], queries.dims);
    if (!Number.isSafeInteger(k) || k < 1) throw new ArgumentError(`k: expected an integer of at least 1, found ${k}`);
    const units = unitRows(queries.to('float32'));
    return Array.from({ length: queries.dims[0] as number }, (_, i) => this.#nearest(units.at(i), k));
  }

  dispose(): void {
    this.#rows.dispose();
  }

  #nearest(query: Float32, k: number): Neighbor[] {
    const isExact = this.#rows.dtype === 'float32';
    const best = new Best(isExact ? k : k + CANDIDATES);
    this.#rows.score(query, (scores, first) => best.offer(scores, first));
    if (isExact) return best.sorted();
    return best
      .sorted()
      .map(({ row }) => ({ row, score: this.#scoreOf(row, query) }))
      .sort(byScore)
      .slice(0, k);
  }

  #scoreOf(row: number, query: Float32): number {
    let [low, high] = [0, this.#exact.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#exact[middle]?.first as number) <= row) low = middle;
      else high = middle - 1;
    }
    const piece = this.#exact[low] as { first: number; rows: Float32 };
    const { data } = piece.rows.at(row - piece.first);
    return query.data.reduce((sum, x, i) => sum + x * (data[i] as number), 0);
  }
}

const byScore = (a: Neighbor, b: Neighbor): number => b.score - a.score || a.row - b.row;

/** The best of scores that come in the order of their rows: a heap, the worst on top. */
class Best {
  readonly #limit: number;
  readonly #heap: Neighbor[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(scores: Float32Array, first: number): void {
    let least = this.#least();
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i] as number;
      if (score > least) {
        this.#put({ row: first + i, score });
        least = this.#least();
      }
    }
  }

  sorted(): Neighbor[] {
    return [...this.#heap].sort(byScore);
  }

  /** What a score has to exceed. */
  #least(): number {
    return this.#heap.length < this.#limit ? Number.NEGATIVE_INFINITY : (this.#heap[0] as Neighbor).score;
  }

  #put(item: Neighbor): void {
    const heap = this.#heap;
    const worse = (a: number, b: number): boolean => byScore(heap[a] as Neighbor, heap[b] as Neighbor) > 0;
    const swap = (a: number, b: number): void => {
      [heap[a], heap[b]] = [heap[b] as Neighbor, heap[a] as Neighbor];
    };
    if (heap.length < this.#limit) {
      heap.push(item);
      for (let i = heap.length - 1; i > 0 && worse(i, (i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1);
      return;
    }
    heap[0] = item;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const child = right < heap.length && worse(right, left) ? right : left;
      if (child >= heap.length || !worse(child, i)) return;
      swap(i, child);
      i = child;
    }
  }
}
