import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { padAround } from '../../src/tensor/pad.ts';
import { assertSame } from '../reference/compare.ts';
import { randomTensor } from './helpers.ts';

test('zeros go around an image, the odd one behind it', () => {
  const { dims, data } = padAround(randomTensor([1, 1, 1], 1), [2, 4]);
  assert.equal(dims, [1, 2, 4]);
  assert.equal(
    [...data].map((x) => x !== 0),
    [false, true, false, false, false, false, false, false],
  );
});

test('each plane of any number of them is padded alike', () => {
  const few = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(
      fc.array(few, { maxLength: 2 }),
      few,
      few,
      fc.nat({ max: 3 }),
      fc.nat({ max: 3 }),
      fc.nat(),
      (leading, rows, columns, down, across, seed) => {
        const x = randomTensor([...leading, rows, columns], seed);
        const [height, width] = [rows + down, columns + across];
        const y = padAround(x, [height, width]);
        assert.equal(y.dims, [...leading, height, width]);
        const expected = Float32Array.from(y.data, (_, i) => {
          const [plane, row, column] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
          const [r, c] = [row - Math.floor(down / 2), column - Math.floor(across / 2)];
          return r >= 0 && r < rows && c >= 0 && c < columns ? (x.data[(plane * rows + r) * columns + c] as number) : 0;
        });
        assertSame(y.data, expected);
      },
    ),
    { seed: 1 },
  );
});

test.run();
