import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { pca, principalComponents } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';
import { randomFloats, uniform } from '../reference/random.ts';

const ROOT = Math.SQRT1_2;

/** 8 rows around [1, 2, 3, 4] with variances 8/7 * (9, 4, 1) along three axes that are orthogonal to each other. */
function knownRows(): Tensor<'float32'> {
  const axes = [
    [ROOT, ROOT, 0, 0],
    [ROOT, -ROOT, 0, 0],
    [0, 0, 0, 1],
  ];
  const rows = Array.from({ length: 8 }, (_, i) => {
    const signs = [i & 1, i & 2, i & 4].map((bit) => (bit ? 1 : -1)); // uncorrelated
    return [1, 2, 3, 4].map((center, j) => signs.reduce((x, sign, k) => x + sign * (3 - k) * (axes[k]?.[j] as number), center));
  });
  return new Tensor('float32', rows.flat(), [8, 4]);
}

test('components that are known are found, in order, with their variances and positive largest numbers', () => {
  const { mean, axes, variances } = principalComponents(knownRows());
  assertWithin(mean.data, [1, 2, 3, 4], 1e-6);
  assertWithin(variances, [(9 * 8) / 7, (4 * 8) / 7, 8 / 7], 1e-5);
  const [first = [], second = [], third = []] = axes.tolist() as number[][];
  assertWithin(first, [ROOT, ROOT, 0, 0], 1e-6);
  assertWithin(second.map(Math.abs), [ROOT, ROOT, 0, 0], 1e-6);
  assert.ok((second[0] as number) * (second[1] as number) < 0);
  assertWithin(third, [0, 0, 0, 1], 1e-6);
});

for (const [rows, width] of [
  [200, 24],
  [20, 60], // less rows than numbers
  [5, 3],
] as const) {
  test(`random rows (${rows}, ${width}): axes are eigenvectors of the covariance, and no direction varies more than the first`, () => {
    const scales = Array.from({ length: width }, (_, j) => 1 / (1 + j / 3));
    const noise = randomFloats(rows * width, rows);
    const data = new Tensor(
      'float32',
      noise.map((x, i) => x * (scales[i % width] as number)),
      [rows, width],
    );
    const { mean, axes, variances } = principalComponents(data);
    const centered = (data.tolist() as number[][]).map((row) => row.map((x, j) => x - (mean.data[j] as number)));
    const covariance = (v: readonly number[]): number[] => {
      const image = new Array<number>(width).fill(0);
      for (const row of centered) {
        const along = row.reduce((sum, x, j) => sum + x * (v[j] as number), 0);
        for (let j = 0; j < width; j++) image[j] = (image[j] as number) + ((row[j] as number) * along) / (rows - 1);
      }
      return image;
    };
    for (const [i, axis] of (axes.tolist() as number[][]).entries()) {
      assertWithin(
        covariance(axis),
        axis.map((x) => x * (variances[i] as number)),
        1e-5 * (variances[0] as number),
      );
      assertWithin([Math.hypot(...axis)], [1], 1e-6);
      assert.ok(i === 0 || (variances[i] as number) <= (variances[i - 1] as number));
    }
    const next = uniform(1);
    for (let trial = 0; trial < 50; trial++) {
      const v = Array.from({ length: width }, () => next() - 0.5);
      const variance = covariance(v).reduce((sum, x, j) => sum + x * (v[j] as number), 0) / Math.hypot(...v) ** 2;
      assert.ok(variance <= (variances[0] as number) * (1 + 1e-5));
    }
  });
}

test('the same rows give the same axes, and twice the rows too', () => {
  const rows = new Tensor('float32', randomFloats(40 * 6, 3), [40, 6]);
  const { axes } = principalComponents(rows);
  assertSame(principalComponents(rows.clone()).axes.data, axes.data);
  const twice = new Tensor('float32', [...rows.data, ...rows.data], [80, 6]);
  assertWithin(principalComponents(twice).axes.data, axes.data, 1e-4);
});

test('rows that do not vary have no components and one colour', () => {
  const { axes, variances } = principalComponents(new Tensor('float32', [1, 2, 1, 2, 1, 2], [3, 2]), { count: 2 });
  assert.equal(variances, [0, 0]);
  assert.ok(axes.data.every(Number.isFinite));
  assertSame((pca([new Tensor('float32', [1, 2, 1, 2, 1, 2], [3, 2])], { count: 1 })[0] as Tensor<'float32'>).data, [0.5, 0.5, 0.5]);
});

test('colours go from the 1st to the 99th percentile and are clipped there', () => {
  const ramp = new Tensor(
    'float32',
    Array.from({ length: 101 }, (_, i) => 5 * i),
    [101, 1],
  );
  const [colors] = pca([ramp], { count: 1 }) as [Tensor<'float32'>];
  assertWithin(
    colors.data,
    Array.from({ length: 101 }, (_, i) => Math.min(Math.max((i - 1) / 98, 0), 1)),
    1e-5,
  );
});

test('tensors given together share components and scale, and keep their own dimensions', () => {
  const data = randomFloats(24 * 5, 4);
  const [together] = pca([new Tensor('float32', data, [24, 5])]) as [Tensor<'float32'>];
  const [a, b] = pca([new Tensor('float32', data.slice(0, 12 * 5), [3, 4, 5]), new Tensor('float32', data.slice(12 * 5), [1, 12, 5])]) as [
    Tensor<'float32'>,
    Tensor<'float32'>,
  ];
  assert.equal(a.dims, [3, 4, 3]);
  assert.equal(b.dims, [1, 12, 3]);
  assertSame([...a.data, ...b.data], together.data);
  assert.ok(together.data.every((x) => x >= 0 && x <= 1));
});

test('other dimensions and counts are refused by name', async () => {
  const rows = new Tensor('float32', new Float32Array(6), [2, 3]);
  await refuses(() => pca([]), ShapeError, 'features', 'none');
  await refuses(() => pca([rows, new Tensor('float32', new Float32Array(4), [2, 2])]), ShapeError, 'features', '[2, 3]', '[2, 2]');
  await refuses(() => principalComponents(new Tensor('float32', [], [0, 3])), ShapeError, 'rows');
  for (const count of [0, 4, 1.5]) await refuses(() => principalComponents(rows, { count }), ArgumentError, 'count', String(count));
});

test.run();
