import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import { randomBits } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const size = fc.nat({ max: 6 });

testKernels('f32_swap_axes exchanges the two axes in the middle, bit for bit', (bench) => {
  fc.assert(
    fc.property(size, size, size, size, fc.constantFrom(...SHIFTS), fc.nat(), (outer, rows, columns, run, shift, seed) => {
      const x = randomBits(outer * rows * columns * run, seed);
      const y = bench.try(() => {
        const to = bench.room(x.length, { shift });
        bench.engine.call('f32_swap_axes', outer, rows, columns, run, bench.input(x, { shift }), to);
        return bench.read(to, x.length);
      });
      const bits = new Uint32Array(x.buffer);
      const expected = Uint32Array.from(bits, (_, e) => {
        const [o, c, r, i] = [
          Math.floor(e / run / rows / columns),
          Math.floor(e / run / rows) % columns,
          Math.floor(e / run) % rows,
          e % run,
        ];
        return bits[((o * rows + r) * columns + c) * run + i] as number;
      });
      assertSameBits(y, expected, 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
