// npm run test:faults -- [--only WORD] [--moments 10]: injects faults and prints what came of them; fails when anything was lost.
import { parseArgs } from 'node:util';
import { uniform } from '../reference/random.ts';
import { Interrupter } from './interrupted.ts';
import { Report } from './report.ts';
import { WRITES } from './writes.ts';

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, moments: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const report = new Report();
const next = uniform(Number(values.seed));
const start = performance.now();

const interrupter = await Interrupter.start(report);
try {
  for (const write of WRITES) {
    if (!write.name.includes(values.only)) continue;
    const begin = performance.now();
    const before = report.injected;
    const prepared = await interrupter.prepare(write);
    await interrupter.killAtEach(prepared);
    await interrupter.killAtMoments(prepared, Number(values.moments), next);
    await interrupter.failAtEach(prepared);
    await interrupter.fillDisk(
      prepared,
      [0, 8, 24, 64, 200, 600].map((kib) => kib * 1024),
    );
    await interrupter.lockDisk(prepared);
    console.error(
      `${write.name}: ${prepared.operations} operations, ${report.injected - before} faults in ${((performance.now() - begin) / 1000).toFixed(0)} s, lost ${report.lost.length}`,
    );
  }
} finally {
  await interrupter.stop();
}
console.log(String(report));
console.log(`${((performance.now() - start) / 1000).toFixed(0)} s`);
for (const loss of report.lost.slice(0, 40)) console.log(`    ${loss}`);
if (report.lost.length > 0) process.exitCode = 1;
