import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import { randomFloats, randomIntegers } from '../../reference/random.ts';
import { type Bench, testKernels, untouched } from '../helpers.ts';
import { expectedOf, type Head, head, type Shape, shapes } from './helpers.ts';

function attend(bench: Bench, h: Head, { wanted = true, rows = [0, h.queries] as readonly [number, number] } = {}) {
  const { keys, width, gap, shift, scale, weight } = h;
  const [first, end] = rows;
  const queries = end - first;
  const stride = width + gap;
  const { engine } = bench;
  return bench.try(() => {
    const packedKeys = engine.allocate(Math.ceil(keys / 8) * (width + 1) * 32);
    const packedValues = engine.allocate(Math.ceil(width / 8) * (keys + 1) * 32);
    engine.call('f32_pack', keys, width, bench.input(h.k), width, 0, packedKeys);
    engine.call('f32_pack_rows', width, keys, bench.input(h.v), width, packedValues);
    const strip = bench.room(12 * Math.ceil(keys / 8) * 8);
    const out = bench.room(queries * stride, { shift });
    const probabilities = bench.room(queries * keys, { shift });
    const q = bench.input(h.q, { shift }) + first * stride * 4;
    engine.call(
      'f32_attention',
      ...([queries, keys, width, q, stride, packedKeys, packedValues, out, stride, scale, weight] as const),
      ...([strip, wanted ? probabilities : 0] as const),
    );
    return { out: bench.read(out, queries * stride), probabilities: bench.read(probabilities, queries * keys) };
  });
}

testKernels('f32_attention is weight * softmax(scale q k^T) v for any sizes, and writes nothing else', (bench) => {
  fc.assert(
    fc.property(shapes, fc.nat(), (shape, seed) => {
      const h = head(shape, seed, randomFloats);
      const { keys, width, gap, scale, weight } = h;
      const expected = expectedOf(h);
      const found = attend(bench, h);
      // a score is off by at most (width + 1) UNIT of the sum of its terms, each at most 1, and so is the largest, which is taken from it;
      // then come e^x and the sum
      const relative = 1.01 * (2 * scale * (width + 3) * width + keys / 4 + 16) * UNIT;
      assertWithin(found.probabilities, expected.probabilities, (i) => relative * (expected.probabilities[i] as number), 'probabilities');
      const isGap = (i: number): boolean => i % (width + gap) >= width;
      assertWithin(found.out, expected.out, (i) => (isGap(i) ? 0 : weight * (relative + 1.01 * keys * UNIT)), 'out');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_attention gives the same bits with and without the probabilities, and leaves their place alone without', (bench) => {
  fc.assert(
    fc.property(shapes, fc.nat(), (shape, seed) => {
      const h = head(shape, seed, randomFloats);
      const without = attend(bench, h, { wanted: false });
      assertSameBits(without.out, attend(bench, h).out, 'out');
      assertSameBits(without.probabilities, untouched(h.queries * h.keys), 'probabilities');
    }),
    { seed: 2, numRuns: 100 },
  );
});

testKernels('f32_attention gives a query the same bits whichever queries are beside it', (bench) => {
  fc.assert(
    fc.property(shapes, fc.nat(), fc.nat(), fc.nat(), (shape, x, y, seed) => {
      const h = head(shape, seed, randomFloats);
      const [first = 0, end = 0] = [x % (h.queries + 1), y % (h.queries + 1)].sort((a, b) => a - b);
      const all = attend(bench, h);
      const some = attend(bench, h, { rows: [first, end] });
      const stride = h.width + h.gap;
      assertSameBits(some.out, all.out.subarray(first * stride, end * stride), 'out');
      assertSameBits(some.probabilities, all.probabilities.subarray(first * h.keys, end * h.keys), 'probabilities');
    }),
    { seed: 3, numRuns: 150 },
  );
});

testKernels('f32_attention hides no NaN and no infinity in queries, keys or values', (bench) => {
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  fc.assert(
    fc.property(shapes, fc.constantFrom('q', 'k', 'v'), fc.nat(), (shape, where, seed) => {
      const whole = head({ ...shape, scale: 0.125, weight: 1 }, seed, randomIntegers); // no score is so low that e^x is 0
      const stride = where === 'q' ? whole.width + whole.gap : whole.width;
      const h = {
        ...whole,
        [where]: randomIntegers(whole[where].length, seed + 9, specials).map((x, i) => (i % stride < whole.width ? x : 0)),
      };
      const expected = expectedOf(h);
      const found = attend(bench, h);
      // 1e-5: values are at most 2
      assertWithin(found.probabilities, expected.probabilities, 1e-5, 'probabilities');
      assertWithin(found.out, expected.out, 1e-5, 'out');
    }),
    { seed: 4, numRuns: 300 },
  );
});

testKernels('f32_attention puts all on the one key whose score is far above the others, and as much on equal ones', (bench) => {
  const shape: Shape = { queries: 2, keys: 9, width: 1, gap: 0, shift: 0, scale: 1, weight: 1 };
  const v = Float32Array.from({ length: 9 }, (_, i) => i + 1);
  const k = Float32Array.of(0, 1e30, 0, -1e30, 5, 1, 0, 0, 0);
  const { out, probabilities } = attend(bench, { ...shape, q: Float32Array.of(1e5, 0), k, v });
  assertSame(probabilities, [0, 1, 0, 0, 0, 0, 0, 0, 0, ...new Float32Array(9).fill(1 / 9)], 'probabilities');
  assertWithin(out, [2, 5], 5 * 9 * UNIT, 'out');
});

test.run();
