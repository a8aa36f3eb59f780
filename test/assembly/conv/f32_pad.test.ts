import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { SHIFTS, testKernels } from '../helpers.ts';

const size = fc.nat({ max: 6 });

testKernels('f32_pad puts zeros around any rows of an image, bit for bit, or of its ReLU', (bench) => {
  fc.assert(
    fc.property(
      fc.tuple(size, size, fc.nat({ max: 21 })),
      fc.nat({ max: 3 }),
      fc.tuple(fc.nat(), fc.nat()),
      fc.boolean(),
      fc.constantFrom(...SHIFTS),
      fc.nat(),
      ([height, width, channels], padding, [a, b], isPositive, shift, seed) => {
        const x = (isPositive ? randomFloats : randomBits)(height * width * channels, seed);
        const [first = 0, end = 0] = [a, b].map((n) => n % (height + 2 * padding + 1)).sort((m, n) => m - n);
        const wide = (width + 2 * padding) * channels;
        const y = bench.try(() => {
          const [from, to] = [bench.input(x, { shift }), bench.room((end - first) * wide, { shift })];
          const least = isPositive ? 0 : Number.NEGATIVE_INFINITY;
          bench.engine.call('f32_pad', height, width, channels, padding, first, end - first, least, from, to);
          return bench.read(to, (end - first) * wide);
        });
        const bits = new Uint32Array(x.buffer);
        const expected = Uint32Array.from({ length: y.length }, (_, e) => {
          const [row, column] = [first + Math.floor(e / wide) - padding, Math.floor((e % wide) / channels) - padding];
          if (row < 0 || row >= height || column < 0 || column >= width) return 0;
          const at = (row * width + column) * channels + (e % channels);
          return isPositive && (x[at] as number) < 0 ? 0 : (bits[at] as number);
        });
        assertSameBits(y, expected, 'y');
      },
    ),
    { seed: 1, numRuns: 400 },
  );
});

test.run();
