import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Point, withHits } from './operators.ts';
import { ROOT, type TypeScriptProject } from './project.ts';
import { runTest } from './runner.ts';
import type { Shadow } from './shadow.ts';
import type { Told, Trace } from './worker.ts';

/** What is known of a test file from running it once without mutants. */
interface Run extends Told {
  /** Of its text. */
  readonly hash: string;
}

interface Noted {
  /** Of all texts but those of tests. */
  readonly hash: string;
  readonly runs: Record<string, Run>;
}

/** A test file of which some tests matter. */
export interface CoveringTests {
  readonly path: string;
  readonly names: readonly string[];
  /** Milliseconds, without a mutant. */
  readonly took: number;
}

const NOTES = join(ROOT, 'node_modules/.cache/mutation/coverage.json');

/** Milliseconds after which a test file without a mutant is given up. */
const LIMIT = 120_000;

/** A test that takes longer without a mutant than so many milliseconds is left out: it would be run thousands of times. */
const LONGEST = 10_000;

/** Which tests run which statements. */
export class Coverage {
  readonly #points: ReadonlyMap<string, { first: number; points: readonly Point[] }>;
  readonly #runs: ReadonlyMap<string, { failed: string | undefined; load: Timed; tests: readonly Timed[] }>;

  private constructor(points: ReadonlyMap<string, { first: number; points: readonly Point[] }>, runs: Record<string, Run>) {
    this.#points = points;
    this.#runs = new Map(
      Object.entries(runs).map(([path, { failed, load, tests }]) => {
        const all = Object.entries(tests).map(([name, trace]) => timed(name, trace));
        return [path, { failed, load: timed('', load), tests: all }];
      }),
    );
  }

  /** Runs every test file of these folders of test, and the files of these names beside the folders, once, but for those that are as they were when they were run last. */
  static async measure(shadow: Shadow, project: TypeScriptProject, folders: readonly string[]): Promise<Coverage> {
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
    const isOther = (path: string): boolean =>
      !path.endsWith('.test.ts') && !(path.startsWith('test/mutation/') && !path.endsWith('/operators.ts'));
    const hash = hashOf(...project.files.filter(isOther).map(read));
    const noted = existsSync(NOTES) ? (JSON.parse(readFileSync(NOTES, 'utf8')) as Noted) : undefined;
    const wanted = shadow.tests.filter(
      (test) => folders.length === 0 || folders.some((name) => test.startsWith(`test/${name}/`) || test === `test/${name}.test.ts`),
    );
    const known = noted?.hash === hash ? noted.runs : {};
    const changed = wanted.filter((test) => known[test]?.hash !== hashOf(read(test)));
    if (changed.length > 0) {
      for (const [path, text] of texts) shadow.write(path, text);
      for (const [i, test] of changed.entries()) {
        if (process.stderr.isTTY) process.stderr.write(`\r${i + 1} of ${changed.length} test files without mutants`);
        known[test] = { hash: hashOf(read(test)), ...(await runTest(shadow, { test, limit: LIMIT })) };
      }
      for (const path of texts.keys()) shadow.restore(path);
      mkdirSync(dirname(NOTES), { recursive: true });
      writeFileSync(NOTES, JSON.stringify({ hash, runs: known } satisfies Noted));
    }
    const runs = Object.fromEntries(wanted.map((test) => [test, known[test] as Run]));
    return new Coverage(points, runs);
  }

  /** Tests that are of no use here: what failed without a mutant, or takes too long. */
  get leftOut(): string[] {
    return [...this.#runs].flatMap(([path, { failed, tests }]) => {
      if (failed !== undefined) return [`${path}: ${failed.split('\n')[0]}`];
      return tests.filter(({ took }) => took > LONGEST).map(({ name, took }) => `${path}: ${name}: ${(took / 1000).toFixed(0)} s`);
    });
  }

  /** The tests that run the innermost statement around a stretch of a source: first those of the source's own file, else, and within a file, the fastest first. */
  testsOf(path: string, start: number, end: number): CoveringTests[] {
    const { first, points } = this.#points.get(path) ?? { first: 0, points: [] };
    const around = [...points.entries()].filter(([, point]) => point.start <= start && end <= point.end);
    const number = first + around.reduce((a, b) => (a[1].end - a[1].start <= b[1].end - b[1].start ? a : b))[0];
    const own = path.replace(/^src/, 'test').replace(/\.ts$/, '.test.ts');
    return [...this.#runs]
      .filter(([, { failed }]) => failed === undefined)
      .map(([test, { load, tests }]) => {
        const covering = tests
          .filter(({ hits, took }) => took <= LONGEST && (load.hits.has(number) || hits.has(number)))
          .sort((a, b) => a.took - b.took);
        return { path: test, names: covering.map(({ name }) => name), took: covering.reduce((sum, { took }) => sum + took, load.took) };
      })
      .filter(({ names }) => names.length > 0)
      .sort((a, b) => Number(b.path === own) - Number(a.path === own) || a.took - b.took);
  }
}

interface Timed {
  readonly name: string;
  readonly took: number;
  readonly hits: ReadonlySet<number>;
}

function timed(name: string, { hits, took }: Trace): Timed {
  return { name, took, hits: new Set(hits) };
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function hashOf(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('hex');
}
