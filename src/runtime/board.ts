/** Parts that a job may have. */
export const MOST_PARTS = 1024;
/** Arguments that a kernel may have. */
export const MOST_ARGUMENTS = 20;

/** Words at the head of the board. */
const JOB = 0;
const SHARES = 1;
const PARTS = 2;
const DONE = 3;
const FAILED = 4;
const PAGES = 5;

/**
 * Each share of a job, which one thread begins with, has a ticket: a number of the job and how many of its parts are left, so that they change
 * together; behind it stands where the share ends. Tickets are as far apart that no two threads write to a cache line.
 */
const TICKET_WORDS = 16;

const LEFT_BITS = 11;
const LEFT_MASK = (1 << LEFT_BITS) - 1;
const JOB_MASK = (1 << (32 - LEFT_BITS)) - 1;

/** Threads that a board has room for, the one that pins the jobs included. */
export const MOST_THREADS = 64;

const HEAD_WORDS = TICKET_WORDS * (1 + MOST_THREADS);

/**
 * Looks at the board before a thread goes to sleep for want of a job: some milliseconds. Threads that sleep within a run wake late, and often on the
 * processor of the one that wakes them.
 */
const LOOKS_FOR_A_JOB = 500_000;
/** And for others to end theirs: some tenths of one, for they may need this processor. */
const LOOKS_FOR_THE_END = 50_000;

/** Milliseconds, of which systems make a little more. */
const NAP = 0.05;

/** Letters that the board has room for, of why a part failed. */
const MOST_LETTERS = 200;

/** Bytes of a board. */
const ROOM = HEAD_WORDS * 4 + MOST_PARTS * (2 * 4 + MOST_ARGUMENTS * 8) + 4 * MOST_THREADS + 2 * MOST_LETTERS;

/** One kernel call: the place of the kernel in the list that all threads have, and its arguments. */
export interface NumberedCall {
  readonly kernel: number;
  readonly args: readonly number[];
}

/**
 * What the threads of an engine have in common besides its memory: a board of shared memory, to which one thread pins a job, kernel calls that do
 * not depend on one another, in as many shares as there are threads. Every thread takes part after part of its own share, then of the others', until
 * there are none: what it has made is in its caches when the next job is shared alike, and a thread that sleeps through a job is not missed.
 */
export class Board {
  /** To be sent to the other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #number: number;
  readonly #head: Int32Array;
  readonly #kernels: Int32Array;
  readonly #args: Float64Array;
  /** By number of the thread, 1 where it takes part. */
  readonly #joined: Int32Array;
  readonly #letters: Uint16Array;
  #job = 0;

  /** @param number of this thread: 0 pins the jobs. @param memory of the board that thread 0 made */
  constructor(number = 0, memory: SharedArrayBuffer = new SharedArrayBuffer(ROOM)) {
    this.memory = memory;
    this.#number = number;
    this.#head = new Int32Array(memory, 0, HEAD_WORDS);
    this.#kernels = new Int32Array(memory, HEAD_WORDS * 4, 2 * MOST_PARTS); // kernel and number of arguments
    this.#args = new Float64Array(memory, HEAD_WORDS * 4 + 2 * 4 * MOST_PARTS, MOST_PARTS * MOST_ARGUMENTS);
    this.#joined = new Int32Array(memory, ROOM - 2 * MOST_LETTERS - 4 * MOST_THREADS, MOST_THREADS);
    this.#letters = new Uint16Array(memory, ROOM - 2 * MOST_LETTERS, MOST_LETTERS);
  }

