/** Pixels that are decoded at the same time. What decoding takes is 20 to 35 bytes for each: see `decodeImage`. */
const ROOM = 50_000_000;

const USED = 0;

/**
 * Bounds the memory of threads that decode: a picture is let in when there is room for its pixels beside those that are being decoded, or when it
 * is alone. In shared memory, for the thread that starts the others is busy and would answer late.
 */
export class PixelGate {
  /** To be sent to the other threads. */
  readonly memory: SharedArrayBuffer;
  /** The sum, and behind it what each thread has let in. */
  readonly #pixels: Int32Array;

  /** A new gate for so many threads, or one that another thread made. */
  constructor(threads: number | SharedArrayBuffer) {
    this.memory = typeof threads === 'number' ? new SharedArrayBuffer(4 * (1 + threads)) : threads;
    this.#pixels = new Int32Array(this.memory);
  }

  /** Waits until there is room. The thread has nothing in the gate so far. */
  enter(thread: number, pixels: number): void {
    const count = Math.min(pixels, 2 ** 30); // no overflow: more than the room is alone in any case
    for (;;) {
      const used = Atomics.load(this.#pixels, USED);
      if (used > 0 && used + count > ROOM) Atomics.wait(this.#pixels, USED, used);
      else if (Atomics.compareExchange(this.#pixels, USED, used, used + count) === used) break;
    }
    Atomics.store(this.#pixels, 1 + thread, count);
  }

  /** Gives back what a thread has let in, if anything. */
  leave(thread: number): void {
    Atomics.sub(this.#pixels, USED, Atomics.exchange(this.#pixels, 1 + thread, 0));
    Atomics.notify(this.#pixels, USED);
  }
}
