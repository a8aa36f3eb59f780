import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { fitPatchPca, principalComponents } from '../../src/tasks/index.ts';
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
});

/** (6, 6, 4): noise, and in the middle 2 x 2 patches something else. */
function pictureWithMiddle(seed: number, side = 1): Tensor<'float32'> {
  const data = randomFloats(6 * 6 * 4, seed, 0.2);
  for (const patch of [14, 15, 20, 21]) data[patch * 4 + 1] = (data[patch * 4 + 1] as number) + 5 * side;
  return new Tensor('float32', data, [6, 6, 4]);
}

const inside = (mask: Tensor<'float32'>): number[] => [...mask.data.keys()].filter((i) => (mask.data[i] as number) > 0);

test('the foreground is what is less at the edges, whichever side of the first component it is on', () => {
  for (const side of [1, -1]) {
    const features = pictureWithMiddle(1, side);
    const { colors, foreground } = fitPatchPca([features]).colorsOf(features);
    assert.equal(
      [colors.dims, foreground.dims],
      [
        [6, 6, 3],
        [6, 6],
      ],
    );
    assert.equal(inside(foreground), [14, 15, 20, 21]);
    assert.ok(colors.data.every((x) => x >= 0 && x <= 1));
    const other = fitPatchPca([features], { foreground: side === 1 ? 'low' : 'high' }).colorsOf(features).foreground;
    assert.is(inside(other).length, 32);
  }
});

test('pictures share colours, in any order, and others can be coloured afterwards', () => {
  const [a, b] = [pictureWithMiddle(1), pictureWithMiddle(2)];
  const one = fitPatchPca([a, b]).colorsOf(a);
  const other = fitPatchPca([b, a]).colorsOf(a);
  assertWithin(other.colors.data, one.colors.data, 1e-3);
  assertWithin(other.foreground.data, one.foreground.data, 1e-4);
  assertSame(fitPatchPca([a, b]).colorsOf(a).colors.data, one.colors.data);
  assert.equal(inside(fitPatchPca([a, b]).colorsOf(pictureWithMiddle(3)).foreground), [14, 15, 20, 21]);
});

test('in unlike pictures each has its foreground, where the rule of the paper tells one picture from the other', () => {
  const [a, b] = [pictureWithMiddle(1), pictureWithMiddle(2)];
  for (let patch = 0; patch < 36; patch++) b.data[patch * 4 + 3] = (b.data[patch * 4 + 3] as number) + 20;
  const pca = fitPatchPca([a, b]);
  for (const picture of [a, b]) assert.equal(inside(pca.colorsOf(picture).foreground), [14, 15, 20, 21]);
  const shared = fitPatchPca([a, b], { threshold: 0 });
  assert.equal(
    [a, b].map((picture) => inside(shared.colorsOf(picture).foreground).length).sort((x, y) => x - y),
    [0, 36],
  );
});

test('features that do not vary are all foreground, in one colour', () => {
  const same = new Tensor('float32', new Float32Array(12).fill(2), [2, 2, 3]);
  const { colors, foreground } = fitPatchPca([same]).colorsOf(same);
  assertSame(colors.data, new Array(12).fill(0.5));
  assert.is(inside(foreground).length, 4);
});

test('other dimensions and counts are refused by name', async () => {
  const rows = new Tensor('float32', new Float32Array(6), [2, 3]);
  await refuses(() => fitPatchPca([]), ShapeError, 'features', 'none');
  await refuses(() => fitPatchPca([rows]), ShapeError, 'features', '[2, 3]');
  await refuses(() => fitPatchPca([rows.reshape(1, 2, 3)], { threshold: Number.NaN }), ArgumentError, 'threshold');
  await refuses(() => fitPatchPca([rows.reshape(1, 2, 3)], { foreground: 'up' as 'high' }), ArgumentError, 'foreground', 'auto');
  await refuses(() => principalComponents(new Tensor('float32', [], [0, 3])), ShapeError, 'rows');
  for (const count of [0, 4, 1.5]) await refuses(() => principalComponents(rows, { count }), ArgumentError, 'count', String(count));
});

test.run();
