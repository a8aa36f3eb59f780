// npm run soak -- --minutes 60 [--seed 1]: the service and the library at work for a time, good and bad requests mixed. Ends with tables, and with 1 if
// something was wrong: an answer, memory that grows, a handle that is left.
import { fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EMBEDDED_MODEL } from '../../src/index.ts';
import { dinov2 } from '../cli/helpers.ts';
import { dice, pick } from '../fuzz/mutate.ts';
import { readMetrics, startService } from '../serve/process.ts';
import { ASKS, burst, type Outcome, PHOTOS_FOLDER, readPhotos } from './clients.ts';
import type { LibraryReport } from './library.ts';
import { quantile, type Sample, table, trendOf } from './report.ts';

const CLIENTS = 4;
/** Between two requests of a client, at most; between looks at the processes; between bursts. In milliseconds. */
const [THINKING, LOOKING, BURSTS] = [200, 2000, 15_000];
const MIB = 2 ** 20;

const { values: options } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } } });
const duration = Number(options.minutes) * 60_000;
const seed = Number(options.seed);
if (!(duration > 0 && Number.isSafeInteger(seed))) throw new Error('expected --minutes above 0, and --seed a whole number');

const folder = await mkdtemp(join(tmpdir(), 'dinov2-soak-'));
const photos = await readPhotos(EMBEDDED_MODEL);
await mkdir(join(folder, 'photos'));
for (const name of readdirSync(PHOTOS_FOLDER)) await copyFile(PHOTOS_FOLDER + name, join(folder, 'photos', name));
await dinov2(['index', join(folder, 'photos')]);

const limits = ['--max-body', '2MiB', '--queue', '16', '--body-time', '5', '--header-time', '5'];
const service = await startService(['--index', join(folder, 'photos'), '--threads', '1', ...limits], {
  execArgv: [],
  program: 'dist/cli/main.js',
});
const { url } = service;
const library = fork(fileURLToPath(new URL('library.ts', import.meta.url)), [String(seed)], {
  execArgv: [...process.execArgv, '--expose-gc'],
});

const problems: string[] = [];
const times = new Map<string, number[]>();
const samples: Record<'service' | 'library', Sample[]> = { service: [], library: [] };
let done: LibraryReport['done'] = {};
const start = performance.now();
const elapsed = (): number => performance.now() - start;
const isOver = (): boolean => elapsed() >= duration || problems.length > 20;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

library.on('message', (report: LibraryReport) => {
  problems.push(...report.problems);
  note(...report.times.map((time) => ({ kind: 'library: embed', time })));
  samples.library.push({ time: elapsed(), values: report.values });
  done = report.done;
});
const libraryEnded = new Promise<void>((resolve) =>
  library.on('exit', (code) => {
    if (code !== 0) problems.push(`the process of the library ended with ${code}`);
    resolve();
  }),
);
void service.ended.then(({ code, signal }) => {
  if (!isOver()) problems.push(`the service ended with ${code ?? signal}: ${service.stderr}`);
});

function note(...outcomes: Outcome[]): void {
  for (const { kind, time, problem } of outcomes) {
    const all = times.get(kind) ?? [];
    all.push(time);
    times.set(kind, all);
    if (problem !== undefined) problems.push(problem);
  }
}

/** What the service says of its process, and on Linux how many files it has open. */
async function look(): Promise<Sample['values']> {
  const metrics = await readMetrics(url);
  const of = (name: string): number => metrics.get(name) as number;
  const files = process.platform === 'linux' ? { files: readdirSync(`/proc/${service.child.pid}/fd`).length } : {};
  return {
    rss: of('process_resident_memory_bytes'),
    heap: of('nodejs_heap_size_used_bytes'),
    external: of('nodejs_external_memory_bytes'),
    wasm: of('dinov2_model_memory_bytes'),
    resources: of('nodejs_active_resources'),
    ...files,
  };
}

/** The same when connections that are kept alive have ended. */
async function lookAtRest(): Promise<Sample['values']> {
  await sleep(7000);
  return look();
}

async function client(number: number): Promise<void> {
  const roll = dice(seed * 1000 + number);
  while (!isOver()) {
    note(
      await pick(roll, ASKS)(url, photos, roll).catch((error: Error) => ({
        kind: 'failed',
        time: 0,
        problem: String(error.cause ?? error),
      })),
    );
    await sleep(roll(THINKING));
  }
}

async function every(interval: number, work: () => Promise<void>): Promise<void> {
  while (!isOver()) {
    await work();
    await sleep(interval);
  }
}

for (const ask of ASKS) note(await ask(url, photos, dice(seed)));
const before = await lookAtRest();
await Promise.all([
  ...Array.from({ length: CLIENTS }, (_, number) => client(number)),
  every(BURSTS, async () => note(...(await burst(url, photos, dice(seed + Math.round(elapsed())))))),
  every(LOOKING, async () => void samples.service.push({ time: elapsed(), values: await look() })),
]);
const after = await lookAtRest();
service.child.kill('SIGTERM');
const ending = await service.ended;
if (ending.code !== 0) problems.push(`the service ended with ${ending.code ?? ending.signal} on SIGTERM`);
library.send('stop');
await libraryEnded;
await rm(folder, { recursive: true });

const minutes = (duration / 60_000).toFixed(duration < 60_000 ? 1 : 0);
console.log(`\n${minutes} min, seed ${seed}, Node ${process.version}\n`);
console.log(
  table(
    ['asked, answered', 'times', 'median ms', '99th percentile ms', 'largest ms'],
    [...times]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, all]) => [kind, all.length, ...[0.5, 0.99, 1].map((q) => quantile(all, q).toFixed(0))]),
  ),
);
console.log(
  `\nlibrary: ${Object.entries(done)
    .map(([name, count]) => `${count} x ${name}`)
    .join(', ')}\n`,
);
/** Caches fill for minutes. */
const isJudged = duration >= 5 * 60_000;
const rows: string[][] = [];
for (const [where, all] of Object.entries(samples)) {
  for (const name of ['rss', 'heap', 'external', 'wasm']) {
    const { first, last, largest, grows } = trendOf(all, name);
    if (grows && isJudged) problems.push(`${where}: ${name} grew from ${(first / MIB).toFixed(1)} to ${(last / MIB).toFixed(1)} MiB`);
    rows.push([
      where,
      name,
      ...[first, last, largest].map((bytes) => (bytes / MIB).toFixed(1)),
      !isJudged ? 'too short to say' : grows ? 'GROWS' : 'flat',
    ]);
  }
}
console.log(table(['process', 'memory, MiB', 'least, first third', 'least, last third', 'largest', ''], rows));
const ends = samples.library.map(({ values }) => values.resources as number);
const handles = [
  ...['resources', 'files'].map((name) => ['service', name, before[name], after[name]] as const),
  ['library', 'resources', ends[0], ends.at(-1)] as const,
];
for (const [where, name, first = 0, last = 0] of handles) {
  if (last > first) problems.push(`${where}: ${name}: ${first} open before, ${last} after`);
}
console.log(
  `\n${table(
    ['process', 'open at rest', 'before', 'after'],
    handles.map((row) => row.map(String)),
  )}`,
);
console.log(problems.length > 0 ? `\n${problems.length} problems:\n${problems.slice(0, 20).join('\n')}` : '\nno problems');
process.exitCode = problems.length > 0 ? 1 : 0;
