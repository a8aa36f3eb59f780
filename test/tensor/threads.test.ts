import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Engine } from '../../src/runtime/engine.ts';
import { convolutionOrder, convolve } from '../../src/tensor/conv.ts';
import { activate, attention, conv2d, layerNorm, linear, matmul, softmax, swiglu } from '../../src/tensor/index.ts';
import { createMatrix } from '../../src/tensor/matrix/createMatrix.ts';
import { WEIGHT_DTYPES } from '../../src/tensor/matrix/packedMatrix.ts';
import { type Float32, placed } from '../../src/tensor/place.ts';
import { ScoredRows } from '../../src/tensor/scoredRows.ts';
import { assertSameBits } from '../reference/compare.ts';
import { randomTensor } from './helpers.ts';
import { withEngine } from './matrix/helpers.ts';

/** What an operation gives, as its own data. */
type Run = (engine: Engine) => readonly Float32[];

/** Tensors in the memory of the engine. */
const on = (engine: Engine, ...tensors: readonly Float32[]): Float32[] => tensors.map((tensor) => placed(engine, tensor));

/** Few outputs, which are shared by rows, and many, which are shared by panels. */
const SHAPES = [
  [70, 12, 9],
  [5, 203, 31],
  [70, 203, 130],
] as const;

const RUNS: Record<string, Run> = {
  matmul: (engine) => {
    const [a, b] = on(engine, randomTensor([2, 41, 19], 1), randomTensor([2, 19, 13], 2)) as [Float32, Float32];
    return [matmul(a, b), matmul(a, b.at(0))];
  },
  linear: (engine) => [linear(...(on(engine, randomTensor([41, 19], 3), randomTensor([77, 19], 4)) as [Float32, Float32]))],
  softmax: (engine) => [softmax(placed(engine, randomTensor([7, 11, 13], 5)))],
  activate: (engine) => [activate(placed(engine, randomTensor([3, 5000], 6)), 'gelu')],
  swiglu: (engine) => [swiglu(placed(engine, randomTensor([5, 3, 22], 7)))],
  layerNorm: (engine) => {
    return [
      layerNorm(...(on(engine, randomTensor([5, 3, 21], 8), randomTensor([21], 9), randomTensor([21], 10)) as [Float32, Float32, Float32])),
    ];
  },
  convolution: (engine) => {
    const [x, weight, bias] = on(engine, randomTensor([19, 17, 6], 11), randomTensor([9, 6, 3, 3], 12), randomTensor([9], 13));
    return [conv2d(x as Float32, weight as Float32, bias, { padding: 1, stride: 2, activation: 'relu' })];
  },
};

for (const integers of [false, true]) {
  RUNS[`attention${integers ? ' in integers' : ''}`] = (engine) => {
    const results: Float32[] = [];
    for (const [queries, keys, heads, width] of [
      [150, 150, 1, 20],
      [70, 33, 3, 7],
    ] as const) {
      const [q, k, v] = on(engine, ...[queries, keys, keys].map((rows, i) => randomTensor([rows, heads * width], 14 + i)));
      const probabilities = (p: Float32): void => void results.push(p.clone());
      const headMask = Array.from({ length: heads }, (_, head) => 1 - head / 4);
      results.push(attention(q as Float32, k as Float32, v as Float32, { heads, integers, headMask, probabilities }));
    }
    return results;
  };
}

for (const dtype of WEIGHT_DTYPES) {
  RUNS[`products with weights in ${dtype}`] = (engine) =>
    SHAPES.flatMap(([rows, outputs, inputs]) => {
      const matrix = createMatrix(engine, dtype, outputs, inputs);
      matrix.pack(randomTensor([outputs, inputs], 20), randomTensor([outputs], 21));
      const [x, scale, y] = on(engine, randomTensor([rows, inputs], 22), randomTensor([outputs], 23), randomTensor([rows, outputs], 24));
      matrix.multiplyAdd(x as Float32, scale as Float32, y as Float32);
      return [matrix.multiply(x as Float32, 'gelu'), y as Float32];
    });
}

for (const dtype of WEIGHT_DTYPES) {
  RUNS[`convolutions in ${dtype}`] = (engine) =>
    [9, 77].flatMap((outputs) => {
      const order = convolutionOrder(outputs, 20, 3, 3);
      const matrix = createMatrix(engine, dtype, order.outputs, order.inputs, { width: order.width });
      matrix.pack(randomTensor([order.outputs, order.inputs], 25), randomTensor([outputs], 26));
      const [x, y] = on(engine, randomTensor([23, 21, 20], 27), randomTensor([23, 21, outputs], 28)) as [Float32, Float32];
      const options = { padding: 1, inputRelu: true } as const;
      convolve(engine, x, matrix, [3, 3], { ...options, residual: y });
      return [convolve(engine, x, matrix, [3, 3], { ...options, activation: 'gelu' }), y];
    });
}

for (const [name, run] of Object.entries(RUNS)) {
  test(`${name}: the same bits on any number of threads`, async () => {
    const results: Float32[][] = [];
    for (const threads of [1, 2, 3]) {
      await withEngine({ threads }, (engine) => {
        assert.is(engine.threads, threads);
        results.push(engine.scope(() => run(engine).map((tensor) => tensor.clone())));
      });
    }
    const [one = [], ...others] = results;
    for (const more of others) {
      for (const [i, tensor] of more.entries()) assertSameBits(tensor.data, one[i]?.data as Float32Array, `result ${i}`);
    }
  });
}

test('scored rows: the same bits on any number of threads', () => {
  const rows = randomTensor([2000, 12], 30).data;
  const query = Float64Array.from(randomTensor([12], 31).data);
  const scores = [1, 3].map((threads) => {
    const scored = new ScoredRows(12, { threads });
    scored.add(rows, new Float64Array(2000).fill(2));
    const found: number[] = [];
    scored.score(query, (part) => {
      found.push(...part);
      return Number.NEGATIVE_INFINITY;
    });
    scored.dispose();
    return Float32Array.from(found);
  });
  assert.is(scores[0]?.length, 2000);
  assertSameBits(scores[1] as Float32Array, scores[0] as Float32Array);
});

test.run();
