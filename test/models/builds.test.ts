import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoModel } from '../../src/models/auto.ts';
import { Dinov2Model } from '../../src/models/dinov2.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import { goldenPath } from '../helpers.ts';
import { assertSameBits, assertWithin, assertWithinOfLargest, cosine } from '../reference/compare.ts';
import { BUILDS, KINDS } from '../tensor/matrix/helpers.ts';
import { goldenCalls, pixels, TINY } from './helpers.ts';

/** Of every kind of block. */
const GOLDENS = ['encoder', 'encoder-head64', 'encoder-odd', 'encoder-swiglu', 'registers'];

for (const build of BUILDS) {
  for (const threads of [1, 2]) {
    test(`${build}, ${threads} threads: goldens within 1e-4 in float32, 2e-3 of the largest in float16, a cosine of 0.9995 in int8`, async () => {
      let compared = 0;
      for (const name of GOLDENS) {
        for (const [call, { inputs, outputs }] of await goldenCalls(name)) {
          const expected = outputs.get('last_hidden_state');
          if (!expected) continue;
          for (const dtype of ['float32', 'float16', 'int8'] as const) {
            const model = await AutoModel.from_pretrained(goldenPath(name), { build, threads, dtype });
            assert.equal([model.build, model.threads, model.dtype], [build, threads, dtype]);
            const { data } = ((await model(Object.fromEntries(inputs) as never)) as { last_hidden_state: Tensor<'float32'> })
              .last_hidden_state;
            const what = `${name}, ${call}, ${dtype}`;
            if (dtype === 'float32') assertWithin(data, expected.data, 1e-4, what);
            else if (dtype === 'float16') assertWithinOfLargest(data, expected.data, 2e-3, what);
            else assert.ok(cosine(data, expected.data) > 0.9995, `${what}: cosine ${cosine(data, expected.data)}`);
            model.dispose();
            compared += 1;
          }
        }
      }
      assert.ok(compared >= 3 * GOLDENS.length, `${compared} compared`);
    });
  }
}

/** Pictures of any size, whole or with something in them that is no number. */
const call = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  height: fc.integer({ min: 4, max: 30 }),
  width: fc.integer({ min: 4, max: 30 }),
  seed: fc.integer({ min: 1, max: 9 }),
  special: fc.constantFrom(undefined, undefined, Number.NaN, Number.POSITIVE_INFINITY, 3e38),
});

for (const { build, dtype } of KINDS) {
  test(`${dtype}, ${build}: what was seen before leaves no trace in a result, whatever its size or what was in it`, async () => {
    const options = { seed: 3, dtype, build };
    const used = new Dinov2Model(TINY, options);
    const picture = pixels(1, 12, 16);
    const fresh = new Dinov2Model(TINY, options);
    const expected = (await fresh(picture)).last_hidden_state.data;
    fresh.dispose();
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 3 }), async (calls) => {
        for (const { batch, height, width, seed, special } of calls) {
          const x = pixels(batch, height, width, seed);
          if (special !== undefined) x.data[seed] = special;
          await used(x);
        }
        assertSameBits((await used(picture)).last_hidden_state.data, expected);
      }),
      { seed: 1, numRuns: 25 },
    );
    used.dispose();
  });
}

test.run();
