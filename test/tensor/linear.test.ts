import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { ACTIVATIONS, type Activation } from '../../src/runtime/kernels.ts';
import { linear, Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { randomTensor } from './helpers.ts';

test('linear is activation(x weight^T + bias), over any leading dimensions, with and without bias', () => {
  const size = fc.nat({ max: 9 });
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 3 }), { maxLength: 2 }),
      size,
      size,
      fc.boolean(),
      fc.constantFrom(...(Object.keys(ACTIVATIONS) as Activation[])),
      fc.nat(),
      (leading, inputs, outputs, biased, activation, seed) => {
        const x = randomTensor([...leading, inputs], seed);
        const weight = randomTensor([outputs, inputs], seed + 1);
        const bias = biased ? randomTensor([outputs], seed + 2) : undefined;
        const y = linear(x, weight, bias, { activation });
        assert.equal(y.dims, [...leading, outputs]);
        const rows = leading.reduce((n, d) => n * d, 1);
        assertWithin(y.data, reference.linear(x.data, weight.data, bias?.data, { rows, inputs, outputs, activation }), 1e-5, 'y');
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test('linear names the operand that does not fit', async () => {
  const x = randomTensor([2, 3], 1);
  await refuses(() => linear(x, randomTensor([4, 2], 1)), ShapeError, 'weight: expected [*, 3], found [4, 2]');
  await refuses(() => linear(x, randomTensor([4, 3], 1), randomTensor([3], 1)), ShapeError, 'bias: expected [4], found [3]');
  await refuses(() => linear(new Tensor('float32', [1], []), randomTensor([4, 1], 1)), ShapeError, 'x: expected [1], found []');
});

test.run();
