import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inverseDct } from '../../reference/jpeg.ts';
import { testKernels, untouched } from '../helpers.ts';

/** Coefficients from none to large ones, whose samples are below 0 and above 255 too. */
const BLOCK = fc.oneof(
  fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 64, maxLength: 64 }),
  fc.array(fc.constantFrom(0, 0, 0, 0, 0, 0, 5, -300), { minLength: 64, maxLength: 64 }),
  fc.integer({ min: -1100, max: 1100 }).map((mean) => [mean, ...new Array<number>(63).fill(0)]),
);

testKernels('u8_jpeg_idct is the inverse transform by its definition, within one level', (bench) => {
  fc.assert(
    fc.property(fc.array(BLOCK, { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 9 }), (blocks, step) => {
      bench.try(() => {
        const coefficients = bench.input(Int16Array.from(blocks.flat()));
        const quantization = bench.input(new Int32Array(64).fill(step));
        const stride = blocks.length * 8;
        const output = bench.room(blocks.length * 16);
        bench.engine.call('u8_jpeg_idct', blocks.length, coefficients, quantization, output, stride, bench.output(untouched(128)));
        const samples = bench.engine.view(output, blocks.length * 64).slice();
        for (const [number, block] of blocks.entries()) {
          for (const [i, right] of inverseDct(block.map((x) => x * step)).entries()) {
            const found = samples[(i >> 3) * stride + number * 8 + (i & 7)] as number;
            assert.ok(Math.abs(found - Math.min(255, Math.max(0, right))) <= 1, `${found}, ${right}`);
          }
        }
      });
    }),
    { seed: 1, numRuns: 100 },
  );
});

test.run();
