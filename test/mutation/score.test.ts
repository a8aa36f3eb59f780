import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Judged, table, wilson } from './score.ts';

const mutant = (path: string, fate: Judged['fate'], reason?: string): Judged => ({
  ...{ path, line: 1, code: '', kind: 'boundary', original: '<', replacement: '<=', fate },
  reason,
});

test("the interval is Wilson's: values of Newcombe (1998), table I", () => {
  const round = ([low, high]: [number, number]): string => `${low.toFixed(4)} ${high.toFixed(4)}`;
  assert.is(round(wilson(81, 263)), '0.2553 0.3662');
  assert.is(round(wilson(15, 148)), '0.0624 0.1605');
  assert.is(round(wilson(0, 20)), '0.0000 0.1611');
  assert.equal(wilson(0, 0), [0, 1]);
});

test('what is noticed in time or by time counts; equivalents are told apart, but count as survivors', () => {
  const rows = table([
    mutant('b.ts', 'killed'),
    mutant('b.ts', 'timed out'),
    mutant('a.ts', 'survived', 'changes nothing'),
    mutant('a.ts', 'uncovered'),
  ]).split('\n');
  assert.match(rows[2] as string, /^\| a\.ts \| 2 \| 0 \| 0 \| 1 \| 1 \| 1 \| 0\.0 % /);
  assert.match(rows[3] as string, /^\| b\.ts \| 2 \| 2 \| 1 \| 0 \| 0 \| 0 \| 100\.0 % /);
  assert.match(rows[4] as string, /^\| all \| 4 \| 2 \| 1 \| 1 \| 1 \| 1 \| 50\.0 % \(15\.0 to 85\.0\) /);
});

test.run();
