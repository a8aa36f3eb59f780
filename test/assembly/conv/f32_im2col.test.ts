import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertSameBits } from '../../reference/compare.ts';
import { randomFloats, randomIntegers } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

interface Patches {
  height: number;
  width: number;
  channels: number;
  kernelHeight: number;
  kernelWidth: number;
  stride: number;
  padding: number;
}

/** Images and kernels of any size that fit one another. */
const sizes: fc.Arbitrary<Patches> = fc
  .record({
    height: fc.integer({ min: 1, max: 7 }),
    width: fc.integer({ min: 1, max: 7 }),
    channels: fc.integer({ min: 0, max: 21 }),
    kernelHeight: fc.integer({ min: 1, max: 4 }),
    kernelWidth: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 3 }),
    padding: fc.nat({ max: 3 }),
  })
  .filter((p) => p.height + 2 * p.padding >= p.kernelHeight && p.width + 2 * p.padding >= p.kernelWidth);

function outputs({ height, width, kernelHeight, kernelWidth, stride, padding }: Patches): [rows: number, columns: number] {
  return [Math.floor((height + 2 * padding - kernelHeight) / stride) + 1, Math.floor((width + 2 * padding - kernelWidth) / stride) + 1];
}

function im2col(
  bench: Bench,
  p: Patches,
  x: Float32Array,
  { first = 0, end = -1, least = Number.NEGATIVE_INFINITY, shift = 0 } = {},
): Float32Array {
  const { height, width, channels, kernelHeight, kernelWidth, stride, padding } = p;
  const [rows, columns] = outputs(p);
  const count = (end < 0 ? rows * columns : end) - first;
  return bench.try(() => {
    const y = bench.room(count * kernelHeight * kernelWidth * channels, { shift });
    const from = bench.input(x, { shift });
    bench.engine.call(
      'f32_im2col',
      ...([height, width, channels, kernelHeight, kernelWidth, stride, padding, columns, first, count, least, from, y] as const),
    );
    return bench.read(y, count * kernelHeight * kernelWidth * channels);
  });
}

/** Each number of each patch looked up for itself. */
function expectedOf(p: Patches, x: Float32Array, least: number): Float32Array {
  const { height, width, channels, kernelHeight, kernelWidth, stride, padding } = p;
  const [rows, columns] = outputs(p);
  const area = kernelHeight * kernelWidth;
  return Float32Array.from({ length: rows * columns * area * channels }, (_, e) => {
    const [place, tap, channel] = [Math.floor(e / channels / area), Math.floor(e / channels) % area, e % channels];
    const i = Math.floor(place / columns) * stride - padding + Math.floor(tap / kernelWidth);
    const j = (place % columns) * stride - padding + (tap % kernelWidth);
    if (i < 0 || j < 0 || i >= height || j >= width) return 0;
    const value = x[(i * width + j) * channels + channel] as number;
    return Math.max(value, least);
  });
}

testKernels('f32_im2col lays out the patch under each output, zeros around the image', (bench) => {
  fc.assert(
    fc.property(sizes, fc.constantFrom(Number.NEGATIVE_INFINITY, 0), fc.constantFrom(...SHIFTS), fc.nat(), (p, least, shift, seed) => {
      const x = randomFloats(p.height * p.width * p.channels, seed);
      assertSameBits(im2col(bench, p, x, { least, shift }), expectedOf(p, x, least), 'y');
    }),
    { seed: 1, numRuns: 400 },
  );
});

testKernels('f32_im2col gives any run of outputs the same patches', (bench) => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), fc.nat(), (p, a, b, seed) => {
      const x = randomFloats(p.height * p.width * p.channels, seed);
      const [rows, columns] = outputs(p);
      const [first = 0, end = 0] = [a, b].map((n) => n % (rows * columns + 1)).sort((m, n) => m - n);
      const patch = p.kernelHeight * p.kernelWidth * p.channels;
      const all = im2col(bench, p, x);
      assertSameBits(im2col(bench, p, x, { first, end }), all.subarray(first * patch, end * patch), `outputs ${first} to ${end}`);
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('f32_im2col keeps NaN and infinities, behind a ReLU too', (bench) => {
  const p = { height: 3, width: 4, channels: 9, kernelHeight: 2, kernelWidth: 3, stride: 1, padding: 1 };
  const x = randomIntegers(108, 3, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  for (const least of [Number.NEGATIVE_INFINITY, 0]) assertSame(im2col(bench, p, x, { least }), expectedOf(p, x, least), `least ${least}`);
});

test.run();
