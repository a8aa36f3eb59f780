import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DTypeError, ShapeError } from '../../src/errors.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { DTYPES, type DType } from '../../src/tensor/dtype.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { place } from '../../src/tensor/place.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';

const make = (...args: unknown[]): unknown => new Tensor(...(args as ConstructorParameters<typeof Tensor>));
const count = (...dims: number[]): Tensor<'float32'> => {
  const size = dims.reduce((n, d) => n * d, 1);
  return new Tensor(
    'float32',
    Array.from({ length: size }, (_, i) => i),
    dims,
  );
};

test('an array of the dtype is kept as it is, other numbers are converted', () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const tensor = new Tensor('float32', data, [2, 3]);
  assert.is(tensor.data, data);
  assert.equal([tensor.dtype, tensor.type, tensor.dims, tensor.size, tensor.bytes], ['float32', 'float32', [2, 3], 6, 24]);
  assert.equal(new Tensor('int64', [1, 2], [2]).data, BigInt64Array.of(1n, 2n));
  assert.equal(new Tensor('int64', [-(2n ** 63n)], [1]).data, BigInt64Array.of(-(2n ** 63n)));
  assert.equal(new Tensor('bool', [true, false], [2]).data, Uint8Array.of(1, 0));
  assert.equal(new Tensor('float16', [1, 65504, 1e9], [3]).data, Uint16Array.of(0x3c00, 0x7bff, 0x7c00));
  assert.equal(new Tensor('bfloat16', [1], [1]).data, Uint16Array.of(0x3f80));
  assert.equal(new Tensor('float16', Uint16Array.of(0x3c00), [1]).tolist(), [1], 'bits are bits');
  assert.is(new Tensor('float32', [5], []).item(), 5);
});

test('changing the array of dims afterwards does not change the tensor', () => {
  const dims = [2, 3];
  const tensor = count(...dims);
  const given = new Tensor('float32', tensor.data, dims);
  dims[0] = 3;
  assert.equal(given.dims, [2, 3]);
});

test('data that does not fit the dtype or the dims is refused with what was expected and found', async () => {
  await refuses(() => make('float64', [1], [1]), DTypeError, 'dtype', 'found "float64"');
  await refuses(() => make('float32', new Float64Array(2), [2]), DTypeError, 'expected Float32Array', 'found Float64Array');
  await refuses(() => make('int64', new Int32Array(2), [2]), DTypeError, 'expected BigInt64Array', 'found Int32Array');
  await refuses(() => make('float32', [1, 2, 3], [2, 2]), ShapeError, '[2,2]', 'expected 4 elements, found 3');
  await refuses(() => make('float32', [], []), ShapeError, 'expected 1 elements, found 0');
  for (const dims of [[-1], [1.5], [Number.NaN], ['1'], [2 ** 60], 1, undefined, null, [null]]) {
    await refuses(() => make('float32', [1], dims), ShapeError, 'dims: expected an array of integers');
  }
  await refuses(() => make('float32', [1n], [1]), ArgumentError, 'expected numbers for dtype float32, found bigint');
  for (const data of [undefined, null, 3, 'abc', {}])
    await refuses(() => make('float32', data, [1]), DTypeError, 'data: expected Float32Array');
  for (const value of [1.5, Number.NaN, 'x', undefined]) await refuses(() => make('int64', [value], [1]), ArgumentError, 'data', 'int64');
  for (const value of ['1', undefined, {}]) await refuses(() => make('float32', [value], [1]), ArgumentError, 'data', 'float32');
});

test('reshape, at and slice share storage', () => {
  const tensor = count(2, 3, 2);
  const views = [tensor.reshape(3, 4), tensor.at(1), tensor.slice(1, 2), tensor.at(-1), tensor.reshape(-1)];
  (tensor.data as Float32Array)[6] = 99;
  assert.equal(
    views.map((view) => view.data.includes(99)),
    [true, true, true, true, true],
  );
  views[1]?.data.set([-5], 0);
  assert.is(tensor.data[6], -5);
});

test('clone shares nothing', () => {
  const tensor = count(2, 2);
  const clone = tensor.at(1).clone();
  tensor.data.fill(0);
  assert.equal([clone.dims, clone.tolist()], [[2], [2, 3]]);
  assert.is(clone.data.buffer.byteLength, 8);
});

