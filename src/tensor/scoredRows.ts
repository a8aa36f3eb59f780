import { ShapeError } from '../errors.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';

/** Rows of a block, whose memory is taken at once. */
const BLOCK = 16384;
/** Rows that are made integers at a time. */
const PIECE = 64;
/** Rows, and numbers, that kernels take at a time (`assembly/search/i8_dot_rows.ts`), and the largest integer of a query. */
const SPAN = 256;
const SPANS = BLOCK / SPAN; // of a block
/** Spans that are looked at first: those of the highest peaks, after which few others are left. */
const FIRST = 32;
const STEP = 32;
const MOST = 65;
/** More than what the roundings to float32 of rows of length 1, their errors and scores come to: fewer than ten, of numbers of up to 4 that hardly are. */
const SLACK = 40 * 2 ** -24;

interface Block {
  readonly integers: Address;
  /** Scales and errors (`assembly/search/i8_quantize_rows.ts`). */
  readonly heads: Address;
  /** What their cosines with the last query are at most. */
  readonly bounds: Address;
}

/**
 * Directions of rows as 8-bit integers in the memory of an engine of their own, to be compared with one query after another. A quarter of the memory
 * of floats is what a search has to wait for, and how far each may be off is known, so that those that matter can be looked at again.
 */
export class ScoredRows {
  readonly width: number;
  readonly #engine: Engine;
  readonly #blocks: Block[] = [];
  /** Bytes of a row. */
  readonly #stride: number;
  /** The peaks of a block, and a query: taken with the first rows, so that what was added can be searched. */
  #room: Address = 0;
  #count = 0;

  constructor(width: number, options: EngineOptions = {}) {
    this.width = width;
    this.#stride = Math.ceil(width / STEP) * STEP;
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
    this.#reserve(this.#count + lengths.length);
    engine.scope(() => {
      const units = new Float32Array(PIECE * width);
      const x = engine.allocate(units.byteLength);
      for (let done = 0; done < lengths.length; ) {
        const { integers, heads } = this.#blocks[Math.floor(this.#count / BLOCK)] as Block;
        const place = this.#count % BLOCK;
        const taken = Math.min(lengths.length - done, BLOCK - place, PIECE);
        const end = done + taken;
        engine.write(x, divided(rows.subarray(done * width, end * width), lengths.subarray(done, end), units));
        engine.call('i8_quantize_rows', taken, width, x, integers + place * this.#stride, heads + place * 8);
        this.#count += taken;
        done = end;
      }
    });
  }

  /**
   * Calls `visit`, in any order, with what the cosines of rows from `first` on and a query of length 1, or 0, are at most, valid until it returns. That
   * gives what they have to be to matter from then on: where none of a span of rows can be, the span is passed over.
   * @throws {ShapeError}
   */
  score(query: Float64Array, visit: (bounds: Float32Array, first: number) => number): void {
    const { width } = this;
    if (query.length !== width) throw new ShapeError(`query: expected ${width} numbers, found ${query.length}`);
    if (this.#count === 0) return;
    const engine = this.#engine;
    const bytes = engine.multipliesBytes;
    const { integers, sum, scale, error } = rounded(query, this.#stride);
    const peaksAt = this.#room;
    const q = peaksAt + SPANS * 4;
    engine.write(q, bytes ? integers : paired(integers));
    const blocks = this.#blocks.slice(0, Math.ceil(this.#count / BLOCK)); // others have rows that did not come
    const peaks = new Float32Array(blocks.length * SPANS).fill(Number.NEGATIVE_INFINITY);
    for (const [i, { integers, heads, bounds }] of blocks.entries()) {
      const count = Math.min(BLOCK, this.#count - i * BLOCK);
      engine.parallel(count, SPAN, (first, items) => [
        ...(['i8_dot_rows', Number(bytes), items, this.#stride, integers + first * this.#stride, heads + first * 8] as const),
        ...([q, sum, scale, error, bounds + first * 4, peaksAt + (first / SPAN) * 4] as const),
      ]);
      engine.read(peaksAt, peaks.subarray(i * SPANS, i * SPANS + Math.ceil(count / SPAN)));
    }
    const spans = Math.ceil(this.#count / SPAN);
    const bounds = new Float32Array(SPAN);
    const look = (span: number): number => {
      const { bounds: from } = blocks[Math.floor(span / SPANS)] as Block;
      const found = bounds.subarray(0, this.#count - span * SPAN);
      engine.read(from + (span % SPANS) * SPAN * 4, found);
      return visit(found, span * SPAN);
    };
    let least = Number.NEGATIVE_INFINITY;
    const matters = (span: number): boolean => !((peaks[span] as number) < least);
    const first = new Set(highest(peaks.subarray(0, spans), FIRST));
    for (const span of first) if (matters(span)) least = look(span);
    for (let span = 0; span < spans; span++) if (matters(span) && !first.has(span)) least = look(span);
  }

  dispose(): void {
    this.#engine.dispose();
  }

  #reserve(count: number): void {
    const engine = this.#engine;
    this.#room ||= engine.allocate(SPANS * 4 + this.#stride * 2);
    while (this.#blocks.length * BLOCK < count) {
      const integers = engine.allocate(BLOCK * (this.#stride + 12));
      const heads = integers + BLOCK * this.#stride;
      this.#blocks.push({ integers, heads, bounds: heads + BLOCK * 8 });
    }
  }
}

/** Where the highest of some numbers are, as many as `count` of them, the highest first. */
function highest(numbers: Float32Array, count: number): number[] {
  const found: number[] = [];
  for (const [i, x] of numbers.entries()) {
    if (found.length === count && !(x > (numbers[found[count - 1] as number] as number))) continue;
    let at = found.length;
    while (at > 0 && (numbers[found[at - 1] as number] as number) < x) at -= 1;
    found.splice(at, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}

/** Rows divided by their lengths, at the front of `units`. */
function divided(rows: Float32Array, lengths: Float64Array, units: Float32Array): Float32Array {
  const width = rows.length / lengths.length;
  for (let i = 0, at = 0; i < lengths.length; i++) {
    const factor = 1 / (lengths[i] as number);
    for (const end = at + width; at < end; at++) units[at] = (rows[at] as number) * factor;
  }
  return units.subarray(0, rows.length);
}

interface RoundedQuery {
  /** With zeros behind them. The query ~ scale * integers. */
  readonly integers: Int8Array;
  readonly sum: number;
  readonly scale: number;
  /** The length of the difference, and what roundings come to: |x q - x' q'| <= |x - x'| |q| + |x'| |q - q'|, and |x'| <= 1 + |x - x'|. */
  readonly error: number;
}

function rounded(query: Float64Array, stride: number): RoundedQuery {
  const scale = Math.fround(query.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / MOST) || 1;
  const integers = new Int8Array(stride);
  let [sum, square] = [0, 0];
  for (const [i, x] of query.entries()) {
    const nearest = Math.round(x / scale);
    integers[i] = nearest;
    sum += nearest;
    square += (x - scale * nearest) ** 2;
  }
  return { integers, sum, scale, error: Math.sqrt(square) + SLACK };
}

/** As words, of every 16 integers the even ones, and behind them the odd ones less 256 times these. */
function paired(integers: Int8Array): Int16Array {
  return Int16Array.from({ length: integers.length }, (_, i) => {
    const even = (i & ~15) + 2 * (i & 7);
    return i & 8 ? (integers[even + 1] as number) - 256 * (integers[even] as number) : (integers[even] as number);
  });
}
