import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConvTranspose2d } from '../../src/nn/convTranspose2d.ts';
import { Parameters } from '../../src/nn/parameters.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/conv.ts';
import { randomTensor } from '../tensor/helpers.ts';
import { build } from './helpers.ts';

for (const [kernel, bias] of [
  [2, true],
  [4, true],
  [4, false],
] as const) {
  test(`a transposed convolution of ${kernel} x ${kernel} ${bias ? 'with' : 'without'} bias spreads each pixel over a block`, () => {
    const { layer, weight, place } = build((p) => new ConvTranspose2d(p, 6, 5, { kernel, bias }));
    const x = place([3, 4, 6], 1);
    const y = layer.forward(x);
    assert.equal(y.dims, [3 * kernel, 4 * kernel, 5]);
    const b = bias ? weight('bias').data : undefined;
    assertWithin(y.data, reference.convTranspose2d(x.data, [3, 4, 6], weight('weight').data, [6, 5, kernel, kernel], b), 1e-5);
  });
}

test('a transposed convolution has PyTorch’s parameters and reads them back bit for bit, whichever was loaded first', () => {
  for (const reversed of [false, true]) {
    const p = new Parameters(new Engine());
    new ConvTranspose2d(p, 3, 10, { kernel: 2 });
    assert.equal(
      p.all.map(({ name, dims, initial }) => [name, dims, initial]),
      [
        ['weight', [3, 10, 2, 2], 'normal'],
        ['bias', [10], 0],
      ],
    );
    for (const { allocate } of p.all) allocate();
    const values = new Map(p.all.map(({ name, dims }, i) => [name, randomTensor(dims, i)]));
    for (const { name, load } of reversed ? p.all.toReversed() : p.all) load(values.get(name) as never);
    for (const { name, dims, read } of p.all) {
      assert.equal(read().dims, dims);
      assertSameBits(read().data, values.get(name)?.data as Float32Array, name);
    }
  }
});

test.run();
