import { ShapeError } from '../errors.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';

/** Rows of a block: its memory, and that of its scores, is taken at once. */
const BLOCK = 16384;
/** Rows that are made integers at a time. */
const PIECE = 64;
/** A query is made integers of 0 to so much, which relaxed SIMD promises to multiply exactly. */
const MOST = 127;
/** The rounding of a float32, relative. */
const UNIT = 2 ** -24;
/** More than what the roundings of rows to their length of 1, of their errors and of scores come to: fewer than ten, of numbers that may be up to 4 but hardly are. */
const SLACK = 40 * UNIT;

interface Block {
  readonly integers: Address;
  /** Scales and sums (`assembly/search/i8_quantize_rows.ts`). */
  readonly heads: Address;
  /** By how much a row and its integers differ at most: the length of the difference. */
  error: number;
}

/** A query of length 1 ~ scale * (integers - zero). */
interface RoundedQuery {
  readonly integers: Uint8Array;
  readonly zero: number;
  readonly scale: number;
  /** The length of the difference. */
  readonly error: number;
}

/**
 * Directions of rows as 8-bit integers in the memory of an engine of their own, to be compared with one query after another. A quarter of the memory
 * of floats is what a search has to wait for, and how far each score is off is known, so that those that matter can be looked at again.
 */
export class ScoredRows {
  readonly width: number;
  readonly #engine: Engine;
  readonly #blocks: Block[] = [];
  /** Scores of a block, and behind them a query: taken with the first rows, so that what was added can be searched. */
  #room: Address = 0;
  #count = 0;

  constructor(width: number, options: EngineOptions = {}) {
    this.width = width;
    this.#engine = new Engine(options);
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Appends all rows (n, width), or none.
   * @param lengths theirs (n), by which they are divided; 1 for those of length 0
   * @throws {ShapeError} {MemoryError}
   */
  add(rows: Float32Array, lengths: Float64Array): void {
    const { width } = this;
    if (rows.length !== lengths.length * width) {
      throw new ShapeError(`rows: expected ${lengths.length} of ${width} numbers, found ${rows.length} numbers`);
    }
    const engine = this.#engine;
    const count = this.#count + lengths.length;
    this.#room ||= engine.allocate(BLOCK * 4 + width);
    while (this.#blocks.length * BLOCK < count) {
      const integers = engine.allocate(BLOCK * (width + 8));
      this.#blocks.push({ integers, heads: integers + BLOCK * width, error: 0 });
    }
    engine.scope(() => {
      const units = new Float32Array(PIECE * width);
      const errors = new Float32Array(PIECE);
      const x = engine.allocate(units.byteLength);
      const errorsAt = engine.allocate(errors.byteLength);
      for (let done = 0; done < lengths.length; ) {
        const block = this.#blocks[Math.floor(this.#count / BLOCK)] as Block;
        const place = this.#count % BLOCK;
        const taken = Math.min(lengths.length - done, BLOCK - place, PIECE);
        for (let i = 0, from = done * width, to = 0; i < taken; i++) {
          const factor = 1 / (lengths[done + i] as number);
          for (let j = 0; j < width; j++, from++, to++) units[to] = (rows[from] as number) * factor;
        }
        engine.write(x, units.subarray(0, taken * width));
        engine.call('i8_quantize_rows', taken, width, x, block.integers + place * width, block.heads + place * 8, errorsAt);
        engine.read(errorsAt, errors);
        for (let i = 0; i < taken; i++) block.error = Math.max(block.error, errors[i] as number);
        this.#count += taken;
        done += taken;
      }
    });
  }

  /**
   * Calls `visit` with the cosines of a query of length 1, or 0, and the rows, block by block: those from row `first` on, valid until it returns. None
   * is off by more than `error`.
   * @throws {ShapeError}
   */
  score(query: Float64Array, visit: (scores: Float32Array, first: number, error: number) => void): void {
    const { width } = this;
    if (query.length !== width) throw new ShapeError(`query: expected ${width} numbers, found ${query.length}`);
    if (this.#count === 0) return;
    const engine = this.#engine;
    const y = this.#room;
    const q = y + BLOCK * 4;
    const { integers, zero, scale, error } = rounded(query);
    engine.write(q, integers);
    const scores = new Float32Array(BLOCK);
    for (let start = 0; start < this.#count; start += BLOCK) {
      const block = this.#blocks[start / BLOCK] as Block;
      const found = scores.subarray(0, this.#count - start);
      engine.parallel(found.length, 256, (first, items) => [
        ...(['i8_dot_rows', Number(engine.multipliesBytes), items, width, block.integers + first * width] as const),
        ...([block.heads + first * 8, q, zero, scale, y + first * 4] as const),
      ]);
      engine.read(y, found);
      // |x q - x' q'| <= |x - x'| |q| + |x'| |q - q'|, and |x'| <= 1 + |x - x'|
      const off = block.error * (1 + width * UNIT);
      visit(found, start, off + (1 + off) * error + SLACK);
    }
  }

  dispose(): void {
    this.#engine.dispose();
  }
}

function rounded(query: Float64Array): RoundedQuery {
  let [low, high] = [0, 0];
  for (const x of query) {
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  const scale = Math.fround((high - low) / MOST) || 1;
  const zero = Math.round(-low / scale);
  const integers = Uint8Array.from(query, (x) => Math.max(0, Math.min(MOST, Math.round(x / scale) + zero)));
  let square = 0;
  for (let i = 0; i < query.length; i++) square += ((query[i] as number) - scale * ((integers[i] as number) - zero)) ** 2;
  return { integers, zero, scale, error: Math.sqrt(square) };
}
