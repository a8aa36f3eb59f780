import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DTypeError, ShapeError } from '../../src/errors.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { type ConvolutionOptions, convolutionOrder, convolve, repeat, transposedOrder } from '../../src/tensor/conv.ts';
import { concatChannels, conv2d, convTranspose2d, Tensor } from '../../src/tensor/index.ts';
import { Float32Matrix } from '../../src/tensor/matrix/floatMatrix.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { resample } from '../../src/tensor/resample.ts';
import { testKernels } from '../assembly/helpers.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits, assertWithin, UNIT } from '../reference/compare.ts';
import * as reference from '../reference/conv.ts';
import { ACTIVATIONS } from '../reference/ops.ts';
import { randomTensor } from './helpers.ts';

fc.configureGlobal({ includeErrorInReport: true });

const absolute = (x: Float32): Float32Array => x.data.map(Math.abs);

type Dims3 = [number, number, number];
type Dims4 = [number, number, number, number];

/** The convolution in float64, and how far float32 may be from it. */
function expectedOf(x: Float32, weight: Float32, bias: Float32 | undefined, options: ConvolutionOptions) {
  const [image, kernel] = [x.dims as Dims3, weight.dims as Dims4];
  const { dims, data } = reference.conv2d(x.data, image, weight.data, kernel, bias?.data, options);
  const sizes = reference.conv2d(absolute(x), image, absolute(weight), kernel, bias && absolute(bias), options).data;
  const terms = kernel[1] * kernel[2] * kernel[3] + 1;
  return { dims, data, bound: (e: number): number => terms * UNIT * (sizes[e] as number) };
}

/** The operation on tensors in the memory of an engine. */
function on(engine: Engine, tensors: readonly Tensor[], operation: (...placed: Float32[]) => Float32): Float32 {
  return engine.scope(() => operation(...tensors.map((tensor) => placed(engine, tensor as Float32))).clone());
}

testKernels('conv2d is torch.nn.functional.conv2d, for any image, kernel, stride and padding', ({ engine }) => {
  const size = fc.integer({ min: 1, max: 8 });
  const kernel = fc.oneof(fc.constant(1), fc.constant(3), fc.integer({ min: 1, max: 4 }));
  fc.assert(
    fc.property(
      fc.tuple(size, size, fc.nat({ max: 9 })),
      fc.tuple(fc.nat({ max: 10 }), kernel, kernel),
      fc.record({ stride: fc.integer({ min: 1, max: 3 }), padding: fc.nat({ max: 2 }) }),
      fc.boolean(),
      fc.nat(),
      ([rows, columns, inputs], [outputs, height, width], options, hasBias, seed) => {
        fc.pre(rows + 2 * options.padding >= height && columns + 2 * options.padding >= width);
        const [x, weight] = [randomTensor([rows, columns, inputs], seed), randomTensor([outputs, inputs, height, width], seed + 1)];
        const bias = hasBias ? randomTensor([outputs], seed + 2) : undefined;
        const y = on(engine, bias ? [x, weight, bias] : [x, weight], (a, w, b) => conv2d(a as Float32, w as Float32, b, options));
        const expected = expectedOf(x, weight, bias, options);
        assert.equal(y.dims, expected.dims);
        assertWithin(y.data, expected.data, expected.bound, 'y');
      },
    ),
    { seed: 1, numRuns: 250 },
  );
});

testKernels('a convolution of many blocks gives each row the bits it has on its own', ({ engine }) => {
  const [x, weight, bias] = [randomTensor([31, 29, 72], 1), randomTensor([9, 72, 3, 3], 2), randomTensor([9], 3)];
  const all = on(engine, [x, weight, bias], (a, w, b) => conv2d(a as Float32, w as Float32, b));
  for (const [first, end] of [
    [0, 1],
    [3, 4],
    [3, 9],
    [28, 29],
  ] as const) {
    const part = on(engine, [x.slice(first, end + 2), weight, bias], (a, w, b) => conv2d(a as Float32, w as Float32, b));
    assertSameBits(part.data, all.slice(first, end).data, `rows ${first} to ${end}`);
  }
  const expected = expectedOf(x, weight, bias, {});
  assertWithin(all.data, expected.data, expected.bound, 'y');
});

