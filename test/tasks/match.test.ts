import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { type DensePatches, matchPatches, matchPoint, similarityMap, spreadMatches } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';

const SIZE = 8;

/** Features that change smoothly, seen from `shift` patches further to the right; patches of 10 x 5 pixels. */
function smooth(shift: number): DensePatches {
  const data: number[] = [];
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const [x, y] = [(column + shift) / 3, row / 3];
      data.push(Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y));
    }
  }
  const frame = { rows: SIZE, columns: SIZE, left: 0, top: 0, patchWidth: 10, patchHeight: 5 };
  return { features: new Tensor('float32', data, [SIZE, SIZE, 4]), frame };
}

test('a photograph matches itself at the middles of all patches', () => {
  const matches = matchPatches(smooth(0), smooth(0));
  assert.is(matches.length, SIZE * SIZE);
  for (const { a, b, similarity } of matches) assert.ok(Math.hypot(a.x - b.x, a.y - b.y) < 0.01 && similarity > 0.9999);
});

test('a shift is found to a tenth of a patch, and without refinement to half of one', () => {
  const error = (refine: boolean): number =>
    Math.max(
      ...matchPatches(smooth(0), smooth(1.3), { refine })
        .filter(({ b }) => b.x > 10 && b.x < 70)
        .map(({ a, b }) => Math.abs(a.x - b.x - 13)),
    );
  assert.ok(error(true) < 1, String(error(true)));
  assert.ok(error(false) > 2.5 && error(false) <= 5);
});

test('a point has a map of likeness, largest where it is found', () => {
  const [a, b] = [smooth(0), smooth(2)];
  const map = similarityMap(a, b, { x: 45, y: 12 });
  assert.equal(map.dims, [SIZE, SIZE]);
  const { b: found } = matchPoint(a, b, { x: 45, y: 12 }, { refine: false });
  assert.equal(found, { x: 25, y: 12.5 });
  assert.ok(Math.max(...map.data) === map.data[2 * SIZE + 2]);
});

test('matches that are drawn are apart', () => {
  const chosen = spreadMatches(matchPatches(smooth(0), smooth(0)), { count: 10, width: 80, height: 40 });
  assert.ok(chosen.length > 3 && chosen.length <= 10);
  for (const [i, { a }] of chosen.entries()) {
    for (const { a: other } of chosen.slice(0, i)) assert.ok(Math.hypot(a.x - other.x, a.y - other.y) >= Math.sqrt(320) / 2);
  }
});

test('what does not fit is refused by name', async () => {
  const other = { ...smooth(0), features: new Tensor('float32', new Float32Array(SIZE * SIZE * 3), [SIZE, SIZE, 3]) };
  await refuses(() => matchPatches(smooth(0), other), ShapeError, 'features of b');
  await refuses(() => matchPoint(smooth(0), smooth(0), { x: 90, y: 0 }), ArgumentError, 'point');
  await refuses(() => spreadMatches([], { count: 0, width: 1, height: 1 }), ArgumentError, 'count');
});

test.run();
