import { host } from '#host';
import { MemoryError } from '../errors.ts';

/** A place in engine memory: a byte offset. 0 is no place. */
export type Address = number;

/** Bytes by which WebAssembly memory grows, and of the smallest one. */
export const PAGE = 65536;
const ALIGNMENT = 64; // a cache line: packed panels and rows start on one
const WASM32_LIMIT = 65536 * PAGE;

interface Hole {
  start: Address;
  end: Address;
}

const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * The linear memory of one engine, given out as a stack. What is allocated outside any scope lives until it is freed (weights, traces);
 * what is allocated inside a scope (activations) is gone when the scope ends. The second run of a shape takes exactly the places of the
 * first, so memory does not grow from then on.
 */
export class Memory {
  wasm: WebAssembly.Memory;
  /** Bytes that it may take at most. */
  readonly limit: number;
  #top = 4096; // what is below belongs to the kernels: address 0 and their constants
  #holes: Hole[] = [];
  #depth = 0;
  #highest = 0;

  /** @param options shared: with other threads; limit: bytes it may take, at most and by default 4 GiB */
  constructor({ shared = false, limit = WASM32_LIMIT }: { shared?: boolean; limit?: number } = {}) {
    this.limit = Math.floor(Math.min(limit, WASM32_LIMIT) / PAGE) * PAGE; // the host gives whole pages
    // the kernels are compiled for a shared memory of up to 4 GiB; the limit is held here
    try {
      this.wasm = new WebAssembly.Memory(shared ? { initial: 1, maximum: WASM32_LIMIT / PAGE, shared } : { initial: 1 });
    } catch (cause) {
      throw new MemoryError('engine memory: the host refused to make one: dispose of models that are not used, or give the process more', {
        cause,
      });
    }
  }

  /** Bytes up to the highest place in use. */
  get used(): number {
    return this.#top;
  }

  /** Bytes taken from the host. */
  get reserved(): number {
    return this.wasm.buffer.byteLength;
  }

  allocate(bytes: number): Address {
    const size = align(bytes);
    if (this.#depth === 0) {
      const hole = this.#holes.find((h) => h.end - h.start >= size);
      if (hole) {
        const address = hole.start;
        hole.start += size;
        if (hole.start === hole.end) this.#holes.splice(this.#holes.indexOf(hole), 1);
        return address;
      }
    }
    const address = this.#top;
    this.#reserve(address + size);
    this.#top = address + size;
    this.#highest = Math.max(this.#highest, this.#top);
    return address;
  }

  /** Gives back a block that was allocated outside any scope. */
  free(address: Address, bytes: number): void {
    this.#holes.push({ start: address, end: address + align(bytes) });
    this.#holes.sort((a, b) => a.start - b.start);
    const merged: Hole[] = [];
    for (const hole of this.#holes) {
      const last = merged.at(-1);
      if (last && last.end === hole.start) last.end = hole.end;
      else merged.push(hole);
    }
    this.#holes = merged;
    this.#trim();
  }

  /**
   * Begins a scope, in free memory or in a block that was allocated for it; to be ended by {@link leave} with what this returns. Scopes
   * nest.
   */
  enter(block: Address = this.#top): Address {
    const mark = this.#top;
    this.#depth += 1;
    this.#top = block;
    if (this.#depth === 1) this.#highest = block;
    return mark;
  }

  /** Ends a scope: what was allocated in it is released. */
  leave(mark: Address): void {
    this.#depth -= 1;
    this.#top = mark;
    this.#trim();
  }

  /** The end of the highest place that was taken since the outermost scope began. */
  get highest(): Address {
    return this.#highest;
  }

  dispose(): void {
    const bytes = this.reserved;
    this.wasm = new WebAssembly.Memory({ initial: 0 });
    host.released?.(bytes);
  }

  /** Takes back the hole at the top; not within a scope, whose end is a place that must stay. */
  #trim(): void {
    const last = this.#holes.at(-1);
    if (this.#depth > 0 || last?.end !== this.#top) return;
    this.#top = last.start;
    this.#holes.pop();
  }

  #reserve(end: number): void {
    if (end <= this.wasm.buffer.byteLength) return;
    if (end > this.limit) {
      throw new MemoryError(
        `engine memory: expected at most ${sizeText(this.limit)}, needs ${sizeText(end)}: use a smaller image or batch, or raise memoryLimit`,
      );
    }
    try {
      this.wasm.grow(Math.ceil((end - this.wasm.buffer.byteLength) / PAGE));
    } catch (cause) {
      throw new MemoryError(
        `engine memory: the host refused to grow it to ${sizeText(end)}: dispose of models that are not used, or give the process more`,
        { cause },
      );
    }
  }
}

function sizeText(bytes: number): string {
  return bytes < 16 * 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
