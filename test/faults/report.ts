/** What came of one kind of fault. */
interface Row {
  injected: number;
  readonly lost: string[];
  note: string;
}

/** Counts faults: how many were injected, and after which something was lost. */
export class Report {
  readonly #rows = new Map<string, Row>();

  /** @param losses nothing where all is well */
  add(fault: string, where: string, losses: readonly string[]): void {
    const row = this.#row(fault);
    row.injected += 1;
    if (losses.length === 0) return;
    row.lost.push(`${where}: ${losses.join('; ')}`);
  }

  /** A kind of fault that cannot be had here, and why. */
  skip(fault: string, why: string): void {
    this.#row(fault).note = `PASSED OVER: ${why}`;
  }

  /** What another one has counted. */
  merge(rows: ReturnType<Report['take']>): void {
    for (const [fault, { injected, lost, note }] of rows) {
      const row = this.#row(fault);
      row.injected += injected;
      row.lost.push(...lost);
      row.note ||= note;
    }
  }

  /** What was counted, to be merged with others; it begins anew. */
  take(): readonly (readonly [fault: string, row: Row])[] {
    const rows = [...this.#rows];
    this.#rows.clear();
    return rows;
  }

  get lost(): readonly string[] {
    return [...this.#rows].flatMap(([fault, { lost }]) => lost.map((loss) => `${fault}: ${loss}`));
  }

  get injected(): number {
    return [...this.#rows.values()].reduce((sum, row) => sum + row.injected, 0);
  }

  toString(): string {
    const line = (fault: string, injected: number, lost: number, note = ''): string =>
      `| ${fault} | ${injected} | ${injected - lost} | ${lost} |${note && ` ${note}`}`;
    return [
      '| fault | injected | survived | lost |',
      '|---|---|---|---|',
      ...[...this.#rows].map(([fault, { injected, lost, note }]) => line(fault, injected, lost.length, note)),
      line('all', this.injected, this.lost.length),
    ].join('\n');
  }

  #row(fault: string): Row {
    const row = this.#rows.get(fault) ?? { injected: 0, lost: [], note: '' };
    this.#rows.set(fault, row);
    return row;
  }
}
