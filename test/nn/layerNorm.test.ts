import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LayerNorm } from '../../src/nn/layerNorm.ts';
import { assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { build } from './helpers.ts';

test('a layer norm keeps the dimensions and uses its own epsilon', () => {
  for (const epsilon of [1e-6, 0.3]) {
    const { layer, weight, place } = build((p) => new LayerNorm(p, 9, epsilon));
    const x = place([2, 3, 9], 5);
    const y = layer.forward(x);
    assert.equal(y.dims, [2, 3, 9]);
    assertWithin(y.data, reference.layerNorm(x.data, weight('weight').data, weight('bias').data, epsilon), 1e-5);
  }
});

test.run();
