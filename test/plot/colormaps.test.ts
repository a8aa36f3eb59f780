import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/errors.ts';
import { COLORMAPS, type ColormapName, colormap } from '../../src/plot/index.ts';
import { refuses } from '../helpers.ts';

function hex(name: ColormapName, index: number): string {
  return Buffer.from(colormap(name).subarray(index * 3, index * 3 + 3)).toString('hex');
}

for (const [name, first, middle, last] of [
  ['inferno', '000004', 'bc3754', 'fcffa4'],
  ['magma', '000004', 'b73779', 'fcfdbf'],
  ['viridis', '440154', '21918c', 'fde725'],
  ['turbo', '30123b', 'a4fc3c', '7a0403'],
  ['spectral', '9e0142', 'ffffbe', '5e4fa2'],
  ['gray', '000000', '808080', 'ffffff'],
] as const) {
  test(`${name} has the colours that are published, and reversed from its other end`, () => {
    assert.equal([hex(name, 0), hex(name, 128), hex(name, 255)], [first, middle, last]);
    for (const index of [0, 1, 100, 254, 255]) assert.is(hex(`${name}_r`, index), hex(name, 255 - index));
  });
}

test('all have 256 colours, without jumps between neighbours', () => {
  assert.is(COLORMAPS.length, 12);
  for (const name of COLORMAPS) {
    const colors = colormap(name);
    assert.is(colors.length, 256 * 3);
    for (let i = 3; i < colors.length; i++) {
      assert.ok(Math.abs((colors[i] as number) - (colors[i - 3] as number)) <= 10, `${name} ${Math.floor(i / 3)}`);
    }
  }
});

test('spectral passes through the eleven colours of ColorBrewer', () => {
  assert.equal(
    [51, 102, 153, 204].map((index) => hex('spectral', index)),
    ['f46d43', 'fee08b', 'e6f598', '66c2a5'],
  );
});

test('an unknown name is refused with those there are', async () => {
  await refuses(() => colormap('jet' as ColormapName), ArgumentError, 'inferno', 'spectral_r', '"jet"');
});

test.run();