test('a convolution takes a ReLU in front and any activation behind', () => {
  for (const kernel of [1, 3]) {
    const [x, weight, bias] = [randomTensor([4, 5, 6], 4), randomTensor([7, 6, kernel, kernel], 5), randomTensor([7], 6)];
    const positive = new Tensor(
      'float32',
      x.data.map((value) => Math.max(value, 0)),
      x.dims,
    );
    for (const activation of ['none', 'relu', 'gelu'] as const) {
      const y = conv2d(x, weight, bias, { padding: 1, inputRelu: true, activation });
      const expected = expectedOf(positive, weight, bias, { padding: 1 }).data.map(ACTIVATIONS[activation]);
      assertWithin(y.data, expected, 1e-5, `kernel ${kernel}, ${activation}`);
    }
  }
});

testKernels('a convolution is added to a residual in place, in one block or many, and leaves x as it is', ({ engine }) => {
  for (const [dims, kernel] of [
    [[5, 4, 3], 3],
    [[31, 29, 72], 3],
    [[5, 4, 3], 1],
    [[60, 30, 72], 1],
  ] as const) {
    const [x, weight, bias] = [randomTensor(dims, 7), randomTensor([9, dims[2], kernel, kernel], 8), randomTensor([9], 9)];
    const before = randomTensor([dims[0], dims[1], 9], 10);
    const padding = (kernel - 1) / 2;
    engine.scope(() => {
      const [a, residual] = [placed(engine, x), placed(engine, before)];
      const order = convolutionOrder(9, dims[2], kernel, kernel);
      const matrix = new Float32Matrix(engine, order.outputs, order.inputs);
      matrix.pack(order.toMatrix(placed(engine, weight)), bias);
      const alone = convolve(engine, a, matrix, [kernel, kernel], { padding }).data;
      const y = convolve(engine, a, matrix, [kernel, kernel], { padding, residual });
      assertSameBits(
        residual.data,
        alone.map((value, e) => value + (before.data[e] as number)),
        `kernel ${kernel} on ${dims}`,
      );
      assert.is(y, residual);
      assertSameBits(a.data, x.data, 'x');
    });
  }
});

test('a convolution takes little memory beyond x and its result', () => {
  const engine = new Engine();
  const [x, weight] = [randomTensor([64, 64, 64], 11), randomTensor([8, 64, 3, 3], 12)];
  on(engine, [x, weight], (a, w) => conv2d(a as Float32, w as Float32, undefined, { padding: 1 }));
  const patches = 64 * 64 * 9 * 64 * 4; // 9 MiB, if they were all laid out at once
  assert.ok(engine.reserved < patches / 2, `${engine.reserved} bytes`);
});

