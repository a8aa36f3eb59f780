// npm run test:faults -- [--only WORD] [--moments 6] [--seed 1] [--processes 2]: injects faults and prints what came of them; fails when anything was lost.
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
    job: { type: 'string' },
  },
});

/** Bytes that are free on a disk that becomes full. */
const FREE = [0, 8, 24, 64, 200, 600].map((kib) => kib * 1024);

type Job = (report: Report, interrupter: Interrupter) => Promise<void>;

/** Each in a process of its own. */
const JOBS: ReadonlyMap<string, Job> = new Map<string, Job>([
  ...WRITES.map(({ name }): [string, Job] => [name, (_, interrupter) => interruptWrite(name, interrupter)]),
  ['files that change: checkpoints', (report) => changeCheckpoints(report, { every: 6 })],
  ['files that change: pictures', (report, { things }) => changePictures(report, things, { every: 5 })],
  ['damaged pictures', (report, { things }) => damagePictures(report, things)],
  ['memory that is refused', (report) => refuseMemory(report)],
  ['threads that are ended', (report) => endThreads(report, 5 * Number(values.moments), uniform(Number(values.seed)))],
]);

async function interruptWrite(name: string, interrupter: Interrupter): Promise<void> {
  const [write] = WRITES.filter((one) => one.name === name);
  if (!write) return;
  const prepared = await interrupter.prepare(write);
  await interrupter.killAtEach(prepared);
  await interrupter.killAtMoments(prepared, Number(values.moments), uniform(Number(values.seed)));
  await interrupter.failAtEach(prepared);
  await interrupter.fillDisk(prepared, FREE);
  await interrupter.lockDisk(prepared);
}

async function runJob(name: string): Promise<void> {
  const report = new Report();
  const interrupter = await Interrupter.start(report);
  try {
    await JOBS.get(name)?.(report, interrupter);
  } finally {
    await interrupter.stop();
  }
  await new Promise((resolve) => process.send?.(report.toJSON(), resolve));
  process.disconnect();
}

async function runAll(): Promise<void> {
  const start = performance.now();
  const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(0)} s`;
  const report = new Report();
  const waiting = [...JOBS.keys()].filter((name) => name.includes(values.only));
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const begin = performance.now();
      const own = new Report();
      const job = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--job', name]);
      job.on('message', (rows: ReturnType<Report['toJSON']>) => own.merge(rows));
      const code = await new Promise((resolve) => job.on('exit', (number, signal) => resolve(signal ?? number)));
      if (code !== 0) own.add('the suite itself', name, [`it ended with ${code}`]);
      report.merge(own.toJSON());
      console.error(`${name}: ${own.injected} faults, ${own.lost.length} lost, ${seconds(begin)}`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.processes) }, work));
  console.log(`${report}\n\n${seconds(start)}`);
  for (const loss of report.lost.slice(0, 40)) console.log(`    ${loss}`);
  if (report.lost.length > 0) process.exitCode = 1;
}

if (values.job === undefined) await runAll();
else await runJob(values.job);
