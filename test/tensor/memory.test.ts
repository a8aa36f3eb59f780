import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STRIP_ROWS } from '../../src/runtime/kernels.ts';
import { concatChannels, conv2d, convTranspose2d, repeat } from '../../src/tensor/conv.ts';
import { attention, concat, linear, matmul, patchify, resample, softmax, swiglu, transpose } from '../../src/tensor/index.ts';
import { createMatrix } from '../../src/tensor/matrix/createMatrix.ts';
import { add, binMean, clamp, layerNorm, mean, normalize } from '../../src/tensor/ops.ts';
import { padAround } from '../../src/tensor/pad.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { assertSameBits } from '../reference/compare.ts';
import { randomTensor } from './helpers.ts';
import { KINDS, withEngine } from './matrix/helpers.ts';

interface Operation {
  readonly dims: readonly (readonly number[])[];
  run(...operands: readonly Float32[]): Float32;
}

function operation<const Dims extends Operation['dims']>(
  run: (...operands: { [K in keyof Dims]: Float32 }) => Float32,
  ...dims: Dims
): Operation {
  return { dims, run: run as Operation['run'] };
}

/** Sizes that fill no panel, tile or strip, but just the cache lines in which memory is given out. */
const OPERATIONS: Record<string, Operation> = {
  matmul: operation(matmul, [2, 5, 3], [2, 3, 9]),
  'matmul by one matrix': operation(matmul, [2, 5, 3], [3, 9]),
  linear: operation(linear, [5, 3], [9, 3], [9]),
  softmax: operation(softmax, [4, 16]),
  swiglu: operation(swiglu, [4, 32]),
  layerNorm: operation(layerNorm, [4, 16], [16], [16]),
  add: operation(add, [4, 16], [16]),
  clamp: operation((x) => clamp(x, -1, 1), [4, 16]),
  normalize: operation(normalize, [4, 16]),
  binMean: operation(binMean, [16, 3], [3]),
  mean: operation(mean, [5, 16]),
  transpose: operation(transpose, [5, 16]),
  concat: operation(concat, [1, 16], [2, 16]),
  patchify: operation((x) => patchify(x, [2, 2]), [1, 9, 9]),
  conv2d: operation((x, weight, bias) => conv2d(x, weight, bias, { padding: 1, stride: 2 }), [7, 5, 3], [16, 3, 3, 3], [16]),
  convTranspose2d: operation(convTranspose2d, [3, 2, 5], [5, 4, 2, 2], [4]),
  concatChannels: operation(concatChannels, [2, 2, 9], [7]),
  repeat: operation((x) => repeat(x, 4), [4]),
  padAround: operation((x) => padAround(x, [8, 8]), [2, 3, 3]),
  enlarging: operation((x) => resample(x, { height: 8, width: 8, filter: 'bicubic' }), [3, 3, 2]),
  shrinking: operation((x) => resample(x, { height: 4, width: 4, filter: 'bilinear', antialias: true }), [9, 9, 4]),
  attention: operation((q, k, v) => attention(q, k, v, { heads: 4 }), [5, 28], [15, 28], [15, 28]),
  'attention in integers': operation((q, k, v) => attention(q, k, v, { heads: 4, integers: true }), [5, 28], [15, 28], [15, 28]),
};

/** Attention to any number of keys that fill two panels, of any width of one. */
for (const integers of [false, true]) {
  for (let keys = 9; keys <= 16; keys++) {
    for (let width = 1; width <= 8; width++) {
      const run = (q: Float32, k: Float32, v: Float32): Float32 => attention(q, k, v, { heads: 1, integers });
      OPERATIONS[`attention to ${keys} keys of ${width}, ${integers}`] = operation(run, [5, width], [keys, width], [keys, width]);
    }
  }
}

test('what is recorded writes nothing but the memory that was set aside for it', async () => {
  for (const [name, { dims, run }] of Object.entries(OPERATIONS)) {
    const tensors = dims.map((own, i) => randomTensor(own, i + 1));
    await withEngine({}, async (engine) => {
      const operands = tensors.map((tensor) => placed(engine, tensor));
      const recording = await engine.record(async () => run(...operands));
      const behind = engine.allocate(2 ** 16);
      engine.view(behind, 2 ** 16).fill(0xab);
      recording.replay();
      assertSameBits(recording.result.data, run(...tensors).data, name);
      assert.ok(
        engine.view(behind, 2 ** 16).every((byte) => byte === 0xab),
        `${name}: wrote behind its memory`,
      );
      for (const [i, tensor] of tensors.entries()) assertSameBits((operands[i] as Float32).data, tensor.data, `${name}: operand ${i}`);
    });
  }
});

