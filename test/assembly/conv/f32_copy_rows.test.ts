import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import { randomBits } from '../../reference/random.ts';
import { SHIFTS, testKernels, untouched } from '../helpers.ts';

testKernels('f32_copy_rows copies rows bit for bit, or repeats one, and leaves what is between them', (bench) => {
  const size = fc.nat({ max: 9 });
  fc.assert(
    fc.property(
      size,
      size,
      fc.option(size, { nil: undefined }),
      size,
      fc.constantFrom(...SHIFTS),
      fc.nat(),
      (rows, columns, gapX, gapY, shift, seed) => {
        const ldx = gapX === undefined ? 0 : columns + gapX;
        const ldy = columns + gapY;
        const x = randomBits(Math.max(rows * ldx, columns), seed);
        const y = bench.try(() => {
          const to = bench.room(rows * ldy, { shift });
          bench.engine.call('f32_copy_rows', rows, columns, bench.input(x, { shift }), ldx, to, ldy);
          return bench.read(to, rows * ldy);
        });
        const [bits, before] = [new Uint32Array(x.buffer), new Uint32Array(untouched(rows * ldy).buffer)];
        const expected = before.map((old, e) => (e % ldy < columns ? (bits[Math.floor(e / ldy) * ldx + (e % ldy)] as number) : old));
        assertSameBits(y, expected, 'y');
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
