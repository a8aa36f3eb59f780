import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DTypeError, ShapeError } from '../../src/errors.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { ACTIVATIONS, type Activation } from '../../src/runtime/kernels.ts';
import { concatChannels, conv2d, convTranspose2d, repeat } from '../../src/tensor/conv.ts';
import {
  activate,
  add,
  argmax,
  attention,
  concat,
  gelu,
  layerNorm,
  linear,
  matmul,
  mean,
  multiply,
  patchify,
  relu,
  resample,
  silu,
  softmax,
  swiglu,
  Tensor,
  transpose,
} from '../../src/tensor/index.ts';
import { binMean, clamp, normalize, selfAttention } from '../../src/tensor/ops.ts';
import { padAround } from '../../src/tensor/pad.ts';
import { placed } from '../../src/tensor/place.ts';
import { refuses } from '../helpers.ts';
import { assertSame, assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';
import { randomFloats } from '../reference/random.ts';
import { randomTensor } from './helpers.ts';

fc.configureGlobal({ includeErrorInReport: true });

const size = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1);
const tensor = (values: number[], ...dims: number[]): Tensor<'float32'> =>
  new Tensor('float32', values, dims.length ? dims : [values.length]);
const small = fc.nat({ max: 9 });

/** Far above what float32 may add to sums this short of numbers up to 1, far below what any slip makes. */
const CLOSE = 1e-5;