  /** Says that this thread is there and may take parts from now on. */
  join(): void {
    Atomics.store(this.#joined, this.#number, 1);
  }

  /** Whether a thread may have taken a part. One that has not can be done without. */
  hasJoined(thread: number): boolean {
    return Atomics.load(this.#joined, thread) === 1;
  }

  /** Pages that engine memory has, as of the job at hand. */
  get pages(): number {
    return Atomics.load(this.#head, PAGES);
  }

  /** The first part of the job at hand that failed, and why, once {@link finish} has told that one did. */
  get failure(): { readonly part: number; readonly why: string } {
    const letters = this.#letters;
    return { part: Atomics.load(this.#head, FAILED) - 1, why: String.fromCharCode(...letters.slice(0, letters.indexOf(0))) };
  }

  /**
   * Pins up a job, in shares of as many neighbours. There is none other: {@link finish} has seen the end of the last.
   * @param pages of engine memory, if its size matters
   */
  post(calls: readonly NumberedCall[], shares: number, pages = 0): void {
    for (const [part, { kernel, args }] of calls.entries()) {
      this.#kernels[2 * part] = kernel;
      this.#kernels[2 * part + 1] = args.length;
      this.#args.set(args, part * MOST_ARGUMENTS);
    }
    const head = this.#head;
    const job = (Atomics.load(head, JOB) + 1) & JOB_MASK;
    Atomics.store(head, DONE, 0);
    Atomics.store(head, FAILED, 0);
    Atomics.store(head, PAGES, pages);
    Atomics.store(head, SHARES, shares);
    Atomics.store(head, PARTS, calls.length);
    for (let share = 0, first = 0; share < shares; share++) {
      const end = Math.round((calls.length * (share + 1)) / shares);
      Atomics.store(head, ticketOf(share) + 1, end);
      Atomics.store(head, ticketOf(share), (job << LEFT_BITS) | (end - first));
      first = end;
    }
    Atomics.store(head, JOB, job);
    // A thread that wakes up may have been put behind this one, on the same processor: whoever makes way comes back on another.
    if (Atomics.notify(head, JOB) > 0) sleep(head, DONE, 0, NAP);
  }

  /** Takes part after part of the job at hand until there are none; what goes wrong in one is for {@link finish} to tell. */
  work(run: (kernel: number, args: readonly number[]) => void): void {
    const head = this.#head;
    this.#job = Atomics.load(head, JOB);
    const shares = Atomics.load(head, SHARES);
    let done = 0;
    for (let i = 0; i < shares; i++) done += this.#workOn(ticketOf((this.#number + i) % shares), run);
    // told once, as each word that two threads write to travels between their caches
    if (done && Atomics.add(head, DONE, done) + done === Atomics.load(head, PARTS)) Atomics.notify(head, DONE);
  }

  /** @param place of the ticket of a share. @returns how many of its parts it did */
  #workOn(place: number, run: (kernel: number, args: readonly number[]) => void): number {
    const args: number[] = [];
    for (let done = 0; ; ) {
      const ticket = Atomics.load(this.#head, place);
      const left = ticket & LEFT_MASK;
      if (left === 0) return done;
      const part = Atomics.load(this.#head, place + 1) - left;
      if (Atomics.compareExchange(this.#head, place, ticket, ticket - 1) !== ticket) continue;
      try {
        args.length = this.#kernels[2 * part + 1] as number;
        for (let i = 0; i < args.length; i++) args[i] = this.#args[part * MOST_ARGUMENTS + i] as number;
        run(this.#kernels[2 * part] as number, args);
      } catch (error) {
        this.#fail(part, String((error as Partial<Error> | undefined)?.message ?? error));
      }
      done += 1;
    }
  }

  #fail(part: number, why: string): void {
    if (Atomics.compareExchange(this.#head, FAILED, 0, part + 1) !== 0) return;
    const codes = Array.from({ length: Math.min(why.length, MOST_LETTERS - 1) }, (_, i) => why.charCodeAt(i));
    this.#letters.set([...codes, 0]);
  }

  /**
   * Waits until all parts of the job at hand are done.
   * @param patience milliseconds in which one part at least has to be taken, or the last be done
   * @param hasLost whether a thread that may have taken a part has ended: asked now and then
   * @returns what went wrong, or undefined
   */
  finish(patience: number, hasLost: () => boolean = () => false): 'failed' | 'silent' | 'lost' | undefined {
    const head = this.#head;
    const parts = Atomics.load(head, PARTS);
    let last = parts;
    let since = performance.now();
    for (let looks = 0; ; looks++) {
      const done = Atomics.load(head, DONE);
      if (done === parts) return Atomics.load(head, FAILED) ? 'failed' : undefined;
      if (looks < LOOKS_FOR_THE_END) continue;
      sleep(head, DONE, done, 100);
      if (hasLost() && Atomics.load(head, DONE) !== parts) return 'lost';
      const left = this.#left();
      if (left !== last) since = performance.now();
      else if (performance.now() - since > patience) return 'silent';
      last = left;
    }
  }

  /** How many parts of the job at hand nobody has taken. */
  #left(): number {
    let left = 0;
    for (let share = 0; share < Atomics.load(this.#head, SHARES); share++) left += Atomics.load(this.#head, ticketOf(share)) & LEFT_MASK;
    return left;
  }

  /** Sleeps until another job is pinned up than that which this thread has worked on. */
  wait(): void {
    for (let looks = 0; looks < LOOKS_FOR_A_JOB; looks++) {
      if (Atomics.load(this.#head, JOB) !== this.#job) return;
    }
    Atomics.wait(this.#head, JOB, this.#job);
  }
}

/** The word of the ticket of a share. */
function ticketOf(share: number): number {
  return TICKET_WORDS * (1 + share);
}

/** Until a word changes, or some milliseconds have passed. The main thread of a browser must not sleep: there it goes on looking. */
function sleep(words: Int32Array, index: number, seen: number, milliseconds: number): void {
  try {
    Atomics.wait(words, index, seen, milliseconds);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
