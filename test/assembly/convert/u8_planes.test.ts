import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import { randomBits } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

testKernels('u8_planes looks each byte up in the table of its channel, bit for bit', (bench) => {
  fc.assert(
    fc.property(
      fc.nat({ max: 40 }),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(...SHIFTS),
      fc.nat(),
      (count, channels, shift, seed) => {
        const pixels = new Uint8Array(randomBits(count * channels, seed).buffer).subarray(0, count * channels);
        const tables = randomBits(channels * 256, seed + 1);
        const y = bench.try(() => {
          const to = bench.room(count * channels, { shift });
          bench.engine.call('u8_planes', count, channels, bench.input(pixels, { shift: 0 }), bench.input(tables, { shift }), to);
          return bench.read(to, count * channels);
        });
        const bits = new Uint32Array(tables.buffer);
        const expected = Uint32Array.from({ length: count * channels }, (_, e) => {
          const [channel, i] = [Math.floor(e / count), e % count];
          return bits[channel * 256 + (pixels[i * channels + channel] as number)] as number;
        });
        assertSameBits(y, expected, 'y');
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
