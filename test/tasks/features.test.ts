import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { Dinov2Config, Tensor } from '../../src/index.ts';
import { patchFeatures, patchGrid } from '../../src/tasks/index.ts';
import { refuses } from '../helpers.ts';
import { assertSame } from '../reference/compare.ts';

const CONFIG = new Dinov2Config({ patch_size: 14 });

/** Each number tells its place. */
const counting = (...dims: number[]): Tensor<'float32'> =>
  new Tensor(
    'float32',
    Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, (_, i) => i),
    dims,
  );

test('the grid counts whole patches', () => {
  assert.equal(patchGrid(CONFIG, counting(1, 3, 28, 55)), [2, 3]);
});

test('features are the tokens of the patches, row by row, without those before them', () => {
  const states = counting(2, 7, 2); // a class token and 2 x 3 patches
  const features = patchFeatures(states, [2, 3]);
  assert.equal(features.dims, [2, 2, 3, 2]);
  assertSame(
    features.at(0).data,
    Array.from({ length: 12 }, (_, i) => 2 + i),
  );
  assertSame(features.at(1).at(1).at(2).data, [26, 27]);
  assertSame(patchFeatures(states, [2, 2]).at(0).at(0).at(0).data, [6, 7], 'with two more tokens in front');
});

test('a grid with more patches than tokens is refused', async () => {
  await refuses(() => patchFeatures(counting(1, 6, 2), [2, 3]), ShapeError, 'last_hidden_state', '6 patches', '[1,6,2]');
  await refuses(() => patchFeatures(counting(7, 2), [2, 3]), ShapeError, 'last_hidden_state');
  await refuses(() => patchGrid(CONFIG, counting(3, 28)), ShapeError, 'pixel_values');
});

test.run();
