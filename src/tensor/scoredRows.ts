import { Engine, type EngineOptions } from '../runtime/engine.ts';
import type { Address } from '../runtime/memory.ts';
import { FORMS } from './matrix/quantizedRows.ts';
import { addressOf, checkDims, type Float32, placed } from './place.ts';

export interface ScoredRowsOptions extends EngineOptions {
  /** How rows are held: int8 with a scale a row is a quarter of the memory, which is what a search waits for. Default float32. */
  dtype?: 'float32' | 'int8';
}

/** Rows of a block: its memory, and that of its scores, is taken at once. */
const BLOCK = 16384;

interface Block {
  readonly rows: Address;
  /** Of int8: one a row. */
  readonly scales: Address;
}

/** Rows in the memory of an engine of their own, to be multiplied with one query after another. */
export class ScoredRows {
  readonly width: number;
  readonly dtype: 'float32' | 'int8';
  readonly #engine: Engine;
  readonly #blocks: Block[] = [];
  #count = 0;

  constructor(width: number, { dtype = 'float32', ...options }: ScoredRowsOptions = {}) {
    this.width = width;
    this.dtype = dtype;
    this.#engine = new Engine(options);
  }

  get count(): number {
    return this.#count;
  }

  /** Appends rows (n, width). @throws {ShapeError} {MemoryError} */
  add(rows: Float32): void {
    checkDims('rows', [-1, this.width], rows.dims);
    const total = rows.dims[0] as number;
    for (let done = 0; done < total; ) {
      const place = this.#count % BLOCK;
      if (place === 0) this.#blocks.push(this.#allocate());
      const taken = Math.min(total - done, BLOCK - place);
      this.#put(rows.slice(done, done + taken), this.#blocks.at(-1) as Block, place);
      this.#count += taken;
      done += taken;
    }
  }

  /** Calls `visit` with the products of the query and the rows, block by block: those from row `first` on, valid until it returns. */
  score(query: Float32, visit: (scores: Float32Array, first: number) => void): void {
    checkDims('query', [this.width], query.dims);
    const engine = this.#engine;
    engine.scope(() => {
      const q = addressOf(placed(engine, query));
      const small = engine.allocate(this.width);
      const scaleAt = engine.allocate(4);
      const y = engine.allocate(BLOCK * 4);
      const scale = new Float32Array(1);
      if (this.dtype === 'int8') {
        engine.call('i8_quantize_weights', 1, this.width, this.width, q, small, scaleAt);
        engine.read(scaleAt, scale);
      }
      const form = FORMS[engine.integerForm].number;
      const scores = new Float32Array(BLOCK);
      for (const [i, block] of this.#blocks.entries()) {
        const count = Math.min(BLOCK, this.#count - i * BLOCK);
        engine.parallel(count, 256, (first, items) => {
          if (this.dtype === 'float32') return ['f32_dot_rows', items, this.width, block.rows + first * this.width * 4, q, y + first * 4];
          const at = block.rows + first * this.width;
          return ['i8_dot_rows', form, items, this.width, at, block.scales + first * 4, small, scale[0] as number, y + first * 4];
        });
        const found = scores.subarray(0, count);
        engine.read(y, found);
        visit(found, i * BLOCK);
      }
    });
  }

  dispose(): void {
    this.#engine.dispose();
  }

  #allocate(): Block {
    const rows = this.#engine.allocate(BLOCK * this.width * (this.dtype === 'int8' ? 1 : 4));
    return { rows, scales: this.dtype === 'int8' ? this.#engine.allocate(BLOCK * 4) : 0 };
  }

  #put(rows: Float32, block: Block, first: number): void {
    const engine = this.#engine;
    if (this.dtype === 'float32') {
      engine.write(block.rows + first * this.width * 4, rows.data);
      return;
    }
    engine.scope(() => {
      const x = addressOf(placed(engine, rows));
      const at = block.rows + first * this.width;
      engine.call('i8_quantize_weights', rows.dims[0] as number, this.width, this.width, x, at, block.scales + first * 4);
    });
  }
}
