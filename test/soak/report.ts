/** One look at a process. */
export interface Sample {
  /** Since the beginning, in milliseconds. */
  readonly time: number;
  /** By name: bytes, or a count. */
  readonly values: Readonly<Record<string, number>>;
}

/** What one number did over a time. */
export interface Trend {
  /** The least of the first third after warming up, and of the last: what garbage that is not collected yet does not show in. */
  readonly first: number;
  readonly last: number;
  readonly largest: number;
  /** Whether it is higher in the last third by more than may be. */
  readonly grows: boolean;
}

/** Of the time: until caches are full and code is compiled. */
const WARM_UP = 0.2;
/** More than this part of it, */
const GROWTH = 0.1;
/** and than so many bytes. */
const LEAST = 8 * 2 ** 20;

/** @param samples of the whole time, in their order */
export function trendOf(samples: readonly Sample[], name: string): Trend {
  const end = samples.at(-1)?.time ?? 0;
  const warm = samples.filter(({ time }) => time >= WARM_UP * end).map(({ values }) => values[name] as number);
  const third = Math.max(1, Math.floor(warm.length / 3));
  const [first, last] = [Math.min(...warm.slice(0, third)), Math.min(...warm.slice(-third))];
  return {
    first,
    last,
    largest: Math.max(...samples.map(({ values }) => values[name] as number)),
    grows: last - first > Math.max(LEAST, GROWTH * first),
  };
}

/** The value that a part `q` of others does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
