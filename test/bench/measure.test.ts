import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { interleave, quantile, spread, timed } from '../../bench/measure.ts';

test('quantiles are interpolated between neighbours, whatever the order', () => {
  assert.is(quantile([3, 1, 2], 0.5), 2);
  assert.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.is(quantile([10, 20], 0.25), 12.5);
  assert.is(quantile([7], 0.75), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.equal(spread([5, 1, 2, 4, 3]), { median: 3, low: 2, high: 4 });
});

test('candidates run in turn, and rounds of warm-up are not counted', async () => {
  const order: string[] = [];
  const candidate = (name: string, ...times: number[]) => ({
    time: () => {
      order.push(name);
      return times.shift() as number;
    },
  });
  const { timings, rounds } = await interleave([candidate('a', 1000, 10, 20, 40), candidate('b', 1, 30, 10, 80)], {
    seconds: 0,
    least: 3,
    most: 3,
    warmUp: 1,
  });
  assert.is(order.join(''), 'abababab');
  assert.is(rounds, 3);
  assert.is(timings[0]?.time.median, 20);
  assert.is(timings[1]?.time.median, 30);
  assert.equal(timings[0]?.ratio, { median: 1, low: 1, high: 1 });
  assert.is(timings[1]?.ratio.median, 2, 'of 3, 0.5 and 2: not 30 / 20');
});

test('rounds end with the time, but neither before the least nor after the most of them', async () => {
  const slow = { time: () => new Promise<number>((resolve) => setTimeout(() => resolve(1), 20)) };
  assert.is((await interleave([slow], { seconds: 0, least: 2, most: 9 })).rounds, 2);
  assert.is((await interleave([slow], { seconds: 60, least: 2, most: 4 })).rounds, 4);
});

test('what runs on this side is timed until it is done', async () => {
  const time = await timed(() => new Promise((resolve) => setTimeout(resolve, 30))).time();
  assert.ok(time > 25 && time < 3000, String(time));
});

test.run();