test('reshape fills in one dimension', () => {
  const tensor = count(2, 6);
  assert.equal(tensor.reshape(-1, 4).dims, [3, 4]);
  assert.equal(
    tensor.reshape(12).tolist(),
    Array.from({ length: 12 }, (_, i) => i),
  );
  assert.equal(tensor.reshape(2, 1, 2, 3).dims, [2, 1, 2, 3]);
  assert.equal(count(1).reshape().dims, []);
  assert.equal(count(0, 3).reshape(3, -1).dims, [3, 0]);
});

test('reshape to another number of elements is refused', async () => {
  const tensor = count(2, 6);
  for (const dims of [[5], [13], [-1, 5], [-1, -1], [0], [-1, 0], [2.4, 5], [-3, -4], [-2, -1], []]) {
    await refuses(() => tensor.reshape(...dims), ShapeError, '12', `[${dims}]`);
  }
});

test('at takes an element of the first dimension, from the end too', async () => {
  const tensor = count(3, 2);
  assert.equal(
    [tensor.at(0), tensor.at(2), tensor.at(-1), tensor.at(-3)].map((t) => [t.dims, t.tolist()]),
    [
      [[2], [0, 1]],
      [[2], [4, 5]],
      [[2], [4, 5]],
      [[2], [0, 1]],
    ],
  );
  assert.is(tensor.at(1).at(1).item(), 3);
  for (const index of [3, -4, 0.5, Number.NaN]) await refuses(() => tensor.at(index), ShapeError, '[3,2]');
  await refuses(() => count().at(0), ShapeError);
  await refuses(() => count(0, 2).at(0), ShapeError);
});

test('slice takes elements of the first dimension', async () => {
  const tensor = count(3, 2);
  assert.equal(
    [tensor.slice(1).tolist(), tensor.slice(0, 1).tolist(), tensor.slice(3).dims],
    [
      [
        [2, 3],
        [4, 5],
      ],
      [[0, 1]],
      [0, 2],
    ],
  );
  for (const [begin, end] of [
    [-1, 2],
    [0, 4],
    [2, 1],
    [0.5, 2],
    [0, 1.5],
    [4, 4],
  ]) {
    await refuses(() => tensor.slice(begin as number, end as number), ShapeError, '0 <= begin <= end <= 3', `${begin} to ${end}`);
  }
  await refuses(() => count().slice(0, 0), ShapeError);
});

test('item is the one element as a number, exactly', async () => {
  const items: [DType, number | bigint][] = [
    ['float32', 0.1],
    ['float16', 0.5],
    ['bfloat16', -2],
    ['int32', 16_777_217],
    ['int64', 9_007_199_254_740_991n],
    ['int8', -128],
    ['uint8', 255],
    ['bool', 1],
  ];
  for (const [dtype, value] of items) {
    const tensor = make(dtype, [value], [1, 1]) as Tensor;
    assert.is(tensor.item(), dtype === 'float32' ? Math.fround(0.1) : Number(value), dtype);
  }
  await refuses(() => count(2).item(), ShapeError, 'expected one element, found 2 in [2]');
  await refuses(() => count(0).item(), ShapeError, 'found 0 in [0]');
});

test('tolist nests as the dims do, empty ones too', () => {
  assert.equal(count(2, 2, 2).tolist(), [
    [
      [0, 1],
      [2, 3],
    ],
    [
      [4, 5],
      [6, 7],
    ],
  ]);
  assert.equal(count(0, 3).tolist(), []);
  assert.equal(count(2, 0).tolist(), [[], []]);
  assert.equal(count(2, 0, 3).tolist(), [[], []]);
  assert.equal(count(1, 2, 0).tolist(), [[[], []]]);
  assert.is(new Tensor('float32', [3], []).tolist(), 3);
  assert.equal(new Tensor('int64', [1n, 2n], [2]).tolist(), [1n, 2n]);
  assert.equal(new Tensor('float16', [1, 0.5], [2]).tolist(), [1, 0.5]);
  assert.equal(new Tensor('bfloat16', [1, 0.5], [2, 1]).tolist(), [[1], [0.5]]);
});

/** Numbers that every dtype can hold. */
const COMMON = [0, 1, 2, 100, 127];

