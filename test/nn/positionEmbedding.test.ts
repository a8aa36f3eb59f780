import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { interpolatePositions, POS_EMBEDS } from '../../src/nn/positionEmbedding.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';
import { type Interpolation, interpolate } from '../reference/interpolate.ts';
import { randomTensor } from '../tensor/helpers.ts';

const GRID = [5, 4] as const;
const WIDTH = 3;
const positions = randomTensor([GRID[0] * GRID[1], WIDTH], 1);

for (const to of [
  [3, 2],
  [9, 11],
  [5, 6],
  [1, 1],
] as const) {
  const [height, width] = to;
  const rules: Record<(typeof POS_EMBEDS)[number], Omit<Interpolation, 'size' | 'mode'>> = {
    offset: { scaleFactor: [(height + 0.1) / GRID[0], (width + 0.1) / GRID[1]] },
    size: {},
    antialias: { antialias: true },
  };
  for (const rule of POS_EMBEDS) {
    test(`positions go to ${height} x ${width} by the rule ${rule} as PyTorch brings them there`, () => {
      const resized = interpolatePositions(positions, GRID, to, rule);
      assert.equal(resized.dims, [height * width, WIDTH]);
      assertWithin(resized.data, interpolate(positions.data, [...GRID, WIDTH], { size: to, mode: 'bicubic', ...rules[rule] }), 2e-6, rule);
    });
  }
}

test('the rules differ where the grid changes, and only the offset does where it stays', () => {
  const at = (to: readonly [number, number], rule: (typeof POS_EMBEDS)[number]): Float32Array =>
    interpolatePositions(positions, GRID, to, rule).data;
  assert.not.equal(at([3, 2], 'offset'), at([3, 2], 'size'));
  assert.not.equal(at([3, 2], 'size'), at([3, 2], 'antialias'));
  assertSame(at(GRID, 'size'), positions.data, 'size');
  assertSame(at(GRID, 'antialias'), positions.data, 'antialias');
  assert.not.equal(at(GRID, 'offset'), positions.data);
});

test.run();
