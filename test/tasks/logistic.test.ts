import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minimize } from '../../src/tasks/lbfgs.ts';
import { logisticObjective, logProbabilities, type Samples } from '../../src/tasks/logistic.ts';
import { assertWithin } from '../reference/compare.ts';
import { randomFloats } from '../reference/random.ts';

const SAMPLES: Samples = { x: randomFloats(9 * 6, 3, 2), width: 6, classes: [0, 1, 2, 0, 1, 2, 2, 2, 0], count: 3 };
const ROWS = [0, 1, 2, 3, 4, 6, 7, 8];
const SIZE = 3 * (6 + 1);

test('the gradient is that of finite differences', () => {
  for (const regularization of [0, 0.3]) {
    const f = logisticObjective(SAMPLES, ROWS, regularization);
    const at = Float64Array.from(randomFloats(SIZE, 4));
    const gradient = new Float64Array(SIZE);
    f(at, gradient);
    const step = 1e-5;
    const differences = Array.from({ length: SIZE }, (_, i) => {
      const [up, down] = [step, -step].map((by) =>
        f(
          at.map((x, j) => (i === j ? x + by : x)),
          new Float64Array(SIZE),
        ),
      ) as [number, number];
      return (up - down) / (2 * step);
    });
    assertWithin(gradient, differences, 1e-9);
  }
});

test('the value is the mean cross entropy of the rows chosen, and the squared weights but not the biases', () => {
  const at = Float64Array.from(randomFloats(SIZE, 5));
  const logits = (row: number): number[] =>
    [0, 1, 2].map((k) =>
      at.subarray(k * 6, k * 6 + 6).reduce((sum, w, i) => sum + w * (SAMPLES.x[row * 6 + i] as number), at[18 + k] as number),
    );
  const loss = (row: number): number => {
    const exps = logits(row).map(Math.exp);
    return -Math.log((exps[SAMPLES.classes[row] as number] as number) / exps.reduce((a, b) => a + b));
  };
  const squares = at.subarray(0, 18).reduce((sum, w) => sum + w * w, 0);
  const expected = ROWS.reduce((sum, row) => sum + loss(row), 0) / ROWS.length + (0.7 / 2) * squares;
  assertWithin([logisticObjective(SAMPLES, ROWS, 0.7)(at, new Float64Array(SIZE))], [expected], 1e-12);
});

test('large logits neither overflow nor lose the smaller ones', () => {
  const logs = new Float64Array(2);
  logProbabilities({ x: Float32Array.of(1), width: 1, classes: [0], count: 2 }, 0, Float64Array.of(800, 790, 0, 0), logs);
  assertWithin(logs, [-Math.log1p(Math.exp(-10)), -10 - Math.log1p(Math.exp(-10))], 1e-12);
});

test('without features the biases are the logarithms of how frequent the classes are', async () => {
  const classes = [0, 0, 0, 0, 1, 1, 2];
  const samples: Samples = { x: new Float32Array(7), width: 1, classes, count: 3 };
  const f = logisticObjective(samples, [...classes.keys()], 1);
  const { x } = await minimize(f, { start: new Float64Array(6), tolerance: 1e-11 });
  const logs = new Float64Array(3);
  logProbabilities(samples, 0, x, logs);
  assertWithin(logs, [4 / 7, 2 / 7, 1 / 7].map(Math.log), 1e-9);
});

test('without regularization the probabilities of groups are their frequencies', async () => {
  const [x, classes] = [
    [0, 0, 0, 0, 1, 1, 1, 1, 1],
    [0, 0, 0, 1, 0, 1, 1, 1, 1],
  ] as [number[], number[]];
  const samples: Samples = { x: Float32Array.from(x), width: 1, classes, count: 2 };
  const minimum = await minimize(logisticObjective(samples, [...x.keys()], 0), { start: new Float64Array(4), tolerance: 1e-11 });
  const probabilities = [0, 8].map((row) => {
    const logs = new Float64Array(2);
    logProbabilities(samples, row, minimum.x, logs);
    return Math.exp(logs[0] as number);
  });
  assertWithin(probabilities, [3 / 4, 1 / 5], 1e-9);
});

test('two points that can be told apart have the weight at which pull and hold are equal', async () => {
  const samples: Samples = { x: Float32Array.of(-1, 1), width: 1, classes: [0, 1], count: 2 };
  const regularization = 0.05;
  const { x } = await minimize(logisticObjective(samples, [0, 1], regularization), { start: new Float64Array(4), tolerance: 1e-12 });
  // weights -w and w: the loss log(1 + e^-2w) + regularization w^2 is least where regularization w = 1 / (1 + e^2w)
  let [low, high] = [0, 100];
  for (let i = 0; i < 200; i++) {
    const w = (low + high) / 2;
    if (regularization * w < 1 / (1 + Math.exp(2 * w))) low = w;
    else high = w;
  }
  assertWithin(x, [-low, low, 0, 0], 1e-9);
  assert.ok(low > 1);
});

test.run();