test('numbers that both dtypes hold convert exactly, from each dtype to each', () => {
  const all = (Object.keys(DTYPES) as DType[]).filter((dtype) => dtype !== 'bool');
  for (const from of all) {
    for (const to of all) {
      const tensor = new Tensor(from, COMMON, [5]);
      const found = tensor.to(to);
      assert.is(found.dtype, to);
      assert.equal(found.data, new Tensor(to, COMMON, [5]).data, `${from} to ${to}`);
    }
    assert.equal([...new Tensor(from, COMMON, [5]).to('bool').data], [0, 1, 1, 1, 1], `${from} to bool`);
    assert.equal(new Tensor('bool', [true, false], [2]).to(from).data, new Tensor(from, [1, 0], [2]).data, `bool to ${from}`);
  }
});

test('to the same dtype gives the tensor itself', () => {
  const tensor = count(2);
  assert.is(tensor.to('float32'), tensor);
});

test('floats are rounded to nearest even, to integers truncated', () => {
  const floats = new Tensor('float32', [1.5, -1.5, 0.9, -0.9, 1e-9], [5]);
  assert.equal([...floats.to('int32').data], [1, -1, 0, 0, 0]);
  assert.equal([...floats.to('int64').data], [1n, -1n, 0n, 0n, 0n]);
  assert.equal([...floats.to('bool').data], [1, 1, 1, 1, 1]);
  assert.equal(new Tensor('float32', [1 + 2 ** -11, 1 + 3 * 2 ** -11], [2]).to('float16').data, Uint16Array.of(0x3c00, 0x3c02));
  assert.equal(new Tensor('float32', [1 + 2 ** -8, 1 + 3 * 2 ** -8], [2]).to('bfloat16').data, Uint16Array.of(0x3f80, 0x3f82));
  assert.equal(new Tensor('int32', [16_777_217], [1]).to('float32').data, Float32Array.of(16_777_216));
});

test('integers convert to integers without a detour', () => {
  const large = [16_777_217, -16_777_217, 2 ** 31 - 1];
  assert.equal(new Tensor('int32', large, [3]).to('int64').data, BigInt64Array.of(16_777_217n, -16_777_217n, 2n ** 31n - 1n));
  assert.equal(new Tensor('int64', large, [3]).to('int32').data, Int32Array.from(large));
  assert.equal(new Tensor('int32', [300, -1], [2]).to('uint8').data, Uint8Array.of(44, 255), 'and wrap around as in PyTorch');
});

test('NaN and infinities stay what they are between floats and are no error as integers', () => {
  const special = new Tensor('float32', [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0], [4]);
  for (const dtype of ['float16', 'bfloat16'] as const) assertSameBits(special.to(dtype).to('float32').data, special.data, dtype);
  for (const dtype of ['int64', 'int32', 'int8', 'uint8'] as const) assert.is(special.to(dtype).size, 4, dtype);
  assert.equal([...special.to('bool').data], [1, 1, 1, 0]);
});

test('an unknown dtype is refused by to', async () => {
  await refuses(() => count(1).to('double' as DType), DTypeError, 'found "double"');
});

test('a tensor in engine memory has the same views, and clone takes it out', () => {
  const engine = new Engine();
  const placed = place(engine, 'float32', [2, 3]);
  const { address } = placed.place as { address: number };
  engine.write(address, Float32Array.of(0, 1, 2, 3, 4, 5));
  assert.equal(placed.at(1).tolist(), [3, 4, 5]);
  assert.equal(placed.slice(1).reshape(3, 1).tolist(), [[3], [4], [5]]);
  assert.equal(placed.at(-1).place, { engine, address: address + 12 });
  const clone = placed.clone();
  assert.is(clone.place, undefined);
  engine.dispose();
  assert.equal(clone.tolist(), [
    [0, 1, 2],
    [3, 4, 5],
  ]);
});

test('what is wrong with dimensions, places and numbers is told with what was found', async () => {
  await refuses(() => count(1).reshape(-1, -1), ShapeError, 'dimensions of 1 elements in all, as of [1], found [-1,-1]');
  await refuses(() => count().slice(0), ShapeError, 'slice: expected 0 <= begin <= end <= 0 on [], found 0 to 0');
  await refuses(() => count().at(-1), ShapeError, 'found -1 to 0');
  await refuses(() => make('int64', [1n, 1.5], [2]), ArgumentError, 'data[1]: expected integers for dtype int64, found 1.5');
  await refuses(() => make('uint8', [1, 2, 'x'], [3]), ArgumentError, 'data[2]: expected numbers for dtype uint8, found string');
});

test.run();
