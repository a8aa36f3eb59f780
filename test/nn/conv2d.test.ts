import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Conv2d } from '../../src/nn/conv2d.ts';
import { Parameters } from '../../src/nn/parameters.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { placed } from '../../src/tensor/place.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/conv.ts';
import { randomTensor } from '../tensor/helpers.ts';
import { build } from './helpers.ts';

for (const bias of [true, false]) {
  test(`a convolution ${bias ? 'with' : 'without'} bias goes forward, and adds itself`, () => {
    const { layer, weight, place } = build((p) => new Conv2d(p, 5, 7, { kernel: 3, stride: 2, padding: 1, bias }));
    const x = place([5, 8, 5], 1);
    const b = bias ? weight('bias').data : undefined;
    const expected = reference.conv2d(x.data, [5, 8, 5], weight('weight').data, [7, 5, 3, 3], b, { stride: 2, padding: 1 });
    const y = layer.forward(x);
    assert.equal(y.dims, [3, 4, 7]);
    assertWithin(y.data, expected.data, 1e-5, 'forward');
    const rectified = layer.forward(x, { activation: 'relu' });
    assertSameBits(
      rectified.data,
      y.data.map((value) => Math.max(value, 0)),
      'with an activation',
    );

    const residual = place([3, 4, 7], 2);
    const before = residual.data;
    layer.addTo(residual, x);
    assertSameBits(
      residual.data,
      y.data.map((value, e) => value + (before[e] as number)),
      'added',
    );
  });
}

test('a pre-activation residual unit is two convolutions, each behind a ReLU, added to what went in', () => {
  const { layer, weight, place } = build((p) => ({
    one: new Conv2d(p.at('convolution1'), 6, 6, { kernel: 3, padding: 1 }),
    two: new Conv2d(p.at('convolution2'), 6, 6, { kernel: 3, padding: 1 }),
  }));
  const x = place([4, 5, 6], 3);
  const relu = (values: ArrayLike<number>): Float64Array => Float64Array.from(values, (value) => Math.max(value, 0));
  const convolution = (values: ArrayLike<number>, name: string): Float64Array =>
    reference.conv2d(values, [4, 5, 6], weight(`${name}.weight`).data, [6, 6, 3, 3], weight(`${name}.bias`).data, { padding: 1 }).data;
  const before = x.data;
  const hidden = layer.one.forward(x, { inputRelu: true, activation: 'relu' });
  layer.two.addTo(x, hidden);
  const expected = convolution(relu(convolution(relu(before), 'convolution1')), 'convolution2').map(
    (value, e) => value + (before[e] as number),
  );
  assertWithin(x.data, expected, 1e-5);
});

test('a convolution has PyTorch’s parameters and reads them back bit for bit, whichever was loaded first', () => {
  for (const reversed of [false, true]) {
    for (const inside of [false, true]) {
      const engine = new Engine();
      const p = new Parameters(engine);
      const layer = new Conv2d(p.at('conv'), 5, 9, { kernel: 3, padding: 1 });
      assert.equal(
        p.all.map(({ name, dims, initial }) => [name, dims, initial]),
        [
          ['conv.weight', [9, 5, 3, 3], 'normal'],
          ['conv.bias', [9], 0],
        ],
      );
      for (const { allocate } of p.all) allocate();
      const values = p.all.map(({ dims }, i) => randomTensor(dims, i));
      const order = reversed ? [1, 0] : [0, 1];
      for (const i of order) engine.scope(() => p.all[i]?.load(inside ? placed(engine, values[i] as never) : (values[i] as never)));
      for (const [i, { dims, read }] of p.all.entries()) {
        assert.equal(read().dims, dims);
        assertSameBits(read().data, values[i]?.data as Float32Array);
      }
      const x = randomTensor([3, 4, 5], 7);
      const expected = reference.conv2d(x.data, [3, 4, 5], values[0]?.data as Float32Array, [9, 5, 3, 3], values[1]?.data, {
        padding: 1,
      }).data;
      assertWithin(layer.forward(placed(engine, x)).data, expected, 1e-5);
    }
  }
});

test('a recorded convolution replayed gives the bits of an eager one', async () => {
  const engine = new Engine();
  const p = new Parameters(engine);
  const layer = new Conv2d(p, 40, 8, { kernel: 3, padding: 1 });
  for (const [i, parameter] of p.all.entries()) {
    parameter.allocate();
    parameter.load(randomTensor(parameter.dims, i));
  }
  const x = placed(engine, randomTensor([30, 31, 40], 5));
  const recording = await engine.record(async () => layer.forward(x, { inputRelu: true }));
  recording.replay();
  const replayed = recording.result.data;
  assertSameBits(
    replayed,
    engine.scope(() => layer.forward(x, { inputRelu: true }).data),
  );
});

test.run();
