import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concatChannels, conv2d, convTranspose2d, repeat } from '../../src/tensor/conv.ts';
import { attention, concat, linear, matmul, patchify, resample, softmax, swiglu, transpose } from '../../src/tensor/index.ts';
import { createMatrix } from '../../src/tensor/matrix/createMatrix.ts';
import { add, binMean, clamp, layerNorm, mean, normalize } from '../../src/tensor/ops.ts';
import { padAround } from '../../src/tensor/pad.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { assertSameBits } from '../reference/compare.ts';
import { randomTensor } from './helpers.ts';
import { KINDS, withEngine } from './matrix/helpers.ts';

type Operation = readonly [operands: readonly (readonly number[])[], run: (...operands: readonly Float32[]) => Float32];

const operation = (operands: Operation[0], run: (...operands: Float32[]) => Float32): Operation => [operands, run as Operation[1]];

/** Sizes that fill no panel, tile or strip, but just the cache lines in which memory is given out. */
const OPERATIONS: Record<string, Operation> = {
  matmul: operation(
    [
      [2, 5, 3],
      [2, 3, 9],
    ],
    (a, b) => matmul(a as Float32, b as Float32),
  ),
  'matmul by one matrix': operation(
    [
      [2, 5, 3],
      [3, 9],
    ],
    (a, b) => matmul(a as Float32, b as Float32),
  ),
  linear: operation([[5, 3], [9, 3], [9]], (x, weight, bias) => linear(x as Float32, weight as Float32, bias)),
  softmax: operation([[4, 16]], (x) => softmax(x as Float32)),
  swiglu: operation([[4, 32]], (x) => swiglu(x as Float32)),
  layerNorm: operation([[4, 16], [16], [16]], (x, w, b) => layerNorm(x as Float32, w as Float32, b as Float32)),
  add: operation([[4, 16], [16]], (x, y) => add(x as Float32, y as Float32)),
  clamp: operation([[4, 16]], (x) => clamp(x as Float32, -1, 1)),
  normalize: operation([[4, 16]], (x) => normalize(x as Float32)),
  binMean: operation([[16, 3], [3]], (x, values) => binMean(x as Float32, values as Float32)),
  mean: operation([[5, 16]], (x) => mean(x as Float32)),
  transpose: operation([[5, 16]], (x) => transpose(x as Float32)),
  concat: operation(
    [
      [1, 16],
      [2, 16],
    ],
    (x, y) => concat(x as Float32, y as Float32),
  ),
  patchify: operation([[1, 9, 9]], (x) => patchify(x as Float32, [2, 2])),
  conv2d: operation([[7, 5, 3], [16, 3, 3, 3], [16]], (x, w, b) => conv2d(x as Float32, w as Float32, b, { padding: 1, stride: 2 })),
  convTranspose2d: operation([[3, 2, 5], [5, 4, 2, 2], [4]], (x, w, b) => convTranspose2d(x as Float32, w as Float32, b)),
  concatChannels: operation([[2, 2, 9], [7]], (x, y) => concatChannels(x as Float32, y as Float32)),
  repeat: operation([[4]], (x) => repeat(x as Float32, 4)),
  padAround: operation([[2, 3, 3]], (x) => padAround(x as Float32, [8, 8])),
  enlarging: operation([[3, 3, 2]], (x) => resample(x as Float32, { height: 8, width: 8, filter: 'bicubic' })),
  shrinking: operation([[9, 9, 4]], (x) => resample(x as Float32, { height: 4, width: 4, filter: 'bilinear', antialias: true })),
  attention: operation(
    [
      [5, 28],
      [15, 28],
      [15, 28],
    ],
    (q, k, v) => attention(q as Float32, k as Float32, v as Float32, { heads: 4 }),
  ),
  'attention in integers': operation(
    [
      [5, 28],
      [15, 28],
      [15, 28],
    ],
    (q, k, v) => attention(q as Float32, k as Float32, v as Float32, { heads: 4, integers: true }),
  ),
};

test('what is recorded writes nothing but the memory that was set aside for it', async () => {
  for (const [name, [dims, run]] of Object.entries(OPERATIONS)) {
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
