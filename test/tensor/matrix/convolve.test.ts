import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../../src/errors.ts';
import type { Engine } from '../../../src/runtime/engine.ts';
import { convolutionOrder, convolve } from '../../../src/tensor/conv.ts';
import { createMatrix } from '../../../src/tensor/matrix/createMatrix.ts';
import type { PackedMatrix, WeightDType } from '../../../src/tensor/matrix/packedMatrix.ts';
import { type Float32, placed } from '../../../src/tensor/place.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import { refuses } from '../../helpers.ts';
import { assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import * as reference from '../../reference/conv.ts';
import { randomTensor } from '../helpers.ts';
import { KINDS, on, withEngine } from './helpers.ts';

type Dims3 = readonly [rows: number, columns: number, inputs: number];
type Dims4 = readonly [outputs: number, inputs: number, height: number, width: number];

/** Image, weight, stride and padding: of one band and of many, of groups that end with a place and that do not, shared by rows and by panels. */
const CONVOLUTIONS: readonly (readonly [image: Dims3, weight: Dims4, stride: number, padding: number])[] = [
  [[5, 4, 3], [9, 3, 3, 3], 1, 1],
  [[9, 8, 48], [13, 48, 3, 3], 2, 1],
  [[6, 7, 64], [64, 64, 3, 3], 1, 1],
  [[7, 6, 130], [7, 130, 2, 3], 1, 0],
  [[34, 130, 64], [1, 64, 3, 3], 1, 1],
  [[4, 5, 9], [11, 9, 1, 1], 2, 2],
];

function matrixOf(engine: Engine, dtype: WeightDType, weight: Float32, bias?: Float32) {
  const order = convolutionOrder(...(weight.dims as unknown as [number, number, number, number]));
  const matrix = createMatrix(engine, dtype, order.outputs, order.inputs, { width: order.width });
  engine.scope(() => matrix.pack(order.toMatrix(weight), bias));
  return { matrix, weightOf: (packed: PackedMatrix) => order.toWeight(packed.unpack().weight).data };
}

for (const { build, dtype } of KINDS) {
  const what = `${dtype}, ${build}`;

  test(`${what}: a convolution is that of the weights that the matrix stands for, within what making the image integers may do to it`, async () => {
    await withEngine({ build }, (engine) => {
      for (const [image, dims, stride, padding] of CONVOLUTIONS) {
        const [x, weight, bias] = [randomTensor(image, 1), randomTensor(dims, 2), randomTensor([dims[0]], 3)];
        const { matrix, weightOf } = matrixOf(engine, dtype, weight, bias);
        for (const inputRelu of [false, true]) {
          const seen = inputRelu ? x.data.map((value) => Math.max(value, 0)) : x.data;
          const y = on(engine, [x], (a) => convolve(engine, a, matrix, [dims[2], dims[3]], { stride, padding, inputRelu }));
          const expected = reference.conv2d(seen, image, weightOf(matrix), dims, bias.data, { stride, padding });
          const magnitudes = weightOf(matrix).map(Math.abs);
          const sizes = reference.conv2d(seen.map(Math.abs), image, magnitudes, dims, bias.data.map(Math.abs), { stride, padding }).data;
          const ones = new Float32Array(seen.length).fill(1);
          const steps = reference.conv2d(ones, image, magnitudes, dims, undefined, { stride, padding }).data;
          const step = dtype === 'int8' ? (0.5001 * (inputRelu ? 1 : 2)) / 255 : 0; // of numbers from -1 to 1
          const terms = dims[1] * dims[2] * dims[3] + 2;
          assert.equal(y.dims, expected.dims);
          assertWithin(
            y.data,
            expected.data,
            (e) => terms * UNIT * (sizes[e] as number) + step * (steps[e] as number),
            `${image} by ${dims}`,
          );
        }
      }
    });
  });

  test(`${what}: a convolution gives rows of the image the bits that they have on their own, added to what is there too`, async () => {
    await withEngine({ build }, (engine) => {
      const [x, weight, bias] = [randomTensor([40, 130, 64], 4), randomTensor([9, 64, 3, 3], 5), randomTensor([9], 6)]; // two bands
      const { matrix } = matrixOf(engine, dtype, weight, bias);
      const all = on(engine, [x], (a) => convolve(engine, a, matrix, [3, 3], { inputRelu: true }));
      for (const [first, end] of [
        [0, 1],
        [29, 33],
        [37, 38],
      ] as const) {
        const part = on(engine, [x.slice(first, end + 2)], (a) => convolve(engine, a, matrix, [3, 3], { inputRelu: true }));
        assertSameBits(part.data, all.slice(first, end).data, `rows ${first} to ${end}`);
      }
      const before = randomTensor(all.dims, 7);
      const sum = on(engine, [x, before.clone()], (a, residual) => convolve(engine, a, matrix, [3, 3], { inputRelu: true, residual }));
      assertSameBits(
        sum.data,
        all.data.map((value, e) => value + (before.data[e] as number)),
        'added',
      );
    });
  });

  test(`${what}: who watches the matrix of a convolution is shown its patches, every one once`, async () => {
    await withEngine({ build }, (engine) => {
      const [x, weight] = [randomTensor([40, 130, 64], 8), randomTensor([3, 64, 3, 3], 9)];
      const { matrix } = matrixOf(engine, dtype, weight);
      const seen: Float32Array[] = [];
      const run = (): Float32 => on(engine, [x], (a) => convolve(engine, a, matrix, [3, 3], { padding: 1, inputRelu: true }));
      const stop = matrix.watch((patches) => seen.push(patches.data.slice()));
      const y = run();
      stop();
      assertSameBits(run().data, y.data, 'the result is the same');
      const positive = x.data.map((value) => Math.max(value, 0));
      const patches = seen.flatMap((part) => Array.from({ length: part.length / 576 }, (_, i) => part.subarray(i * 576, (i + 1) * 576)));
      assert.is(patches.length, 40 * 130);
      for (const [p, patch] of patches.entries()) {
        const [row, column] = [Math.floor(p / 130), p % 130];
        if (row % 13 > 0 && column % 17 > 0) continue;
        const expected = patch.map((_, e) => {
          const [i, j] = [row + Math.floor(e / 192) - 1, column + (Math.floor(e / 64) % 3) - 1];
          return i < 0 || j < 0 || i >= 40 || j >= 130 ? 0 : (positive[(i * 130 + j) * 64 + (e % 64)] as number);
        });
        assertSameBits(patch, expected, `patch ${p}`);
      }
    });
  });
}

test('a matrix in float16 that is too large to be widened as a whole gives the bits of the rounded weights', async () => {
  await withEngine({}, (engine) => {
    const [x, weight, bias] = [randomTensor([4, 4, 3000], 10), randomTensor([45, 3000, 3, 3], 11), randomTensor([45], 12)];
    const rounded = new Tensor('float32', weight.to('float16').to('float32').data, weight.dims);
    const [half, exact] = [matrixOf(engine, 'float16', weight, bias), matrixOf(engine, 'float32', rounded, bias)];
    assert.is(
      engine.scope(() => half.matrix.widened()),
      half.matrix,
    );
    const run = (matrix: PackedMatrix): Float32 => on(engine, [x], (a) => convolve(engine, a, matrix, [3, 3], { activation: 'relu' }));
    assertSameBits(run(half.matrix).data, run(exact.matrix).data);
  });
});

test('the matrix of a convolution of integers is for no other product', async () => {
  await withEngine({}, async (engine) => {
    const { matrix } = matrixOf(engine, 'int8', randomTensor([9, 4, 3, 3], 13));
    await refuses(() => matrix.multiply(placed(engine, randomTensor([2, 36], 14))), ShapeError, 'of a matrix that is not of a convolution');
    const plain = createMatrix(engine, 'int8', 9, 36);
    const x = placed(engine, randomTensor([5, 5, 4], 15));
    await refuses(() => convolve(engine, x, plain, [3, 3]), ShapeError, 'inputs of a place: expected [36], found [4]');
  });
});

test.run();
