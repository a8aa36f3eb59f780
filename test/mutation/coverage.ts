import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Point, withHits } from './operators.ts';
import { ROOT, type TypeScriptProject } from './project.ts';
import { runTest } from './runner.ts';
import type { Shadow } from './shadow.ts';

/** What is known of a test file from running it once without mutants. */
interface Run {
  /** Of its text. */
  readonly hash: string;
  readonly failed?: string | undefined;
  readonly took: number;
  readonly hits: readonly number[];
}

interface Noted {
  /** Of all texts but those of tests. */
  readonly hash: string;
  readonly runs: Record<string, Run>;
}

export interface CoveringTest {
  readonly path: string;
  /** Milliseconds, without a mutant. */
  readonly took: number;
}

const NOTES = join(ROOT, 'node_modules/.cache/mutation/coverage.json');

/** A test that takes longer without a mutant than so many milliseconds is left out: it would be run thousands of times. */
const LONGEST = 15_000;

/** Which tests run which statements. */
export class Coverage {
  readonly #points: ReadonlyMap<string, { first: number; points: readonly Point[] }>;
  readonly #runs: ReadonlyMap<string, Run & { hit: ReadonlySet<number> }>;

  private constructor(points: ReadonlyMap<string, { first: number; points: readonly Point[] }>, runs: Record<string, Run>) {
    this.#points = points;
    this.#runs = new Map(Object.entries(runs).map(([path, run]) => [path, { ...run, hit: new Set(run.hits) }]));
  }

  /** Runs every test once, but for those that are as they were when they were run last. */
  static async measure(shadow: Shadow, project: TypeScriptProject): Promise<Coverage> {
    const sources = project.files.filter((path) => path.startsWith('src/'));
    const points = new Map<string, { first: number; points: readonly Point[] }>();
    const texts = new Map<string, string>();
    let first = 0;
    for (const path of sources) {
      const instrumented = withHits(project.source(path), first);
      points.set(path, { first, points: instrumented.points });
      texts.set(path, instrumented.text);
      first += instrumented.points.length;
    }
    const isOther = (path: string): boolean => !path.endsWith('.test.ts') && !(path.startsWith('test/mutation/') && !path.endsWith('/operators.ts'));
    const hash = hashOf(...project.files.filter(isOther).map(read));
    const noted = existsSync(NOTES) ? (JSON.parse(readFileSync(NOTES, 'utf8')) as Noted) : undefined;
    const runs: Record<string, Run> = {};
    const isKnown = (test: string): boolean => noted?.hash === hash && noted.runs[test]?.hash === hashOf(read(test));
    const changed = shadow.tests.filter((test) => !isKnown(test));
    for (const test of shadow.tests) if (isKnown(test)) runs[test] = noted?.runs[test] as Run;
    if (changed.length > 0) {
      for (const [path, text] of texts) shadow.write(path, text);
      for (const [i, test] of changed.entries()) {
        process.stderr.write(`\r${i + 1} of ${changed.length} test files without mutants`);
        const { failed, took, hits } = await runTest(shadow, test, 4 * LONGEST);
        runs[test] = { hash: hashOf(read(test)), ...(failed !== undefined && { failed }), took, hits };
      }
      process.stderr.write('\n');
      for (const path of texts.keys()) shadow.restore(path);
      mkdirSync(dirname(NOTES), { recursive: true });
      writeFileSync(NOTES, JSON.stringify({ hash, runs } satisfies Noted));
    }
    return new Coverage(points, runs);
  }

  /** Tests that are of no use here: what failed without a mutant, or took too long. */
  get leftOut(): string[] {
    return [...this.#runs].flatMap(([path, { failed, took }]) => {
      if (failed !== undefined) return [`${path}: ${failed.split('\n')[0]}`];
      return took > LONGEST ? [`${path}: ${(took / 1000).toFixed(0)} s`] : [];
    });
  }

  /** The tests that run the innermost statement around a stretch of a source: first the source's own, then the fastest. */
  testsOf(path: string, start: number, end: number): CoveringTest[] {
    const { first, points } = this.#points.get(path) ?? { first: 0, points: [] };
    const around = [...points.entries()].filter(([, point]) => point.start <= start && end <= point.end);
    const [number] = around.reduce((a, b) => (a[1].end - a[1].start <= b[1].end - b[1].start ? a : b));
    const own = path.replace(/^src/, 'test').replace(/\.ts$/, '.test.ts');
    return [...this.#runs]
      .filter(([, { failed, took, hit }]) => failed === undefined && took <= LONGEST && hit.has(first + number))
      .map(([test, { took }]) => ({ path: test, took }))
      .sort((a, b) => Number(b.path === own) - Number(a.path === own) || a.took - b.took);
  }
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function hashOf(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('hex');
}
