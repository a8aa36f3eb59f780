/** A number that goes up and down, as it is now. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: number;
}

/** Upper ends of the classes of times, in seconds. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Times {
  /** How many fell into each class, and behind the last. */
  readonly counts: number[];
  sum: number;
}

/** What was answered, and how fast, in the text format of Prometheus (0.0.4). */
export class Metrics {
  readonly #answers = new Map<string, number>();
  readonly #times = new Map<string, Times>();

  observe(path: string, status: number, seconds: number): void {
    const key = `path="${path}",status="${status}"`;
    this.#answers.set(key, (this.#answers.get(key) ?? 0) + 1);
    const times = this.#times.get(path) ?? { counts: [...BUCKETS.map(() => 0), 0], sum: 0 };
    this.#times.set(path, times);
    const bucket = BUCKETS.findIndex((end) => seconds <= end);
    times.counts[bucket === -1 ? BUCKETS.length : bucket] = (times.counts.at(bucket) as number) + 1;
    times.sum += seconds;
  }

  text(gauges: readonly Gauge[]): string {
    const lines = [
      ...head('dinov2_requests_total', 'counter', 'Requests that were answered.'),
      ...Array.from(this.#answers, ([labels, count]) => `dinov2_requests_total{${labels}} ${count}`),
      ...head('dinov2_request_duration_seconds', 'histogram', 'From the header of a request to its answer.'),
      ...Array.from(this.#times, ([path, times]) => histogram('dinov2_request_duration_seconds', path, times)).flat(),
      ...gauges.flatMap(({ name, help, value }) => [...head(name, 'gauge', help), `${name} ${value}`]),
    ];
    return `${lines.join('\n')}\n`;
  }
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function histogram(name: string, path: string, { counts, sum }: Times): string[] {
  let total = 0;
  const buckets = counts.map((count, i) => {
    total += count;
    return `${name}_bucket{path="${path}",le="${BUCKETS[i] ?? '+Inf'}"} ${total}`;
  });
  return [...buckets, `${name}_sum{path="${path}"} ${sum}`, `${name}_count{path="${path}"} ${total}`];
}
