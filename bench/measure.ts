/** One thing to be timed. */
export interface Candidate {
  /** Runs once; gives the milliseconds that took. */
  time(): number | Promise<number>;
}

/** How often candidates are run. */
export interface Rounds {
  /** No round is begun after so many seconds, unless fewer than `least` were run. */
  readonly seconds: number;
  readonly least: number;
  readonly most: number;
  /** Rounds before that, which are not counted. Default 2. */
  readonly warmUp?: number;
}

/** A median, and the quartiles, between which half of the values lie. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Timing {
  /** Milliseconds. */
  readonly time: Spread;
  /** To the first candidate, taken within each round. */
  readonly ratio: Spread;
}

/** Times what `run` does, on this side. */
export function timed(run: () => unknown): Candidate {
  return {
    async time() {
      const start = performance.now();
      await run();
      return performance.now() - start;
    },
  };
}

/**
 * Times the candidates in turn, A B C A B C ..., so that a machine whose speed drifts slows all of them alike. `ratio` is that of one's time to
 * another's, taken within each round.
 */
export async function interleave(
  candidates: readonly Candidate[],
  { seconds, least, most, warmUp = 2 }: Rounds,
): Promise<{ readonly timings: Timing[]; readonly rounds: number; ratio(of: number, to: number): Spread }> {
  const rounds: number[][] = [];
  let end = Number.POSITIVE_INFINITY;
  for (let round = -warmUp; round < least || (round < most && performance.now() < end); round++) {
    if (round === 0) end = performance.now() + seconds * 1000;
    const times = [];
    for (const candidate of candidates) times.push(await candidate.time());
    if (round >= 0) rounds.push(times);
  }
  const ratio = (of: number, to: number): Spread => spread(rounds.map((times) => times[of] / times[to]));
  const timings = candidates.map((_, i) => ({ time: spread(rounds.map((times) => times[i])), ratio: ratio(i, 0) }));
  return { timings, rounds: rounds.length, ratio };
}

export function spread(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}

/** The value below which a share `q` of the values lies, interpolated between neighbours. NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const [low = Number.NaN, high = low] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}
