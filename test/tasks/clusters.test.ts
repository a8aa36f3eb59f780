import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normals } from '../../src/nn/random.ts';
import { clusterFeatures } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { cosine } from '../reference/compare.ts';

const WIDTH = 24;

/** Rows around directions, in turn: row i is of group i % sizes.length while that has room. Lengths differ, for they are to mean nothing. */
function planted(sizes: readonly number[], { spread = 0.1, seed = 1 } = {}): { rows: Tensor<'float32'>; groups: number[] } {
  const next = normals(seed, 'planted');
  const directions = sizes.map(() => Float32Array.from({ length: WIDTH }, next));
  const groups: number[] = [];
  for (let i = 0; i < Math.max(...sizes); i++) for (const [group, size] of sizes.entries()) if (i < size) groups.push(group);
  const data = groups.flatMap((group, i) => Array.from(directions[group] as Float32Array, (x) => (x + spread * next()) * (1 + (i % 7))));
  return { rows: new Tensor('float32', data, [groups.length, WIDTH]), groups };
}

const unit = (row: ArrayLike<number>): number[] => Array.from(row, (x) => x / Math.hypot(...Array.from(row)));

const groupsOf = (found: ReturnType<typeof clusterFeatures>): number[][] =>
  found.clusters.map(({ rows }) => [...rows].sort((a, b) => a - b));

test('finds the groups that are there, and how many, the largest first', () => {
  for (const sizes of [
    [30, 20, 12, 7, 5],
    [40, 9],
    [40, 35, 30, 25, 20, 15, 12, 9, 7, 5, 4, 3],
  ]) {
    const { rows, groups } = planted(sizes);
    const found = clusterFeatures(rows);
    const expected = sizes.map((_, group) => groups.flatMap((own, i) => (own === group ? [i] : [])));
    assert.equal(groupsOf(found), expected, String(sizes));
    const best = found.silhouettes.reduce((a, b) => (b.silhouette > a.silhouette ? b : a));
    assert.is(best.count, sizes.length);
  }
});

test('rows of a cluster are in the order of their likeness to its centre, the direction of their sum, without the mean of all', () => {
  const { rows } = planted([10, 6], { spread: 0.5 });
  const { clusters, silhouettes } = clusterFeatures(rows, { count: 2 });
  assert.equal(silhouettes, []);
  const units = Array.from({ length: 16 }, (_, i) => unit(rows.at(i).data));
  const mean = units[0]?.map((_, j) => units.reduce((sum, row) => sum + (row[j] as number) / 16, 0)) as number[];
  const deviations = units.map((row) => unit(row.map((x, j) => x - (mean[j] as number))));
  for (const { rows: own, scores, center } of clusters) {
    const sum = mean.map((_, j) => own.reduce((total, row) => total + (deviations[row]?.[j] as number), 0));
    for (const [j, x] of unit(sum).entries()) assert.ok(Math.abs(x - (center.data[j] as number)) < 1e-5);
    for (const [i, row] of own.entries()) {
      assert.ok(Math.abs((scores[i] as number) - cosine(deviations[row] as number[], center.data)) < 1e-5);
      if (i > 0) assert.ok((scores[i - 1] as number) >= (scores[i] as number));
    }
  }
});

test('features without groups are one cluster, whatever they have in common', () => {
  const next = normals(2, 'cloud');
  for (const common of [0, 1, 10]) {
    const cloud = new Tensor(
      'float32',
      Float32Array.from({ length: 300 * WIDTH }, () => common + next()),
      [300, WIDTH],
    );
    assert.is(clusterFeatures(cloud).clusters.length, 1);
  }
});

test('the same seed gives the same clusters, and every row is in one of them', () => {
  const next = normals(3, 'cloud');
  const cloud = new Tensor('float32', Float32Array.from({ length: 300 * WIDTH }, next), [300, WIDTH]);
  const first = clusterFeatures(cloud, { count: 9, seed: 5 });
  assert.equal(clusterFeatures(cloud, { count: 9, seed: 5 }), first);
  assert.not.equal(groupsOf(clusterFeatures(cloud, { count: 9, seed: 6 })), groupsOf(first));
  assert.equal(
    groupsOf(first)
      .flat()
      .sort((a, b) => a - b),
    [...Array(300).keys()],
  );
});

test('more rows than are compared pair by pair', () => {
  const sizes = [1100, 900, 500];
  const { rows, groups } = planted(sizes);
  const found = clusterFeatures(rows, { maxCount: 4 });
  assert.equal(
    found.silhouettes.map(({ count }) => count),
    [2, 3, 4],
  );
  assert.equal(
    groupsOf(found),
    sizes.map((_, group) => groups.flatMap((own, i) => (own === group ? [i] : []))),
  );
});

test('one row, rows that are all alike, and more clusters than different rows', () => {
  const one = new Tensor('float32', [1, 2, 2], [1, 3]);
  assert.equal(
    clusterFeatures(one).clusters.map(({ rows }) => rows),
    [[0]],
  );
  const same = new Tensor('float32', [1, 0, 2, 0, 3, 0], [3, 2]);
  assert.equal(
    clusterFeatures(same).clusters.map(({ rows }) => rows),
    [[0, 1, 2]],
  );
  assert.equal(
    clusterFeatures(same, { count: 3 })
      .clusters.flatMap(({ rows }) => rows)
      .sort(),
    [0, 1, 2],
  );
});

test('what cannot be is refused', () => {
  const { rows } = planted([3, 3]);
  assert.throws(() => clusterFeatures(rows, { count: 7 }), /count: expected an integer from 1 to 6/);
  assert.throws(() => clusterFeatures(rows, { maxCount: 0 }), /maxCount: expected/);
  assert.throws(() => clusterFeatures(rows, { k: 3 } as object), /expected options count, maxCount, seed/);
  assert.throws(() => clusterFeatures(new Tensor('float32', [], [0, 3])), /found none/);
  assert.throws(() => clusterFeatures(new Tensor('float32', [1, Number.NaN], [2, 1])), /features\[1\]: expected finite/);
});

test.run();
