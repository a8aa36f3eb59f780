import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { BatchNormConv2d, foldBatchNormBehind, foldBatchNormInFront } from '../../src/nn/batchNorm.ts';
import { Parameters } from '../../src/nn/parameters.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/conv.ts';
import { randomTensor } from '../tensor/helpers.ts';

const positive = (dims: readonly number[], seed: number): Float32 => {
  const { data } = randomTensor(dims, seed);
  return new Tensor(
    'float32',
    data.map((value) => value ** 2 + 0.01),
    dims,
  );
};

function normOf(channels: number, seed: number) {
  return {
    weight: randomTensor([channels], seed),
    bias: randomTensor([channels], seed + 1),
    running_mean: randomTensor([channels], seed + 2),
    running_var: positive([channels], seed + 3),
  };
}

const dataOf = (norm: ReturnType<typeof normOf>) => ({
  weight: norm.weight.data,
  bias: norm.bias.data,
  running_mean: norm.running_mean.data,
  running_var: norm.running_var.data,
});

test('a batch norm behind a convolution is folded into it', () => {
  for (const bias of [randomTensor([6], 1), undefined]) {
    const [x, weight, norm] = [randomTensor([4, 5, 3], 2), randomTensor([6, 3, 3, 3], 3), normOf(6, 4)];
    const folded = foldBatchNormBehind({ weight, bias }, { ...norm, epsilon: 0.1 });
    assert.equal([folded.weight.dims, folded.bias?.dims], [[6, 3, 3, 3], [6]]);
    const run = (w: Float32, b: Float32 | undefined) =>
      reference.conv2d(x.data, [4, 5, 3], w.data, [6, 3, 3, 3], b?.data, { padding: 1 }).data;
    assertWithin(run(folded.weight, folded.bias), reference.batchNorm(run(weight, bias), dataOf(norm), 0.1), 1e-5);
  }
});

test('a batch norm in front of a 1x1 convolution is folded into it', () => {
  for (const bias of [randomTensor([6], 1), undefined]) {
    const [x, weight, norm] = [randomTensor([4, 5, 3], 2), randomTensor([6, 3, 1, 1], 3), normOf(3, 4)];
    const folded = foldBatchNormInFront({ weight, bias }, norm);
    assert.equal([folded.weight.dims, folded.bias?.dims], [[6, 3, 1, 1], [6]]);
    const run = (values: ArrayLike<number>, w: Float32, b: Float32 | undefined) =>
      reference.conv2d(values, [4, 5, 3], w.data, [6, 3, 1, 1], b?.data).data;
    const expected = run(reference.batchNorm(x.data, dataOf(norm), 1e-5), weight, bias);
    assertWithin(run(x.data, folded.weight, folded.bias), expected, 1e-5);
  }
});

test('a batch norm that does not fit, or is in front of a larger kernel, is refused by name', async () => {
  const norm = normOf(3, 1);
  await refuses(
    () => foldBatchNormInFront({ weight: randomTensor([6, 3, 3, 3], 1) }, norm),
    ShapeError,
    'in front',
    'expected [*, *, 1, 1], found [6, 3, 3, 3]',
  );
  await refuses(
    () => foldBatchNormInFront({ weight: randomTensor([6, 4, 1, 1], 1) }, norm),
    ShapeError,
    'batch norm: weight: expected [4], found [3]',
  );
  const short = { ...normOf(6, 1), running_var: randomTensor([5], 1) };
  await refuses(
    () => foldBatchNormBehind({ weight: randomTensor([6, 4, 3, 3], 1) }, short),
    ShapeError,
    'batch norm: running_var: expected [6], found [5]',
  );
});

for (const bias of [true, false]) {
  test(`batch norm and convolution ${bias ? 'with' : 'without'} bias are one layer, loaded in any order, that reads back what was loaded`, () => {
    for (const reversed of [false, true]) {
      const engine = new Engine();
      const p = new Parameters(engine);
      const layer = new BatchNormConv2d(p.at('bn'), p.at('conv_seg'), 5, 7, { bias });
      const values = new Map<string, Float32>(
        p.all.map(({ name, dims }, i) => [name, name === 'bn.running_var' ? positive(dims, i) : randomTensor(dims, i)]),
      );
      assert.equal(
        p.all.map(({ name, dims, initial }) => [name, dims, initial]),
        [
          ['bn.weight', [5], 1],
          ['bn.bias', [5], 0],
          ['bn.running_mean', [5], 0],
          ['bn.running_var', [5], 1],
          ['conv_seg.weight', [7, 5, 1, 1], 'normal'],
          ...(bias ? [['conv_seg.bias', [7], 0]] : []),
        ],
      );
      for (const { allocate } of p.all) allocate();
      for (const { name, load } of reversed ? p.all.toReversed() : p.all) load(values.get(name) as Float32);
      for (const { name, read } of p.all) assertSameBits(read().data, values.get(name)?.data as Float32Array, name);

      const data = (name: string): Float32Array => values.get(name)?.data as Float32Array;
      const x = randomTensor([3, 4, 5], 9);
      const norm = {
        weight: data('bn.weight'),
        bias: data('bn.bias'),
        running_mean: data('bn.running_mean'),
        running_var: data('bn.running_var'),
      };
      const b = bias ? data('conv_seg.bias') : undefined;
      const expected = reference.conv2d(reference.batchNorm(x.data, norm, 1e-5), [3, 4, 5], data('conv_seg.weight'), [7, 5, 1, 1], b);
      const y = layer.forward(placed(engine, x));
      assert.equal(y.dims, expected.dims);
      assertWithin(y.data, expected.data, 3e-5);
    }
  });
}

test.run();
