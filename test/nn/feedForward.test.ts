import { test } from 'uvu';
import { type FeedForward, Mlp, SwiGlu } from '../../src/nn/feedForward.ts';
import { ACTIVATIONS, type Activation } from '../../src/runtime/kernels.ts';
import { assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { type Built, build } from './helpers.ts';

const [TOKENS, WIDTH, HIDDEN] = [5, 6, 11];

/** Runs a layer on random tokens and compares with the residual plus scale times what `feedForward` makes of them. */
function check({ layer, place }: Built<FeedForward>, feedForward: (x: Float32Array) => Float64Array): void {
  const [x, scale, residual] = [place([TOKENS, WIDTH], 20), place([WIDTH], 21), place([TOKENS, WIDTH], 22)];
  const before = residual.data;
  layer.addTo(residual, x, scale);
  const expected = feedForward(x.data).map((value, i) => (before[i] as number) + (scale.data[i % WIDTH] as number) * value);
  assertWithin(residual.data, expected, 1e-5);
}

for (const activation of Object.keys(ACTIVATIONS) as Activation[]) {
  test(`an MLP is two linear layers with ${activation} between them`, () => {
    const built = build((p) => new Mlp(p, WIDTH, HIDDEN, activation));
    const apply = (name: string, x: ArrayLike<number>, inputs: number, outputs: number, act: Activation): Float64Array =>
      reference.linear(x, built.weight(`${name}.weight`).data, built.weight(`${name}.bias`).data, {
        rows: TOKENS,
        inputs,
        outputs,
        activation: act,
      });
    check(built, (x) => apply('fc2', apply('fc1', x, WIDTH, HIDDEN, activation), HIDDEN, WIDTH, 'none'));
  });
}

test('a SwiGLU multiplies the second half of its input layer with silu of the first', () => {
  const built = build((p) => new SwiGlu(p, WIDTH, HIDDEN));
  const apply = (name: string, x: ArrayLike<number>, inputs: number, outputs: number): Float64Array =>
    reference.linear(x, built.weight(`${name}.weight`).data, built.weight(`${name}.bias`).data, { rows: TOKENS, inputs, outputs });
  check(built, (x) => apply('weights_out', reference.swiglu(apply('weights_in', x, WIDTH, 2 * HIDDEN), HIDDEN), HIDDEN, WIDTH));
});

test.run();
