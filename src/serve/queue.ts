import { ProblemError } from './problems.ts';

export interface QueueOptions {
  /** How many may have a turn at the same time. */
  readonly concurrency: number;
  /** How many may wait for one, or be on the way to that. */
  readonly waiting: number;
}

/** What a request holds from its header to its answer. */
export interface Place {
  readonly client: string;
  /** Says that the request is not wanted any more, and why. */
  readonly signal: AbortSignal;
  abort(reason: Error): void;
}

/** Of the mean time of a turn, the part that the latest is. */
const WEIGHT = 0.1;
/** In seconds. */
const LONGEST_RETRY = 60;

/**
 * A bounded queue in front of something scarce, in two steps: a request enters when its header is there, and asks for a turn when its body is. Turns
 * go round the clients, and to each in the order of its requests; when all places are taken, a newcomer gets the latest place of the client
 * with most of them, as long as that one keeps as many as the newcomer then has. So who sends a lot holds up itself, and not the others.
 */
export class FairQueue {
  readonly #options: QueueOptions;
  readonly #places = new Set<Place>();
  /** By client, of which the first is the next. */
  readonly #waiting = new Map<string, Waiting[]>();
  /** Those that have a turn, and since when. */
  readonly #running = new Map<Place, number>();
  readonly #onIdle: (() => void)[] = [];
  /** In milliseconds; of the last turns. */
  #meanTurn = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many have a turn. */
  get running(): number {
    return this.#running.size;
  }

  /** How many have a place but no turn. */
  get waiting(): number {
    return this.#places.size - this.#running.size;
  }

  /** @throws {ProblemError} Busy, saying when to come again */
  enter(client: string): Place {
    const { concurrency, waiting } = this.#options;
    if (this.#places.size >= concurrency + waiting) this.#makeRoomFor(client);
    const controller = new AbortController();
    const place: Place = { client, signal: controller.signal, abort: (reason) => controller.abort(reason) };
    this.#places.add(place);
    return place;
  }

  /** Resolves when it is the turn of the place, which lasts until it leaves. @throws the reason of its signal */
  turn(place: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      place.signal.throwIfAborted();
      place.signal.addEventListener('abort', () => reject(place.signal.reason), { once: true });
      this.#waiting.set(place.client, [...(this.#waiting.get(place.client) ?? []), { place, resolve }]);
      this.#next();
    });
  }

  leave(place: Place): void {
    if (!this.#places.delete(place)) return;
    const since = this.#running.get(place);
    if (since !== undefined) {
      const time = performance.now() - since;
      this.#meanTurn = this.#meanTurn === 0 ? time : this.#meanTurn * (1 - WEIGHT) + time * WEIGHT;
      this.#running.delete(place);
    }
    const others = this.#waiting.get(place.client)?.filter((each) => each.place !== place) ?? [];
    if (others.length > 0) this.#waiting.set(place.client, others);
    else this.#waiting.delete(place.client);
    this.#next();
    if (this.#places.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Resolves when all have left. */
  async idle(): Promise<void> {
    if (this.#places.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  abortAll(reason: Error): void {
    for (const place of this.#places) place.abort(reason);
  }

  #next(): void {
    while (this.#running.size < this.#options.concurrency) {
      const [first] = this.#waiting;
      if (!first) return;
      const [client, [next, ...others]] = first as [string, [Waiting, ...Waiting[]]];
      this.#waiting.delete(client);
      if (others.length > 0) this.#waiting.set(client, others); // behind the other clients
      this.#running.set(next.place, performance.now());
      next.resolve();
    }
  }

  #makeRoomFor(client: string): void {
    const held = new Map<string, Place[]>();
    for (const place of this.#places) {
      if (!this.#running.has(place)) held.set(place.client, [...(held.get(place.client) ?? []), place]);
    }
    const busy = this.#busy();
    const most = [...held.values()].reduce((a, b) => (b.length > a.length ? b : a), []);
    const latest = most.at(-1);
    if (!latest || most.length < (held.get(client)?.length ?? 0) + 2) throw busy;
    latest.abort(busy);
    this.leave(latest);
  }

  #busy(): ProblemError {
    const turns = this.#places.size / this.#options.concurrency;
    const seconds = Math.min(Math.max(Math.ceil((turns * this.#meanTurn) / 1000), 1), LONGEST_RETRY);
    return new ProblemError('Busy', `expected a free place in the queue, found ${this.#places.size} requests: try again in ${seconds} s`, {
      'retry-after': String(seconds),
    });
  }
}

interface Waiting {
  readonly place: Place;
  readonly resolve: () => void;
}