test('matmul multiplies the last two dimensions, for each matrix of a batch', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 3 }), { maxLength: 2 }),
      small,
      small,
      small,
      fc.boolean(),
      fc.nat(),
      (batch, m, k, n, shared, seed) => {
        const a = randomTensor([...batch, m, k], seed);
        const b = randomTensor(shared ? [k, n] : [...batch, k, n], seed + 1);
        const product = matmul(a, b);
        assert.equal(product.dims, [...batch, m, n]);
        const expected = Array.from({ length: size(batch) }, (_, i) => {
          const right = shared ? b.data : b.data.subarray(i * k * n, (i + 1) * k * n);
          return [...reference.matmul(a.data.subarray(i * m * k, (i + 1) * m * k), right, { m, k, n })];
        });
        assertWithin(product.data, expected.flat(), CLOSE, 'product');
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test('matmul is what it is on paper', () => {
  assert.equal(matmul(tensor([1, 2, 3, 4], 2, 2), tensor([5, 6, 7, 8], 2, 2)).tolist(), [
    [19, 22],
    [43, 50],
  ]);
  assert.equal(matmul(tensor([], 2, 0), tensor([], 0, 2)).tolist(), [
    [0, 0],
    [0, 0],
  ]);
});

test('matmul of matrices that do not fit is refused with what was expected and found', async () => {
  await refuses(() => matmul(randomTensor([2, 3], 1), randomTensor([2, 3], 2)), ShapeError, 'matmul: b', 'expected [3, 3], found [2, 3]');
  await refuses(() => matmul(randomTensor([2, 2, 3], 1), randomTensor([3, 3, 4], 2)), ShapeError, 'expected [2, 3, 4], found [3, 3, 4]');
  await refuses(() => matmul(randomTensor([3], 1), randomTensor([3, 3], 2)), ShapeError, 'two or more dimensions, found [3]');
  await refuses(() => matmul(randomTensor([2, 3], 1), randomTensor([3], 2)), ShapeError, 'found [3]');
});

test('softmax is over the last dimension of any tensor', () => {
  fc.assert(
    fc.property(fc.array(small, { maxLength: 3 }), fc.nat(), (dims, seed) => {
      const x = randomTensor(dims, seed);
      const y = softmax(x);
      assert.equal(y.dims, dims);
      assertWithin(y.data, x.size ? reference.softmax(x.data, dims.at(-1) ?? 1) : [], CLOSE, 'y');
    }),
    { seed: 2, numRuns: 200 },
  );
});

test('each activation by name, and by the functions named like it', () => {
  const x = randomTensor([7, 11], 3);
  for (const name of Object.keys(ACTIVATIONS) as Activation[]) {
    const y = activate(x, name);
    assert.equal(y.dims, [7, 11]);
    assertWithin(y.data, Float64Array.from(x.data, reference.ACTIVATIONS[name]), CLOSE, name);
  }
  assertSameBits(gelu(x).data, activate(x, 'gelu').data);
  assertSameBits(relu(x).data, activate(x, 'relu').data);
  assertSameBits(silu(x).data, activate(x, 'silu').data);
});

test('an activation of another name is refused', async () => {
  for (const name of ['swish', '', 'toString', undefined]) {
    await refuses(() => activate(randomTensor([2], 1), name as Activation), ArgumentError, 'activation', 'gelu');
    if (name !== undefined)
      await refuses(
        () => linear(randomTensor([2], 1), randomTensor([3, 2], 1), undefined, { activation: name as Activation }),
        ArgumentError,
        'activation',
      );
  }
});

test('swiglu halves the last dimension', async () => {
  const x = randomTensor([3, 5, 14], 4);
  const y = swiglu(x);
  assert.equal(y.dims, [3, 5, 7]);
  assertWithin(y.data, reference.swiglu(x.data, 7), CLOSE, 'y');
  for (const dims of [[3, 5], [2, 0], []]) await refuses(() => swiglu(randomTensor(dims, 1)), ShapeError, 'swiglu', `[${dims}]`);
});

test('layerNorm is over the last dimension', () => {
  fc.assert(
    fc.property(fc.array(small, { minLength: 1, maxLength: 3 }), fc.nat(), (dims, seed) => {
      const columns = dims.at(-1) as number;
      const [x, weight, bias] = [randomTensor(dims, seed), randomTensor([columns], seed + 1), randomTensor([columns], seed + 2)];
      const y = layerNorm(x, weight, bias, 1e-2);
      assert.equal(y.dims, dims);
      assertWithin(y.data, reference.layerNorm(x.data, weight.data, bias.data, 1e-2), CLOSE, 'y');
    }),
    { seed: 5, numRuns: 200 },
  );
  assert.equal(layerNorm(tensor([1, 3], 1, 2), tensor([2, 2]), tensor([5, 7]), 0).tolist(), [[3, 9]]);
});

test('layerNorm names the operand that does not fit', async () => {
  const x = randomTensor([2, 3], 1);
  await refuses(() => layerNorm(x, randomTensor([2], 1), randomTensor([3], 1)), ShapeError, 'layerNorm: weight: expected [3], found [2]');
  await refuses(
    () => layerNorm(x, randomTensor([3], 1), randomTensor([1, 3], 1)),
    ShapeError,
    'layerNorm: bias: expected [3], found [1, 3]',
  );
});

test('add and multiply take equal dimensions, or repeat y over the leading ones', () => {
  const x = tensor([1, 2, 3, 4], 2, 2);
  assert.equal(add(x, x).tolist(), [
    [2, 4],
    [6, 8],
  ]);
  assert.equal(add(x, tensor([10, 20])).tolist(), [
    [11, 22],
    [13, 24],
  ]);
  assert.equal(multiply(x, tensor([10, 20])).tolist(), [
    [10, 40],
    [30, 80],
  ]);
  assert.equal(multiply(x, new Tensor('float32', [3], [])).tolist(), [
    [3, 6],
    [9, 12],
  ]);
  assert.is(add(new Tensor('float32', [3], []), new Tensor('float32', [4], [])).item(), 7);
  assert.equal(add(randomTensor([0, 3], 1), randomTensor([3], 1)).dims, [0, 3]);
  assert.equal(multiply(randomTensor([3, 0], 1), randomTensor([0], 1)).dims, [3, 0]);
});

test('add and multiply refuse other dimensions and name y', async () => {
  const x = randomTensor([2, 3], 1);
  await refuses(() => add(x, randomTensor([2], 1)), ShapeError, 'add: y: expected [3], found [2]');
  await refuses(() => multiply(x, randomTensor([2, 1], 1)), ShapeError, 'multiply: y: expected [2, 3], found [2, 1]');
  await refuses(() => add(x, randomTensor([1, 2, 3], 1)), ShapeError, 'add: y: expected [2, 3], found [1, 2, 3]');
});

test('mean is over the first dimension', async () => {
  assert.equal(mean(tensor([1, 2, 3, 6], 2, 2)).tolist(), [2, 4]);
  assertSame(mean(randomTensor([0, 2], 1)).data, [Number.NaN, Number.NaN], 'the mean of nothing, as in PyTorch');
  await refuses(() => mean(randomTensor([2], 1)), ShapeError, 'mean: expected [*, *], found [2]');
});

test('transpose makes rows columns', async () => {
  assert.equal(transpose(tensor([1, 2, 3, 4, 5, 6], 2, 3)).tolist(), [
    [1, 4],
    [2, 5],
    [3, 6],
  ]);
  assert.equal(transpose(randomTensor([0, 3], 1)).dims, [3, 0]);
  await refuses(() => transpose(randomTensor([2, 2, 2], 1)), ShapeError, 'transpose: expected [*, *], found [2, 2, 2]');
});

test('concat puts y behind x', async () => {
  assert.equal(concat(tensor([1, 2], 1, 2), tensor([3, 4, 5, 6], 2, 2)).tolist(), [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  assert.equal(concat(tensor([1]), tensor([], 0)).tolist(), [1]);
  await refuses(() => concat(randomTensor([1, 2], 1), randomTensor([1, 3], 1)), ShapeError, 'concat: y: expected [*, 2], found [1, 3]');
  await refuses(() => concat(randomTensor([], 1), randomTensor([3], 1)), ShapeError, 'concat', 'found []');
});

test('attention is softmax(scale q k^T) v for each head, and gives the probabilities to who asks', () => {
  fc.assert(
    fc.property(
      fc.record({ queries: small, keys: small, heads: fc.integer({ min: 1, max: 4 }), width: fc.integer({ min: 1, max: 9 }) }),
      fc.option(fc.constantFrom(0.1, 1, 3), { nil: undefined }),
      fc.boolean(),
      fc.nat(),
      (sizes, scale, masked, seed) => {
        const { queries, keys, heads, width } = sizes;
        const [q, k, v] = [
          randomTensor([queries, heads * width], seed),
          randomTensor([keys, heads * width], seed + 1),
          randomTensor([keys, heads * width], seed + 2),
        ];
        const more = { ...(scale !== undefined && { scale }), ...(masked && { headMask: randomFloats(heads, seed + 3) }) };
        const expected = reference.attention(q.data, k.data, v.data, { ...sizes, ...more });
        let kept: Tensor<'float32'> | undefined;
        const out = attention(q, k, v, {
          ...{ heads, ...more },
          probabilities: (p) => {
            kept = p.clone();
          },
        });
        assert.equal([out.dims, kept?.dims], [q.dims, [heads, queries, keys]]);
        assertWithin(out.data, expected.out, CLOSE, 'out');
        assertWithin((kept as Tensor).data as Float32Array, expected.probabilities, CLOSE, 'probabilities');
        assertSameBits(attention(q, k, v, { heads, ...more }).data, out.data, 'without probabilities');
      },
    ),
    { seed: 6, numRuns: 200 },
  );
});

test('attention of tokens to one another takes query, key and value side by side, each the first columns of a third', () => {
  const engine = new Engine();
  const [q, k, v] = [1, 2, 3].map((seed) => randomTensor([5, 6], seed)) as [Tensor, Tensor, Tensor];
  const beside = concatChannels(...([q, k, v].flatMap((third, i) => [third, randomTensor([5, 2], i)]) as [Tensor, ...Tensor[]]));
  for (const heads of [1, 2, 3]) {
    for (const integers of [false, true]) {
      const found = selfAttention(placed(engine, beside), 6, { heads, integers });
      assert.equal(found.dims, [5, 6]);
      assertSameBits(found.data, attention(q, k, v, { heads, integers }).data, `${heads} heads`);
    }
  }
  engine.dispose();
});

test('attention names the operand or option that does not fit', async () => {
  const x = randomTensor([4, 6], 1);
  const run = (options: object, [q, k, v] = [x, x, x]) => attention(q as Tensor, k as Tensor, v as Tensor, options as { heads: number });
  await refuses(() => run({ heads: 2 }, [x, randomTensor([4, 5], 1), x]), ShapeError, 'attention: k: expected [*, 6], found [4, 5]');
  await refuses(() => run({ heads: 2 }, [x, x, randomTensor([3, 6], 1)]), ShapeError, 'attention: v: expected [4, 6], found [3, 6]');
  await refuses(() => run({ heads: 2 }, [randomTensor([6], 1), x, x]), ShapeError, 'attention: q: expected [*, *], found [6]');
  await refuses(() => run({ heads: 4 }), ShapeError, '4 heads', 'found 6');
  for (const heads of [0, -2, 1.5, Number.NaN, undefined, '2']) await refuses(() => run({ heads }), ArgumentError, 'attention: heads');
  for (const scale of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    await refuses(() => run({ heads: 2, scale }), ArgumentError, 'attention: scale');
  await refuses(() => run({ heads: 2, headMask: [1] }), ShapeError, 'attention: headMask: expected [2], found [1]');
});

test('patchify leaves out what is no whole patch', async () => {
  const image = randomTensor([2, 5, 7], 7);
  const patches = patchify(image, [2, 3]);
  assert.equal(patches.dims, [4, 12]);
  assertSameBits(patches.data, Float32Array.from(reference.patchify(image.data, [2, 5, 7], [2, 3])));
  assert.equal(patchify(image, [6, 3]).dims, [0, 36]);
  await refuses(() => patchify(randomTensor([5, 7], 1), [2, 2]), ShapeError, 'patchify: expected [*, *, *], found [5, 7]');
  for (const patch of [[0, 2], [2, -1], [1.5, 2], [2]])
    await refuses(() => patchify(image, patch as [number, number]), ArgumentError, 'patchify', `${patch}`);
});

test('argmax is the first of the largest, of any dtype, and NaN counts as largest', async () => {
  assert.is(argmax(tensor([1, 3, 2, 3])), 1);
  assert.is(argmax(tensor([-5, -3, -4], 3, 1)), 1);
  assert.is(argmax(new Tensor('int32', [16_777_216, 16_777_217], [2])), 1);
  assert.is(argmax(new Tensor('int64', [1n, 2n ** 60n, 2n ** 60n + 1n], [3])), 2);
  assert.is(argmax(new Tensor('float16', [-1, 0.5, 0.25], [3])), 1);
  assert.is(argmax(tensor([1, Number.NaN, 3, Number.NaN])), 1);
  await refuses(() => argmax(tensor([], 0)), ShapeError, 'argmax', '[0]');
});

test('an operand of another dtype is refused with what to do', async () => {
  const x = randomTensor([2, 2], 1);
  const half = x.to('float16') as unknown as Tensor<'float32'>;
  const runs: Record<string, () => unknown> = {
    matmul: () => matmul(x, half),
    softmax: () => softmax(half),
    gelu: () => gelu(half),
    swiglu: () => swiglu(half),
    layerNorm: () => layerNorm(x, x.at(0), half.at(0)),
    add: () => add(x, half),
    multiply: () => multiply(half, x),
    mean: () => mean(half),
    transpose: () => transpose(half),
    concat: () => concat(x, half),
    attention: () => attention(x, half, x, { heads: 1 }),
    patchify: () => patchify(half.reshape(1, 2, 2), [1, 1]),
    linear: () => linear(x, half),
    clamp: () => clamp(half, 0, 1),
    normalize: () => normalize(half),
    binMean: () => binMean(x, half.at(0)),
    conv2d: () => conv2d(half.reshape(2, 2, 1), x.reshape(1, 1, 2, 2)),
    convTranspose2d: () => convTranspose2d(x.reshape(2, 2, 1), half.reshape(1, 4, 1, 1)),
    concatChannels: () => concatChannels(x, half),
    repeat: () => repeat(half, 2),
    padAround: () => padAround(half, [3, 3]),
    resample: () => resample(half.reshape(2, 2, 1), { height: 1, width: 1, filter: 'bilinear' }),
  };
  for (const [name, run] of Object.entries(runs)) {
    await refuses(run, DTypeError, `${name}: expected float32, found float16: convert it with to('float32')`);
  }
});

test('operands are left as they are, and results own their data', () => {
  const [x, y] = [randomTensor([3, 3], 8), randomTensor([3, 3], 9)];
  const [before, other] = [x.data.slice(), y.data.slice()];
  const results = [matmul(x, y), add(x, y), softmax(x), transpose(x), attention(x, y, y, { heads: 3 })];
  assertSameBits(x.data, before);
  assertSameBits(y.data, other);
  const kept = results.map((result) => result.data.slice());
  for (let i = 0; i < 5; i++) matmul(randomTensor([40, 40], i), randomTensor([40, 40], i));
  for (const [i, result] of results.entries()) assertSameBits(result.data, kept[i] as Float32Array, `result ${i}`);
});

test('clamp, normalize and binMean work on the last dimension of any tensor', async () => {
  const x = tensor([-3, 0.5, 4, 0, 0, 0], 2, 3);
  assertSame(clamp(x, -1, 1).data, Float32Array.of(-1, 0.5, 1, 0, 0, 0));
  assertWithin(normalize(x).data, reference.l2Norm(x.data, 3, 1e-12), 1e-7);
  assertWithin(normalize(x, 10).data, Float32Array.of(-0.3, 0.05, 0.4, 0, 0, 0), 1e-7);
  const values = tensor([1, 2, 6]);
  const mean = binMean(x.reshape(2, 1, 3), values);
  assert.equal(mean.dims, [2, 1]);
  assertWithin(mean.data, [(0.1 + 1.2 + 24.6) / (0.1 + 0.6 + 4.1), 3], 1e-6);
  await refuses(() => binMean(x, tensor([1, 2])), ShapeError, 'binMean: values', '[3]', '[2]');
  await refuses(() => binMean(tensor([], 2, 0), tensor([], 0)), ShapeError, 'one bin or more');
  await refuses(() => clamp(new Tensor('int32', [1], [1]), 0, 1), DTypeError, 'clamp');
});

test('attention in integers is that in floats to some 12 bits, for any sizes, and keeps inside its memory', () => {
  fc.assert(
    fc.property(
      fc.record({
        queries: fc.nat({ max: 40 }),
        keys: fc.nat({ max: 40 }),
        heads: fc.integer({ min: 1, max: 3 }),
        width: fc.integer({ min: 1, max: 19 }),
      }),
      fc.boolean(),
      fc.nat(),
      ({ queries, keys, heads, width }, masked, seed) => {
        const [q, k, v] = [queries, keys, keys].map((rows, i) => randomTensor([rows, heads * width], seed + i)) as [Tensor, Tensor, Tensor];
        const headMask = masked ? { headMask: randomFloats(heads, seed + 3) } : {};
        const expected = reference.attention(q.data as Float32Array, k.data as Float32Array, v.data as Float32Array, {
          ...{ queries, keys, heads, width },
          ...headMask,
        });
        let kept: Tensor<'float32'> | undefined;
        const found = attention(q, k, v, {
          ...{ heads, integers: true, ...headMask },
          probabilities: (p) => {
            kept = p.clone();
          },
        });
        assertWithin(found.data, expected.out, 5e-3, 'out');
        assertWithin((kept as Tensor<'float32'>).data, expected.probabilities, 5e-3, 'probabilities');
      },
    ),
    { seed: 7, numRuns: 100 },
  );
});

test.run();
