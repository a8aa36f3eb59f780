// npm run mutate -- [--folder checkpoint] [--file png] [--sample 200] [--seed 1] [--tests checkpoint,nn] [--patience 20] [--output report.json]
// [--again report.json]: breaks the sources of a folder of src in small ways, one at a time, and counts how many of them the tests notice.
// Interrupted, it tells about those that it came to.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { uniform } from '../reference/random.ts';
import { Coverage } from './coverage.ts';
import { EQUIVALENT } from './equivalent.ts';
import type { Mutant } from './operators.ts';
import { ROOT, TypeScriptProject } from './project.ts';
import { runTest, TIME_LIMIT } from './runner.ts';
import { type Fate, type Judged, table } from './score.ts';
import { Shadow } from './shadow.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: 'checkpoint' },
    file: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    tests: { type: 'string' },
    patience: { type: 'string', default: '20' },
    again: { type: 'string' },
    output: { type: 'string' },
  },
});

/** How many mutants are looked at by the compiler at a time. */
const BATCH = 32;

/** When the tests that were tried for a mutant take longer than so many milliseconds without it, no others are tried. */
const patience = 1000 * Number(values.patience);

using project = new TypeScriptProject();
using shadow = new Shadow(project.files);
let isStopped = false;
process.once('SIGINT', () => {
  isStopped = true;
});

const paths = readdirSync(join(ROOT, 'src', values.folder), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && (values.file === undefined || path.endsWith(`${values.file}.ts`)))
  .map((path) => `src/${values.folder}/${path.replaceAll('\\', '/')}`)
  .sort();
const sources = new Map(paths.map((path) => [path, project.source(path).text]));
const all = paths.flatMap((path) => project.mutants(path).map((mutant) => ({ path, mutant })));
const chosen = values.again === undefined ? shuffled(all, Number(values.seed)) : survivorsOf(values.again);
const wanted = Number(values.sample ?? chosen.length);
const coverage = await Coverage.measure(shadow, project, values.tests?.split(',') ?? []);
for (const line of coverage.leftOut) console.log(`left out: ${line}`);

const judged: Judged[] = [];
let refused = 0;
for (let first = 0; first < chosen.length && judged.length < wanted && !isStopped; first += BATCH) {
  const batch = chosen.slice(first, first + BATCH).map(({ path, mutant }) => ({ path, mutant, text: withMutant(path, mutant) }));
  const bad = project.refused(batch);
  for (const one of batch) {
    if (judged.length >= wanted || isStopped) break;
    if (bad.has(one)) {
      refused += 1;
      continue;
    }
    const fate = { ...describe(one.path, one.mutant), ...(await judge(one)) };
    judged.push(fate);
    report(fate);
  }
  if (values.output) writeFileSync(values.output, `${JSON.stringify(judged, undefined, 2)}\n`);
}
if (process.stderr.isTTY) process.stderr.write('\n');
console.log(table(judged));
console.log(`${all.length} mutants; ${refused} of those drawn were refused by the compiler, and are not counted.`);

function withMutant(path: string, { start, end, replacement }: Mutant): string {
  const source = sources.get(path) as string;
  return source.slice(0, start) + replacement + source.slice(end);
}

function describe(path: string, { kind, start, end, replacement }: Mutant): Omit<Judged, 'fate' | 'by'> {
  const source = sources.get(path) as string;
  const line = source.slice(0, start).split('\n').length;
  const one = { path, line, code: source.split('\n')[line - 1]?.trim() ?? '', kind, original: source.slice(start, end), replacement };
  return { ...one, reason: EQUIVALENT.find((known) => isSame(known, one))?.reason };
}

async function judge({ path, mutant, text }: { path: string; mutant: Mutant; text: string }): Promise<{ fate: Fate; by?: string }> {
  const tests = coverage.testsOf(path, mutant.start, mutant.end);
  if (tests.length === 0) return { fate: 'uncovered' };
  shadow.write(path, text);
  try {
    let spent = 0;
    for (const { path: test, names, took } of tests) {
      if (spent > patience) break;
      spent += took;
      const { failed } = await runTest(shadow, { test, names, limit: 10_000 + 10 * took });
      if (failed !== undefined) return { fate: failed === TIME_LIMIT ? 'timed out' : 'killed', by: `${test}: ${failed}`.slice(0, 300) };
    }
  } finally {
    shadow.restore(path);
  }
  return { fate: 'survived' };
}

function report({ path, line, kind, original, replacement, fate, by, code }: Judged): void {
  const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)} ...` : text);
  if (fate === 'survived' || fate === 'uncovered') {
    console.log(`${judged.length} ${path}:${line} ${fate}: ${kind}: ${short(original)} -> ${short(replacement)}   in: ${code}`);
  } else if (process.stderr.isTTY) {
    process.stderr.write(`\r${judged.length} of ${wanted}: ${fate} ${by ?? ''}`.slice(0, 100).padEnd(100));
  }
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const copy = [...items];
  const random = uniform(seed);
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}

/** What a report says that survived, where the sources still have it. */
function survivorsOf(file: string): typeof all {
  const last = (JSON.parse(readFileSync(file, 'utf8')) as Judged[]).filter(({ fate }) => fate === 'survived' || fate === 'uncovered');
  return all.filter(({ path, mutant }) => last.some((one) => isSame(one, describe(path, mutant))));
}

function isSame(a: Identity, b: Identity): boolean {
  return a.path === b.path && a.code === b.code && a.original === b.original && a.replacement === b.replacement;
}

type Identity = Pick<Judged, 'path' | 'code' | 'original' | 'replacement'>;
