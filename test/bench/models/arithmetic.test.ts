import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bare, countArithmetic, leastTime } from '../../../bench/models/arithmetic.ts';
import type { Engine } from '../../../src/runtime/engine.ts';
import { convolutionOrder, convolve } from '../../../src/tensor/conv.ts';
import { createMatrix } from '../../../src/tensor/matrix/createMatrix.ts';
import { WEIGHT_DTYPES } from '../../../src/tensor/matrix/packedMatrix.ts';
import { attention, softmax } from '../../../src/tensor/ops.ts';
import { placed } from '../../../src/tensor/place.ts';
import { randomTensor } from '../../tensor/helpers.ts';
import { withEngine } from '../../tensor/matrix/helpers.ts';

for (const dtype of WEIGHT_DTYPES) {
  const kind = dtype === 'int8' ? 'integers' : 'floats';
  const of = (operations: number) => ({ floats: 0, integers: 0, [kind]: operations });

  test(`${dtype}: the arithmetic of products and convolutions is counted as ${kind}, however it is cut`, async () => {
    for (const threads of [1, 2]) {
      await withEngine({ threads }, async (engine) => {
        const product = (): unknown => {
          const matrix = createMatrix(engine, dtype, 50, 30);
          matrix.pack(randomTensor([50, 30], 1));
          return matrix.multiply(placed(engine, randomTensor([3, 7, 30], 2)));
        };
        assert.equal(await countArithmetic(engine, product), of(2 * 21 * 50 * 30));
        const convolution = (): unknown => {
          const order = convolutionOrder(11, 5, 3, 2);
          const matrix = createMatrix(engine, dtype, order.outputs, order.inputs, { width: order.width });
          matrix.pack(randomTensor([11, 30], 3));
          return convolve(engine, placed(engine, randomTensor([40, 30, 5], 4)), matrix, [3, 2]);
        };
        assert.equal(await countArithmetic(engine, convolution), of(2 * (38 * 29) * 11 * 30));
      });
    }
  });
}

test('so is that of attention, twice for every pair of tokens', async () => {
  await withEngine({}, async (engine) => {
    const tokens = (engine: Engine) => placed(engine, randomTensor([10, 12], 5));
    for (const integers of [false, true]) {
      const run = (): unknown => attention(tokens(engine), tokens(engine), tokens(engine), { heads: 2, integers });
      const operations = 2 * 2 * 10 * 10 * 12;
      assert.equal(await countArithmetic(engine, run), { floats: integers ? 0 : operations, integers: integers ? operations : 0 });
    }
  });
});

test('other kernels count for nothing, and the engine is as it was', async () => {
  await withEngine({}, async (engine) => {
    const { together } = engine;
    assert.equal(await countArithmetic(engine, () => softmax(placed(engine, randomTensor([7, 9], 6)))), { floats: 0, integers: 0 });
    assert.is(engine.together, together);
    await countArithmetic(engine, () => Promise.reject(new Error('none'))).catch(() => {});
    assert.is(engine.together, together);
  });
});

test('arithmetic as bare multiply-adds takes the time of each kind that there is of it', async () => {
  const runs: string[] = [];
  const limit = (name: string) => ({ name, run: () => runs.push(name), work: 1000 });
  const limits = { floats: limit('floats'), integers: limit('integers') };
  const time = await bare({ floats: 0, integers: 10 }, limits).time();
  assert.equal(runs, ['integers']);
  assert.ok(time > 0 && time < 1000, `${time}`);
  await bare({ floats: 10, integers: 10 }, limits).time();
  assert.equal(runs, ['integers', 'floats', 'integers']);
});

test('the least time is that of both kinds at their own speed', () => {
  assert.is(leastTime({ floats: 100, integers: 400 }, { floats: 50, integers: 200 }), 4);
});

test.run();
