/** What became of a mutant: noticed by a test, by a test that did not come to an end, by none, or not even run by one. */
export type Fate = 'killed' | 'timed out' | 'survived' | 'uncovered';

export interface Judged {
  readonly path: string;
  readonly line: number;
  /** The whole line, by which the mutant is found again when others have moved. */
  readonly code: string;
  readonly kind: string;
  readonly original: string;
  readonly replacement: string;
  readonly fate: Fate;
  /** The test that failed, and how. */
  readonly by?: string | undefined;
  /** Why no test can notice it, where somebody has shown that. */
  readonly reason?: string | undefined;
}

/** The interval in which a share lies with 95 % confidence, given so many of so many (Wilson 1927). */
export function wilson(count: number, of: number): [low: number, high: number] {
  if (of === 0) return [0, 1];
  const z = 1.959964;
  const share = count / of;
  const center = (share + z ** 2 / (2 * of)) / (1 + z ** 2 / of);
  const reach = (z / (1 + z ** 2 / of)) * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2));
  return [Math.max(0, center - reach), Math.min(1, center + reach)];
}

/** Markdown: a row for each file, and one for all. Known equivalents count as survivors, and are given beside. */
export function table(judged: readonly Judged[]): string {
  const paths = [...new Set(judged.map(({ path }) => path))].sort();
  const line = (name: string, mutants: readonly Judged[]): string => {
    const count = (fate: Fate): number => mutants.filter((mutant) => mutant.fate === fate).length;
    const noticed = count('killed') + count('timed out');
    const [low, high] = wilson(noticed, mutants.length).map((share) => (100 * share).toFixed(1));
    const equivalent = mutants.filter(({ fate, reason }) => fate === 'survived' && reason !== undefined).length;
    const share = `${((100 * noticed) / mutants.length).toFixed(1)} % (${low} to ${high})`;
    return `| ${name} | ${mutants.length} | ${noticed} | ${count('timed out')} | ${count('survived')} | ${count('uncovered')} | ${equivalent} | ${share} |`;
  };
  return [
    '| file | mutants | noticed | of these by time | survived | run by no test | equivalent of these | noticed, with 95 % interval |',
    '|---|---|---|---|---|---|---|---|',
    ...paths.map((path) =>
      line(
        path,
        judged.filter((mutant) => mutant.path === path),
      ),
    ),
    line('all', judged),
  ].join('\n');
}
