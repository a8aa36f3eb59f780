/** One thing to be timed. */
export interface Candidate {
  readonly name: string;
  run(): unknown;
}

export interface Timing {
  readonly name: string;
  /** Milliseconds. */
  readonly median: number;
  /** Milliseconds: the quartiles, between which half of the runs lie. */
  readonly quartiles: readonly [number, number];
  /** Of the median of the first candidate: the median over the rounds of the ratio within a round. */
  readonly ratio: number;
}

/**
 * Times the candidates in turn, A B C A B C ..., so that a machine whose speed drifts slows all of them alike. Two rounds of warm-up are
 * not counted. Ratios are taken within a round.
 */
export async function interleave(candidates: readonly Candidate[], rounds: number): Promise<Timing[]> {
  const times = candidates.map(() => [] as number[]);
  for (let round = -2; round < rounds; round++) {
    for (const [i, candidate] of candidates.entries()) {
      const start = performance.now();
      await candidate.run();
      if (round >= 0) times[i]?.push(performance.now() - start);
    }
  }
  return candidates.map(({ name }, i) => {
    const own = times[i] as number[];
    return {
      name,
      median: quantile(own, 0.5),
      quartiles: [quantile(own, 0.25), quantile(own, 0.75)],
      ratio: quantile(
        own.map((time, round) => time / (times[0]?.[round] as number)),
        0.5,
      ),
    };
  });
}

/** The value below which a share `q` of the values lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const [low = Number.NaN, high = low] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
