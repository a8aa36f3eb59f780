// npm run test:faults -- [--only WORD] [--moments 6] [--seed 1] [--processes 2] [--every 1]: injects faults and prints what came of them; fails when anything was lost.
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { uniform } from '../reference/random.ts';
import { changeCheckpoints, changePictures, damagePictures } from './changed.ts';
import { Interrupter } from './interrupted.ts';
import { endThreads, refuseMemory } from './memory.ts';
import { Report } from './report.ts';
import { WRITES } from './writes.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    moments: { type: 'string', default: '6' },
    seed: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    every: { type: 'string', default: '1' },
    job: { type: 'string', multiple: true },
  },
});

/** Bytes that are free on a disk that becomes full. */
const FREE = [0, 8, 24, 64, 200, 600].map((kib) => kib * 1024);

/** Of the operations on the disk and the reads, every which one is tried. */
const EVERY = Number(values.every);

type Job = (report: Report, interrupter: Interrupter) => Promise<void>;

const JOBS: ReadonlyMap<string, Job> = new Map<string, Job>([
  ...WRITES.map(({ name }): [string, Job] => [name, (_, interrupter) => interruptWrite(name, interrupter)]),
  ['files that change: checkpoints', (report) => changeCheckpoints(report, { every: 6 * EVERY })],
  ['files that change: pictures', (report, { things }) => changePictures(report, things, { every: 5 * EVERY })],
  ['damaged pictures', (report, { things }) => damagePictures(report, things)],
  ['memory that is refused', (report) => refuseMemory(report)],
  ['threads that are ended', (report) => endThreads(report, 5 * Number(values.moments), uniform(Number(values.seed)))],
]);

async function interruptWrite(name: string, interrupter: Interrupter): Promise<void> {
  const [write] = WRITES.filter((one) => one.name === name);
  if (!write) return;
  const prepared = await interrupter.prepare(write);
  await interrupter.killAtEach(prepared, { every: EVERY });
  await interrupter.killAtMoments(prepared, Number(values.moments), uniform(Number(values.seed)));
  await interrupter.failAtEach(prepared, { every: EVERY });
  await interrupter.fillDisk(prepared, FREE);
  await interrupter.lockDisk(prepared);
}

/** Some of the jobs, in this process, which tells of each. */
async function runJobs(names: readonly string[]): Promise<void> {
  const report = new Report();
  const interrupter = await Interrupter.start(report);
  try {
    for (const name of names) {
      await JOBS.get(name)?.(report, interrupter);
      process.send?.({ name, rows: report.take() } satisfies Message);
    }
  } finally {
    await interrupter.stop();
  }
  process.disconnect();
}

interface Message {
  readonly name: string;
  readonly rows: ReturnType<Report['take']>;
}

async function runAll(): Promise<void> {
  const start = performance.now();
  const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  const report = new Report();
  const names = [...JOBS.keys()].filter((name) => name.includes(values.only));
  const count = Math.min(Number(values.processes), names.length);
  const work = async (part: number): Promise<void> => {
    const own = names.filter((_, i) => i % count === part);
    const job = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), ...own.flatMap((name) => ['--job', name])]);
    job.on('message', ({ name, rows }: Message) => {
      const before = [report.injected, report.lost.length] as const;
      report.merge(rows);
      console.error(`${name}: ${report.injected - before[0]} faults, ${report.lost.length - before[1]} lost; ${seconds()}`);
    });
    const code = await new Promise((resolve) => job.on('exit', (number, signal) => resolve(signal ?? number)));
    if (code !== 0) report.add('the suite itself', own.join(', '), [`it ended with ${code}`]);
  };
  await Promise.all(Array.from({ length: count }, (_, part) => work(part)));
  console.log(`${report}\n\n${seconds()}`);
  for (const loss of report.lost.slice(0, 40)) console.log(`    ${loss}`);
  if (report.lost.length > 0) process.exitCode = 1;
}

if (values.job === undefined) await runAll();
else await runJobs(values.job);