testKernels('convTranspose2d is torch.nn.functional.conv_transpose2d with the kernel as stride', ({ engine }) => {
  const size = fc.integer({ min: 1, max: 6 });
  const kernel = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(
      fc.tuple(size, size, fc.nat({ max: 9 })),
      fc.tuple(fc.integer({ min: 1, max: 9 }), kernel, kernel),
      fc.boolean(),
      fc.nat(),
      (image, shape, hasBias, seed) => {
        const [[rows, columns, inputs], [outputs, height, width]] = [image, shape];
        const [x, weight] = [randomTensor(image, seed), randomTensor([inputs, ...shape], seed + 1)];
        const bias = hasBias ? randomTensor([outputs], seed + 2) : undefined;
        const y = on(engine, bias ? [x, weight, bias] : [x, weight], (a, w, b) => convTranspose2d(a as Float32, w as Float32, b));
        assert.equal(y.dims, [rows * height, columns * width, outputs]);
        const dims = weight.dims as Dims4;
        const sizes = reference.convTranspose2d(absolute(x), image, absolute(weight), dims, bias && absolute(bias));
        const bound = (e: number): number => (inputs + 1) * UNIT * (sizes[e] as number);
        assertWithin(y.data, reference.convTranspose2d(x.data, image, weight.data, dims, bias?.data), bound, 'y');
      },
    ),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('a transposed convolution of many strips gives each row the bits it has on its own', ({ engine }) => {
  const [x, weight, bias] = [randomTensor([9, 30, 24], 13), randomTensor([24, 40, 4, 4], 14), randomTensor([40], 15)]; // 3 rows a strip
  const all = on(engine, [x, weight, bias], (a, w, b) => convTranspose2d(a as Float32, w as Float32, b));
  for (let row = 0; row < 9; row++) {
    const own = on(engine, [x.slice(row, row + 1), weight, bias], (a, w, b) => convTranspose2d(a as Float32, w as Float32, b));
    assertSameBits(own.data, all.slice(4 * row, 4 * row + 4).data, `row ${row}`);
  }
});

test('convolutions are what they are on paper', () => {
  const x = new Tensor('float32', [1, 2, 3, 4], [2, 2, 1]);
  const ones = new Tensor('float32', Array(9).fill(1), [1, 1, 3, 3]);
  assert.equal([...conv2d(x, ones, undefined, { padding: 1 }).data], [10, 10, 10, 10]);
  assert.equal([...conv2d(x, ones, new Tensor('float32', [0.5], [1]), { padding: 1, stride: 2 }).data], [10.5]);
  // not flipped: what stands at the right of the kernel meets what stands at the right in the image
  assert.equal([...conv2d(x, new Tensor('float32', [0, 1], [1, 1, 1, 2])).data], [2, 4]);
  const block = new Tensor('float32', [1, 10, 100, 1000], [1, 1, 2, 2]);
  assert.equal([...convTranspose2d(x, block).data], [1, 10, 2, 20, 100, 1000, 200, 2000, 3, 30, 4, 40, 300, 3000, 400, 4000]);
});

test('the orders of weights are undone bit for bit', () => {
  const size = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(fc.tuple(size, size, size, size), fc.nat(), (dims, seed) => {
      const weight = randomTensor(dims, seed);
      for (const order of [convolutionOrder(...dims), transposedOrder(...dims)]) {
        const matrix = order.toMatrix(weight);
        assert.equal(matrix.dims, [order.outputs, order.inputs]);
        assert.equal(order.toWeight(matrix).dims, dims);
        assertSameBits(order.toWeight(matrix).data, weight.data);
      }
    }),
    { seed: 3, numRuns: 100 },
  );
});

test('a convolution of an image enlarged on the way is that of the enlarged image to the bit, in a fraction of its memory', () => {
  const image = randomTensor([20, 30, 24], 1);
  for (const [size, kernel, options] of [
    [[300, 410], 3, { padding: 1, inputRelu: true }], // 11.8 MB, in three bands
    [[301, 400], 2, { stride: 2, activation: 'relu' }],
    [[300, 400], 1, {}],
    [[21, 30], 3, { stride: 3, padding: 4 }], // rows of zeros alone
    [[20, 30], 3, {}],
  ] as const) {
    const engine = new Engine();
    const weight = randomTensor([3, 24, kernel, kernel], 2);
    const order = convolutionOrder(3, 24, kernel, kernel);
    const matrix = new Float32Matrix(engine, order.outputs, order.inputs);
    engine.scope(() => matrix.pack(order.toMatrix(placed(engine, weight)), placed(engine, randomTensor([3], 3))));
    const found = engine.scope(() =>
      convolve(engine, placed(engine, image), matrix, [kernel, kernel], { ...options, enlargeTo: size }).clone(),
    );
    assert.ok(engine.reserved < 9e6, `${size}: ${engine.reserved} bytes`);
    const whole = resample(image, { height: size[0], width: size[1], filter: 'bilinear', alignCorners: true });
    const expected = engine.scope(() => convolve(engine, placed(engine, whole), matrix, [kernel, kernel], options).clone());
    assert.equal(found.dims, expected.dims);
    assertSameBits(found.data, expected.data, `${size}`);
  }
});

test('concatChannels puts tensors beside one another and repeats vectors', () => {
  const [x, y] = [randomTensor([2, 3, 4], 16), randomTensor([2, 3, 5], 17)];
  const vector = randomTensor([2], 18);
  const z = concatChannels(x, vector, y);
  assert.equal(z.dims, [2, 3, 11]);
  for (let e = 0; e < 6; e++) {
    const expected = [...x.data.subarray(4 * e, 4 * e + 4), ...vector.data, ...y.data.subarray(5 * e, 5 * e + 5)];
    assert.equal([...z.data.subarray(11 * e, 11 * e + 11)], expected);
  }
  assertSameBits(concatChannels(x).data, x.data);
  assertSameBits(concatChannels(vector, vector).data, Float32Array.of(...vector.data, ...vector.data));
  assert.equal(concatChannels(randomTensor([0, 4], 1), randomTensor([0, 3], 1)).dims, [0, 7]);
});

test('repeat tells a vector over and over', () => {
  assert.equal([...repeat(new Tensor('float32', [1, 2, 3], [3]), 2).data], [1, 2, 3, 1, 2, 3]);
});

test('what does not fit is refused by name', async () => {
  const [x, weight, bias] = [randomTensor([4, 4, 3], 1), randomTensor([2, 3, 3, 3], 2), randomTensor([2], 3)];
  await refuses(() => conv2d(randomTensor([4, 4], 1), weight), ShapeError, 'conv2d: x: expected [*, *, *], found [4, 4]');
  await refuses(() => conv2d(x, randomTensor([2, 4, 3, 3], 1)), ShapeError, 'conv2d: weight: expected [*, 3, *, *], found [2, 4, 3, 3]');
  await refuses(() => conv2d(x, weight, randomTensor([3], 1)), ShapeError, 'conv2d: bias: expected [2], found [3]');
  await refuses(() => conv2d(randomTensor([2, 4, 3], 1), weight), ShapeError, 'at least the kernel, 3 x 3', 'found 2 x 4 padded by 0');
  for (const stride of [0, -1, 1.5, Number.NaN, '2'])
    await refuses(() => conv2d(x, weight, bias, { stride: stride as number }), ArgumentError, 'stride', `${stride}`);
  for (const padding of [-1, 0.5, Number.NaN, '1'])
    await refuses(() => conv2d(x, weight, bias, { padding: padding as number }), ArgumentError, 'padding', `${padding}`);
  await refuses(() => conv2d(x, weight, bias, { activation: 'swish' as 'relu' }), ArgumentError, 'activation');
  await refuses(() => conv2d(x, weight.to('float16')), DTypeError, 'conv2d: expected float32');
  await refuses(() => convTranspose2d(randomTensor([4, 3], 1), weight), ShapeError, 'convTranspose2d: x: expected [*, *, *], found [4, 3]');
  await refuses(() => convTranspose2d(x, weight), ShapeError, 'convTranspose2d: weight: expected [3, *, *, *], found [2, 3, 3, 3]');
  await refuses(
    () => convTranspose2d(x, randomTensor([3, 2, 2, 2], 1), randomTensor([8], 1)),
    ShapeError,
    'convTranspose2d: bias: expected [2], found [8]',
  );
  await refuses(
    () => concatChannels(x, randomTensor([4, 3, 3], 1)),
    ShapeError,
    'concatChannels: tensor 1: expected [4, 4, *], found [4, 3, 3]',
  );
});

test('an image smaller than the kernel is refused with both sizes, height first', async () => {
  const refused = (height: number, width: number, options: ConvolutionOptions, words: string): Promise<void> =>
    refuses(() => conv2d(randomTensor([height, width, 1], 1), randomTensor([1, 1, 3, 2], 2), undefined, options), ShapeError, words);
  await refused(2, 4, {}, 'at least the kernel, 3 x 2, found 2 x 4 padded by 0');
  await refused(5, 1, {}, 'at least the kernel, 3 x 2, found 5 x 1 padded by 0');
  assert.equal(conv2d(randomTensor([3, 2, 1], 1), randomTensor([1, 1, 3, 2], 2)).dims, [1, 1, 1]);
  assert.equal(conv2d(randomTensor([1, 1, 1], 1), randomTensor([1, 1, 3, 2], 2), undefined, { padding: 1 }).dims, [1, 2, 1]);
});

test.run();
