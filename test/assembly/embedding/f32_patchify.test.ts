import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomBits } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const patch = fc.integer({ min: 1, max: 7 });
const size = fc.integer({ min: 0, max: 23 });

testKernels('f32_patchify gives each patch as a row in the order of convolution weights and leaves out what is no whole patch', (bench) => {
  fc.assert(
    fc.property(
      fc.tuple(fc.nat({ max: 4 }), size, size),
      fc.tuple(patch, patch),
      fc.nat({ max: 5 }),
      fc.constantFrom(...SHIFTS),
      fc.nat(),
      ([channels, height, width], [patchHeight, patchWidth], gap, shift, seed) => {
        const plane = height * width + gap;
        const x = randomBits(channels * plane, seed);
        const bits = new Uint32Array(x.buffer).filter((_, i) => i % plane < height * width); // not floats: float64 would quiet a NaN
        const expected = Uint32Array.from(reference.patchify(bits, [channels, height, width], [patchHeight, patchWidth]));
        const [rows, columns] = [Math.floor(height / patchHeight), Math.floor(width / patchWidth)];
        const found = bench.try(() => {
          const y = bench.room(expected.length, { shift });
          const from = bench.input(x, { shift });
          bench.engine.call('f32_patchify', channels, width, patchHeight, patchWidth, rows, columns, plane, from, y);
          return bench.read(y, expected.length);
        });
        assertSameBits(found, expected, 'y');
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
