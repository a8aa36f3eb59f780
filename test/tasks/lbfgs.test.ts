import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minimize, type Objective } from '../../src/tasks/lbfgs.ts';
import { refuses } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { uniform } from '../reference/random.ts';

/** Half x^T A x - b^T x, whose minimum is the solution of A x = b. */
function quadratic(a: readonly (readonly number[])[], b: readonly number[]): Objective {
  return (x, gradient) => {
    let value = 0;
    for (const [i, row] of a.entries()) {
      const product = row.reduce((sum, entry, j) => sum + entry * (x[j] as number), 0);
      gradient[i] = product - (b[i] as number);
      value += (product / 2 - (b[i] as number)) * (x[i] as number);
    }
    return value;
  };
}

test('the minimum of a quadratic function is the solution of its linear equations', async () => {
  const next = uniform(1);
  const factor = Array.from({ length: 12 }, () => Array.from({ length: 12 }, () => 2 * next() - 1));
  const a = factor.map((row, i) =>
    factor.map((other, j) => row.reduce((sum, x, k) => sum + x * (other[k] as number), 0) + (i === j ? 0.1 : 0)),
  );
  const solution = Array.from({ length: 12 }, () => 4 * next() - 2);
  const b = a.map((row) => row.reduce((sum, x, j) => sum + x * (solution[j] as number), 0));
  const { x, isConverged } = await minimize(quadratic(a, b), { start: new Float64Array(12), tolerance: 1e-10 });
  assert.ok(isConverged);
  assertWithin(x, solution, 1e-8);
});

test('scales that differ by millions are no obstacle', async () => {
  const scales = [1e-3, 1, 1e3];
  const a = scales.map((scale, i) => scales.map((_, j) => (i === j ? scale : 0)));
  const { x } = await minimize(
    quadratic(
      a,
      scales.map((s) => 2 * s),
    ),
    { start: new Float64Array(3), tolerance: 1e-9 },
  );
  assertWithin(x, [2, 2, 2], 1e-5);
});

test('the curved valley of Rosenbrock is followed to its end', async () => {
  const rosenbrock: Objective = (p, gradient) => {
    const [x, y] = p as unknown as [number, number];
    gradient[0] = -400 * x * (y - x * x) - 2 * (1 - x);
    gradient[1] = 200 * (y - x * x);
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2;
  };
  const start = Float64Array.of(-1.2, 1);
  const { x, value, iterations, isConverged } = await minimize(rosenbrock, { start, tolerance: 1e-9 });
  assertWithin(x, [1, 1], 1e-8);
  assert.ok(value < 1e-15 && isConverged && iterations < 60, `${iterations} iterations to ${value}`);
  assert.equal([...start], [-1.2, 1]);
});

test('a function without a minimum ends with the iterations, and says so', async () => {
  const fall: Objective = (p, gradient) => {
    gradient[0] = -Math.exp(-(p[0] as number));
    return Math.exp(-(p[0] as number));
  };
  const { iterations, isConverged } = await minimize(fall, { start: Float64Array.of(0), tolerance: 0, maxIterations: 5 });
  assert.equal([iterations, isConverged], [5, false]);
});

test('each iteration is told, with a smaller value, and may end the work', async () => {
  const values: number[] = [];
  const a = [
    [3, 1],
    [1, 2],
  ];
  await minimize(quadratic(a, [1, -4]), { start: Float64Array.of(5, 5), onIteration: (_, value) => void values.push(value) });
  assert.ok(values.length > 2);
  assert.equal(
    values,
    [...values].sort((x, y) => y - x),
  );
  const stop = async (): Promise<void> => {
    throw new RangeError('enough');
  };
  await refuses(() => minimize(quadratic(a, [1, -4]), { start: Float64Array.of(5, 5), onIteration: stop }), RangeError, 'enough');
});

test.run();
