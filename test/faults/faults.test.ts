import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { uniform } from '../reference/random.ts';
import { changeCheckpoints, changePictures } from './changed.ts';
import { Interrupter } from './interrupted.ts';
import { endThreads, refuseMemory } from './memory.ts';
import { Report } from './report.ts';
import { WRITES } from './writes.ts';

/** The beginning of what `npm run test:faults` does. */
async function loses(least: number, body: (report: Report, interrupter: Interrupter) => Promise<void>): Promise<void> {
  const report = new Report();
  const interrupter = await Interrupter.start(report);
  try {
    await body(report, interrupter);
  } finally {
    await interrupter.stop();
  }
  assert.equal(report.lost, []);
  assert.ok(report.injected >= least, `${report.injected} faults`);
}

for (const [name, every] of [
  ['index, brought up to date', 6],
  ['convert --overwrite', 9],
  ['embed --output .npy', 3],
  ['download', 9],
] as const) {
  test(`nothing is lost when it is interrupted: ${name}`, () =>
    loses(5, async (_, interrupter) => {
      const [write] = WRITES.filter((one) => one.name === name);
      assert.ok(write);
      const prepared = await interrupter.prepare(write as (typeof WRITES)[number]);
      await interrupter.killAtEach(prepared, { every });
      await interrupter.killAtMoments(prepared, 1, uniform(1));
      await interrupter.failAtEach(prepared, { every });
    }));
}

test('nothing is silently wrong when files change while they are read', () =>
  loses(20, async (report, { things }) => {
    await changeCheckpoints(report, { every: 60 });
    await changePictures(report, things, { every: 15 });
  }));

test('memory that is refused and threads that end are named errors, after which all is as before', () =>
  loses(10, async (report) => {
    await refuseMemory(report, { threads: [2] });
    await endThreads(report, 2, uniform(1));
  }));

test('the report counts what was lost, and says what was passed over', () => {
  const report = new Report();
  report.add('kill', 'here', []);
  report.add('kill', 'there', ['a is gone', 'b is half']);
  report.skip('mount', 'needs root');
  const other = new Report();
  other.merge(report.take());
  other.add('kill', 'elsewhere', []);
  assert.equal(other.lost, ['kill: there: a is gone; b is half']);
  assert.match(String(other), '| kill | 3 | 2 | 1 |\n| mount | 0 | 0 | 0 | PASSED OVER: needs root\n| all | 3 | 2 | 1 |');
});

test.run();
