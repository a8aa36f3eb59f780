import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Linear } from '../../src/nn/linear.ts';
import { assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { build } from './helpers.ts';

for (const bias of [true, false]) {
  test(`a linear layer ${bias ? 'with' : 'without'} bias goes forward, and adds itself scaled`, () => {
    const { layer, weight, place } = build((p) => new Linear(p, 7, 10, { bias }));
    const x = place([2, 3, 7], 5);
    const sizes = { rows: 6, inputs: 7, outputs: 10 };
    const b = bias ? weight('bias').data : undefined;
    const y = layer.forward(x, 'silu');
    assert.equal(y.dims, [2, 3, 10]);
    assertWithin(y.data, reference.linear(x.data, weight('weight').data, b, { ...sizes, activation: 'silu' }), 1e-5, 'forward');

    const [scale, residual] = [place([10], 6), place([2, 3, 10], 7)];
    const before = residual.data;
    layer.addTo(residual, x, scale);
    const expected = reference
      .linear(x.data, weight('weight').data, b, sizes)
      .map((value, i) => (before[i] as number) + (scale.data[i % 10] as number) * value);
    assertWithin(residual.data, expected, 1e-5, 'added');
  });
}

test.run();
