import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normals, truncatedNormal } from '../../src/nn/random.ts';
import { assertSameBits } from '../reference/compare.ts';

const COUNT = 100_000;
const draw = (deviation: number, seed = 0, name = 'weight'): Float32Array => truncatedNormal(COUNT, deviation, seed, name);

/** Mean and standard deviation. */
function moments(values: Iterable<number>): [number, number] {
  const all = [...values];
  const mean = all.reduce((a, b) => a + b, 0) / all.length;
  return [mean, Math.sqrt(all.reduce((total, x) => total + (x - mean) ** 2, 0) / all.length)];
}

test('the same seed and name give the same numbers, another seed or name others', () => {
  assertSameBits(draw(1, 3, 'a'), draw(1, 3, 'a'));
  const first = draw(1, 3, 'a').subarray(0, 8);
  for (const [seed, name] of [
    [4, 'a'],
    [3, 'b'],
    [3 + 2 ** 32, 'a'],
    [-3, 'a'],
  ] as const) {
    assert.not.equal(draw(1, seed, name).subarray(0, 8), first, `${seed} ${name}`);
  }
});

test('normal numbers have mean 0, deviation 1 and the tails of the distribution', () => {
  const next = normals(1, 'x');
  const values = Array.from({ length: COUNT }, next);
  const [mean, deviation] = moments(values);
  // five standard errors
  assert.ok(Math.abs(mean) < 5 / Math.sqrt(COUNT), `mean ${mean}`);
  assert.ok(Math.abs(deviation - 1) < 5 / Math.sqrt(2 * COUNT), `deviation ${deviation}`);
  for (const [beyond, share] of [
    [1, 0.3173],
    [2, 0.0455],
    [3, 0.0027],
  ] as const) {
    const found = values.filter((x) => Math.abs(x) > beyond).length / COUNT;
    assert.ok(Math.abs(found - share) < 5 * Math.sqrt(share / COUNT), `beyond ${beyond}: ${found}`);
  }
  const products = values.slice(1).map((x, i) => x * (values[i] as number));
  assert.ok(Math.abs(moments(products)[0]) < 5 / Math.sqrt(COUNT), 'neighbours are independent');
});

test('truncated normal numbers of a small deviation are normal ones', () => {
  const [mean, deviation] = moments(draw(0.02));
  assert.ok(Math.abs(mean) < (5 * 0.02) / Math.sqrt(COUNT), `mean ${mean}`);
  assert.ok(Math.abs(deviation / 0.02 - 1) < 5 / Math.sqrt(2 * COUNT), `deviation ${deviation}`);
});

test('nothing lies beyond -2 and 2, and the deviation is that of the distribution between them', () => {
  // of the truncated normal distribution: deviation^2 (1 - 2 b f(b) / (2 F(b) - 1)), b = 2 / deviation; of a uniform one 2 / sqrt 3
  for (const [deviation, expected] of [
    [1, 0.8796],
    [2, 1.0791],
    [100, 2 / Math.sqrt(3)],
    [1e12, 2 / Math.sqrt(3)],
  ] as const) {
    const values = draw(deviation);
    assert.ok(
      values.every((x) => Math.abs(x) <= 2),
      `beyond 2 of ${deviation}`,
    );
    assert.ok(Math.abs(moments(values)[1] - expected) < 0.01, `deviation ${moments(values)[1]} of ${deviation}`);
  }
});

test('a deviation of 0 gives zeros', () => {
  assert.ok(draw(0).every((x) => x === 0));
});

test.run();
