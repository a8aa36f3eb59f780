import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { ACTIVATIONS, type Activation } from '../../src/runtime/kernels.ts';
import { linear, Tensor } from '../../src/tensor/index.ts';
import { PackedMatrix } from '../../src/tensor/linear.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
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

function packed(outputs: number, inputs: number): { engine: Engine; matrix: PackedMatrix; weight: Float32; bias: Float32 } {
  const engine = new Engine();
  const matrix = new PackedMatrix(engine, outputs, inputs);
  const [weight, bias] = [randomTensor([outputs, inputs], 1), randomTensor([outputs], 2)];
  matrix.pack(weight, bias);
  return { engine, matrix, weight, bias };
}

test('a packed matrix gives back what was packed, and takes another bias', () => {
  for (const [outputs, inputs] of [
    [1, 1],
    [8, 4],
    [13, 7],
    [16, 9],
  ] as const) {
    const { matrix, weight, bias } = packed(outputs, inputs);
    assertSameBits(matrix.unpack().weight.data, weight.data, 'weight');
    assertSameBits(matrix.unpack().bias.data, bias.data, 'bias');
    const other = randomTensor([outputs], 3);
    matrix.setBias(other);
    assertSameBits(matrix.unpack().weight.data, weight.data, 'weight');
    assertSameBits(matrix.unpack().bias.data, other.data, 'other bias');
    matrix.pack(weight);
    assertSameBits(matrix.unpack().bias.data, new Float32Array(outputs), 'no bias');
  }
});

test('packing leaves no memory behind', () => {
  const { engine, matrix, weight } = packed(20, 30);
  const next = (): number => engine.scope(() => engine.allocate(1));
  const before = next();
  matrix.pack(weight);
  matrix.unpack();
  assert.is(next(), before);
});

test('multiplyAdd adds the scaled product in place', () => {
  const { engine, matrix, weight, bias } = packed(13, 7);
  const [x, scale, before] = [randomTensor([5, 7], 4), randomTensor([13], 5), randomTensor([5, 13], 6)];
  const y = placed(engine, before);
  matrix.multiplyAdd(placed(engine, x), placed(engine, scale), y);
  const product = reference.linear(x.data, weight.data, bias.data, { rows: 5, inputs: 7, outputs: 13 });
  const expected = product.map((value, i) => (before.data[i] as number) + (scale.data[i % 13] as number) * value);
  assertWithin(y.data, expected, 1e-5, 'y');
});

test('a packed matrix refuses what does not fit it, by name', async () => {
  const { engine, matrix } = packed(4, 3);
  const at = (...dims: number[]): Float32 => placed(engine, randomTensor(dims, 1));
  await refuses(() => matrix.pack(randomTensor([3, 4], 1)), ShapeError, 'weight: expected [4, 3], found [3, 4]');
  await refuses(() => matrix.pack(randomTensor([4, 3], 1), randomTensor([3], 1)), ShapeError, 'bias: expected [4], found [3]');
  await refuses(() => matrix.setBias(randomTensor([3], 1)), ShapeError, 'bias: expected [4], found [3]');
  await refuses(() => matrix.multiply(at(2, 4)), ShapeError, 'x: expected [2, 3], found [2, 4]');
  await refuses(() => matrix.multiplyAdd(at(2, 3), at(3), at(2, 4)), ShapeError, 'scale: expected [4], found [3]');
  await refuses(() => matrix.multiplyAdd(at(2, 3), at(4), at(3, 4)), ShapeError, 'y: expected [2, 4], found [3, 4]');
});

test.run();
