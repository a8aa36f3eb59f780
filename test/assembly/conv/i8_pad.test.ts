import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { bytesOfHeads, bytesOfPixel, bytesOfRows, GROUP, groupsOf, LAYOUTS, readPixels, readRows } from '../../reference/integers.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

type Group = ReturnType<typeof readRows>[number][number];

/** A pixel by a kernel that is tested on its own. */
function quantized(bench: Bench, form: IntegerForm, pixel: Float32Array): Group[] {
  const channels = pixel.length;
  return bench.try(() => {
    const [headBytes, bytes] = [bytesOfHeads(form, 1, channels), bytesOfRows(form, 1, channels)];
    const [heads, y] = [bench.output(new Uint8Array(headBytes)), bench.output(new Uint8Array(bytes))];
    bench.engine.call('i8_quantize', LAYOUTS[form].number, 1, channels, bench.input(pixel), channels, 0, heads, y);
    const found = { heads: bench.engine.view(heads, headBytes).slice(), integers: bench.engine.view(y, bytes).slice() };
    return readRows(form, 1, channels, found)[0] as Group[];
  });
}

const size = fc.nat({ max: 4 });
const channelCount = fc.oneof(fc.nat({ max: 37 }), fc.constantFrom(GROUP - 1, GROUP, GROUP + 1, 2 * GROUP + 70));

testKernels('i8_pad makes each pixel what i8_quantize makes of it or of its ReLU, and the padding zeros, in every form', (bench) => {
  fc.assert(
    fc.property(
      fc.tuple(size, size, channelCount),
      fc.nat({ max: 2 }),
      fc.tuple(fc.nat(), fc.nat()),
      fc.record({
        form: fc.constantFrom(...(Object.keys(LAYOUTS) as IntegerForm[])),
        isPositive: fc.boolean(),
        isAny: fc.boolean(),
        shift: fc.constantFrom(...SHIFTS),
      }),
      fc.nat(),
      ([height, width, channels], padding, [a, b], { form, isPositive, isAny, shift }, seed) => {
        const x = (isAny ? randomBits : randomFloats)(height * width * channels, seed);
        const [first = 0, end = 0] = [a, b].map((n) => n % (height + 2 * padding + 1)).sort((m, n) => m - n);
        const wide = width + 2 * padding;
        const bytes = (end - first) * wide * bytesOfPixel(form, channels);
        const found = bench.try(() => {
          const [from, y] = [bench.input(x, { shift }), bench.output(new Uint8Array(bytes).fill(0xa5), { shift })];
          const image = [height, width, channels, padding, first, end - first] as const;
          bench.engine.call('i8_pad', LAYOUTS[form].number, ...image, Number(isPositive), from, y);
          return readPixels(form, (end - first) * wide, channels, bench.engine.view(y, bytes).slice());
        });
        for (const [p, groups] of found.entries()) {
          const [row, column] = [first + Math.floor(p / wide) - padding, (p % wide) - padding];
          if (row < 0 || row >= height || column < 0 || column >= width) {
            const zeros = (g: number): number[] => new Array(Math.min(GROUP, channels - g * GROUP)).fill(0);
            assert.equal(
              groups,
              Array.from({ length: groupsOf(channels) }, (_, g) => ({ scale: 0, zero: 0, values: zeros(g) })),
            );
            continue;
          }
          const pixel = x.slice((row * width + column) * channels, (row * width + column + 1) * channels);
          assert.equal(groups, quantized(bench, form, isPositive ? pixel.map((value) => (value < 0 ? 0 : value)) : pixel));
        }
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
