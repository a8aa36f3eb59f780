import { test } from 'uvu';
import { GROUP } from '../../../src/tensor/matrix/int8Layout.ts';
import { ROTATED, rotate, rotateCovariance } from '../../../src/tensor/matrix/rotation.ts';
import { assertWithin } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomFloats } from '../../reference/random.ts';

test('products of rotated numbers are those of the numbers, times what H H is in whole groups', () => {
  const columns = 2 * GROUP;
  const [x, w] = [randomFloats(columns, 1), randomFloats(columns, 2)];
  const dot = (a: Float32Array, b: Float32Array): number => reference.sum(columns, (i) => (a[i] as number) * (b[i] as number));
  assertWithin([dot(rotate(x.slice(), columns), rotate(w.slice(), columns)) / ROTATED], [dot(x, w)], 1e-4);
});

test('the covariance of rotated inputs is what is seen of them: of whole groups rotated, of the rest as it was', () => {
  const [rows, inputs] = [40, GROUP + 7];
  const x = randomFloats(rows * inputs, 3);
  const covariance = (of: Float32Array): Float32Array =>
    Float32Array.from({ length: inputs * GROUP }, (_, e) => {
      const i = Math.floor(e / GROUP);
      const j = i - (i % GROUP) + (e % GROUP);
      if (j >= inputs) return 0;
      return reference.sum(rows, (r) => ((of[r * inputs + i] as number) * (of[r * inputs + j] as number)) / rows);
    });
  assertWithin(rotateCovariance(covariance(x)), covariance(rotate(x.slice(), inputs)), 1e-4);
});

test.run();
