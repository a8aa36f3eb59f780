import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Parameters } from '../../src/nn/parameters.ts';
import { WeightNormLinear } from '../../src/nn/weightNormLinear.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { placed } from '../../src/tensor/place.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { randomTensor } from '../tensor/helpers.ts';

for (const order of ['weight_g', 'weight_v']) {
  test(`rows have the length of weight_g, ${order} being loaded first, and are read back as they were`, () => {
    const engine = new Engine();
    const p = new Parameters(engine);
    const layer = new WeightNormLinear(p, 5, 11);
    const weights = { weight_g: randomTensor([11, 1], 1, 3), weight_v: randomTensor([11, 5], 2) };
    const all = order === 'weight_g' ? [...p.all] : [...p.all].reverse();
    assert.is(all[0]?.name, order);
    for (const { allocate } of p.all) allocate();
    for (const { name, load } of all) load(weights[name as keyof typeof weights]);
    for (const { name, read } of p.all) assertSameBits(read().data, weights[name as keyof typeof weights].data, name);

    const x = randomTensor([3, 5], 3);
    const unit = reference.l2Norm(weights.weight_v.data, 5, 0);
    const scaled = unit.map((value, i) => value * (weights.weight_g.data[Math.floor(i / 5)] as number));
    const expected = reference.linear(x.data, scaled, undefined, { rows: 3, inputs: 5, outputs: 11 });
    const y = layer.forward(placed(engine, x));
    assert.equal(y.dims, [3, 11]);
    assertWithin(y.data, expected, 1e-5);
  });
}

test.run();
