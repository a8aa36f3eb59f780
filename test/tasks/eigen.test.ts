import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orthonormalRows, symmetricEigen } from '../../src/tasks/eigen.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { assertWithin } from '../reference/compare.ts';
import { randomFloats } from '../reference/random.ts';

type Rows = number[][];

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

function randomSymmetric(n: number, seed: number): Tensor<'float32'> {
  const data = randomFloats(n * n, seed);
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) data[i * n + j] = data[j * n + i] as number;
  return new Tensor('float32', data, [n, n]);
}

for (const n of [1, 2, 3, 8]) {
  test(`a random ${n} x ${n} matrix times an eigenvector is the eigenvalue times it`, () => {
    const matrix = randomSymmetric(n, n);
    const { values, vectors } = symmetricEigen(matrix);
    assert.equal(
      values,
      [...values].sort((a, b) => b - a),
      'largest first',
    );
    for (const [i, vector] of (vectors.tolist() as Rows).entries()) {
      const image = (matrix.tolist() as Rows).map((row) => dot(row, vector));
      assertWithin(
        image,
        vector.map((x) => x * (values[i] as number)),
        1e-6,
      );
      for (const [j, other] of (vectors.tolist() as Rows).entries()) assertWithin([dot(vector, other)], [Number(i === j)], 1e-6);
    }
  });
}

test('diagonal matrices, zeros and equal values are no difficulty', () => {
  const { values, vectors } = symmetricEigen(new Tensor('float32', [2, 0, 0, 0, 3, 0, 0, 0, 2], [3, 3]));
  assert.equal(values, [3, 2, 2]);
  assert.equal(vectors.tolist(), [
    [0, 1, 0],
    [1, 0, 0],
    [0, 0, 1],
  ]);
  assert.equal(symmetricEigen(new Tensor('float32', [0, 0, 0, 0], [2, 2])).values, [0, 0]);
});

test('orthonormal rows span what the rows span', () => {
  const rows = orthonormalRows(new Tensor('float32', [3, 0, 4, 6, 1, 8], [2, 3])).tolist() as Rows;
  assertWithin(rows.flat(), [0.6, 0, 0.8, 0, 1, 0], 1e-7);
});

test('a row that depends on those before it becomes zeros', () => {
  const rows = orthonormalRows(new Tensor('float32', [1, 0, 0, 0, 2, 0, 0, 0, 3], [3, 3])).tolist() as Rows;
  assert.equal(rows, [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ]);
  const dependent = orthonormalRows(new Tensor('float32', [1, 0, 5, 0, 0, 0], [3, 2])).tolist() as Rows;
  assert.equal(dependent, [
    [1, 0],
    [0, 0],
    [0, 0],
  ]);
});

test.run();