test('so it is with products by weights of every kind', async () => {
  for (const { build, dtype } of KINDS) {
    for (const [rows, outputs, inputs] of [
      [1, 9, 3],
      [5, 16, 131],
      [7, 41, 257],
    ] as const) {
      await withEngine({ build }, async (engine) => {
        const matrix = createMatrix(engine, dtype, outputs, inputs);
        matrix.pack(randomTensor([outputs, inputs], 1), randomTensor([outputs], 2));
        const [x, scale, y] = [[rows, inputs], [outputs], [rows, outputs]].map((dims, i) => placed(engine, randomTensor(dims, i + 3))) as [
          Float32,
          Float32,
          Float32,
        ];
        const before = matrix.unpack();
        const recording = await engine.record(async () => {
          matrix.multiplyAdd(x, scale, y);
          return matrix.multiply(x, 'gelu');
        });
        const behind = engine.allocate(2 ** 16);
        engine.view(behind, 2 ** 16).fill(0xab);
        recording.replay();
        assert.ok(
          engine.view(behind, 2 ** 16).every((byte) => byte === 0xab),
          `${dtype}, ${build}: wrote behind its memory`,
        );
        assert.equal(matrix.unpack(), before, `${dtype}, ${build}: the weights`);
        assertSameBits(x.data, randomTensor([rows, inputs], 3).data, `${dtype}, ${build}: x`);
      });
    }
  }
});

test('a product widens a few of the weights at a time', async () => {
  for (const { build, dtype } of KINDS) {
    await withEngine({ build }, async (engine) => {
      const matrix = createMatrix(engine, dtype, 2048, 512);
      matrix.pack(randomTensor([2048, 512], 1)); // which takes 4 MiB beside the matrix, and gives them back
      const x = placed(engine, randomTensor([1, 512], 2));
      const last = engine.end;
      await engine.record(async () => matrix.multiply(x));
      assert.ok(engine.end - last < 2 ** 18, `${dtype}, ${build}: ${engine.end - last} bytes`);
    });
  }
});

test('attention has in memory its result, keys and values once more, and a strip of scores', async () => {
  const [tokens, width] = [2048, 64];
  for (const [integers, bytes, strip] of [
    [false, 4, 4 * STRIP_ROWS],
    [true, 1.2, 12 * 6], // scores and shares of 12 queries
  ] as const) {
    await withEngine({}, async (engine) => {
      const [q, k, v] = [1, 2, 3].map((seed) => placed(engine, randomTensor([tokens, width], seed))) as [Float32, Float32, Float32];
      const last = engine.end;
      await engine.record(async () => attention(q, k, v, { heads: 1, integers }));
      const widened = integers && engine.integerForm === 'pairs' ? 4 * 6 + 4 * 16 : 0; // 4 queries more, and 4 panels of values in 16 bits
      const most = 1.05 * tokens * (4 * width + 2 * bytes * width + strip + widened);
      assert.ok(engine.end - last < most, `${engine.end - last} bytes, at most ${most}`);
    });
  }
});

test('a product has its right-hand side once more in memory, of a batch that of one matrix', async () => {
  await withEngine({}, async (engine) => {
    const [a, b] = [placed(engine, randomTensor([3, 8, 255], 1)), placed(engine, randomTensor([3, 255, 1024], 2))];
    const last = engine.end;
    await engine.record(async () => matmul(a, b));
    assert.ok(engine.end - last < 1.05 * (3 * 8 * 1024 + 256 * 1024) * 4, `${engine.end - last} bytes`);
  });
});

test('an image is enlarged a band of rows at a time', async () => {
  await withEngine({}, async (engine) => {
    const x = placed(engine, randomTensor([1024, 256, 4], 1));
    const last = engine.end;
    await engine.record(async () => resample(x, { height: 2048, width: 512, filter: 'bilinear' }));
    const [result, band] = [2048 * 512 * 4 * 4, 2 ** 22];
    assert.ok(engine.end - last < result + 1.1 * band, `${engine.end - last} bytes`);
  });
});

test('the largest sums of attention in integers do not overflow', () => {
  for (const width of [64, 256, 1024]) {
    // every other key is as near as can be, or as far
    const signs = Float32Array.from({ length: 6 * width }, (_, i) => (Math.floor(i / width) % 2 ? -1 : 1));
    const q = randomTensor([2, width], 1);
    q.data.fill(1);
    const k = randomTensor([6, width], 2);
    k.data.set(signs);
    const v = randomTensor([6, width], 3);
    const floats = attention(q, k, v, { heads: 1, scale: 1 / width });
    const integers = attention(q, k, v, { heads: 1, scale: 1 / width, integers: true });
    for (const [i, x] of integers.data.entries()) assert.ok(Math.abs(x - (floats.data[i] as number)) < 0.01, `width ${width}, ${i}: ${x}`);
  }
});

test.run();
