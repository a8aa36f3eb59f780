import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SelfAttention } from '../../src/nn/selfAttention.ts';
import { assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { build } from './helpers.ts';

const [TOKENS, HEADS, WIDTH] = [7, 3, 4];
const HIDDEN = HEADS * WIDTH;

for (const bias of [true, false]) {
  for (const headMask of [undefined, [1, 0, 0.5]]) {
    test(`self-attention ${bias ? 'with' : 'without'} bias${headMask ? ' and with a head mask' : ''} is added, scaled, to the residual`, () => {
      const { layer, weight, place } = build((p) => new SelfAttention(p, HIDDEN, HEADS, { bias }));
      const [x, scale, residual] = [place([TOKENS, HIDDEN], 20), place([HIDDEN], 21), place([TOKENS, HIDDEN], 22)];
      const before = residual.data;
      layer.addTo(residual, x, scale, headMask && { headMask });

      const sizes = { rows: TOKENS, inputs: HIDDEN, outputs: HIDDEN };
      const project = (name: string, from: ArrayLike<number>, biased: boolean): Float64Array =>
        reference.linear(from, weight(`${name}.weight`).data, biased ? weight(`${name}.bias`).data : undefined, sizes);
      const [q, k, v] = ['query', 'key', 'value'].map((name) => project(`attention.${name}`, x.data, bias)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      const { out } = reference.attention(q, k, v, {
        queries: TOKENS,
        keys: TOKENS,
        heads: HEADS,
        width: WIDTH,
        ...(headMask && { headMask }),
      });
      const expected = project('output.dense', out, true).map(
        (value, i) => (before[i] as number) + (scale.data[i % HIDDEN] as number) * value,
      );
      assertWithin(residual.data, expected, 1e-5);
      assert.is(weight('attention.query.bias') !== undefined, bias);
    });
  }
}

test.run();
