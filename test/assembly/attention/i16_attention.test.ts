import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertSame, assertSameBits, assertWithin } from '../../reference/compare.ts';
import { randomFloats, randomIntegers } from '../../reference/random.ts';
import { type Bench, testKernels, untouched } from '../helpers.ts';
import { expectedOf, type Head, head, shapes } from './helpers.ts';

/** As the library takes it for heads of 64. */
const MOST = 4095;

const keyBytes = (keys: number, width: number): number => 16 + Math.ceil(keys / 8) * Math.ceil(width / 2) * 32;

function attend(bench: Bench, h: Head, { wanted = true, rows = [0, h.queries] as readonly [number, number] } = {}) {
  const { keys, width, gap, shift, scale, weight } = h;
  const [first, end] = rows;
  const queries = end - first;
  const stride = width + gap;
  const { engine } = bench;
  return bench.try(() => {
    const packedKeys = engine.allocate(keyBytes(keys, width));
    const packedValues = engine.allocate(keyBytes(width, keys));
    engine.call('i16_pack', keys, width, bench.input(h.k), width, MOST, packedKeys);
    engine.call('i16_pack_rows', width, keys, bench.input(h.v), width, MOST, packedValues);
    const room = bench.room(Math.ceil(width / 2) * 4 + 4 * Math.ceil(keys / 8) * 8 + Math.ceil(keys / 4) * 8);
    const out = bench.room(queries * stride, { shift });
    const probabilities = bench.room(queries * keys, { shift });
    const q = bench.input(h.q, { shift }) + first * stride * 4;
    engine.call(
      'i16_attention',
      ...([queries, keys, width, q, stride, packedKeys, packedValues, out, stride, scale, weight] as const),
      ...([MOST, room, wanted ? probabilities : 0] as const),
    );
    return { out: bench.read(out, queries * stride), probabilities: bench.read(probabilities, queries * keys) };
  });
}

const largest = (x: Float32Array): number => x.reduce((most, value) => (Number.isNaN(value) ? most : Math.max(most, Math.abs(value))), 0);

/**
 * By how much a score may be off, in units of e: queries and keys by half a step of their scales. And how much an output: by that of the scores, by
 * half a step of the values, and by half a step of each share of 1, of which there are at least 2^30 / MOST to a row of keys.
 */
function boundsOf({ keys, width, scale, weight, q, k, v }: Head): { score: number; out: number } {
  const [stepQ, stepK, stepV] = [q, k, v].map((x) => largest(x) / MOST / 2) as [number, number, number];
  const score = 1.001 * scale * width * (stepQ * largest(k) + stepK * largest(q) + stepQ * stepK) + 1e-6 * scale * width;
  const shares = keys * 0.5 * Math.max(MOST / 2 ** 30, 1 / 32767);
  return { score, out: weight * (Math.expm1(2 * score) * largest(v) + stepV + shares * largest(v) + 1e-5 * largest(v)) };
}

testKernels(
  'i16_attention is weight * softmax(scale q k^T) v to the steps of its integers, for any sizes, and writes nothing else',
  (bench) => {
    fc.assert(
      fc.property(shapes, fc.nat(), (shape, seed) => {
        const h = head(shape, seed, randomFloats);
        const expected = expectedOf(h);
        const found = attend(bench, h);
        const bounds = boundsOf(h);
        const relative = Math.expm1(2 * bounds.score) + 1e-5;
        assertWithin(found.probabilities, expected.probabilities, (i) => relative * (expected.probabilities[i] as number), 'probabilities');
        const isGap = (i: number): boolean => i % (h.width + h.gap) >= h.width;
        assertWithin(found.out, expected.out, (i) => (isGap(i) ? 0 : bounds.out), 'out');
      }),
      { seed: 1, numRuns: 300 },
    );
  },
);

testKernels('i16_attention gives the same bits with and without the probabilities, and whichever queries are beside one', (bench) => {
  fc.assert(
    fc.property(shapes, fc.nat(), fc.nat(), fc.nat(), (shape, x, y, seed) => {
      const h = head(shape, seed, randomFloats);
      const [first = 0, end = 0] = [x % (h.queries + 1), y % (h.queries + 1)].sort((a, b) => a - b);
      const stride = h.width + h.gap;
      const all = attend(bench, h);
      const without = attend(bench, h, { wanted: false });
      assertSameBits(without.out, all.out, 'out');
      assertSameBits(without.probabilities, untouched(h.queries * h.keys), 'probabilities');
      assertSameBits(attend(bench, h, { rows: [first, end] }).out, all.out.subarray(first * stride, end * stride), 'out of some');
    }),
    { seed: 2, numRuns: 150 },
  );
});

testKernels('i16_attention never makes a number of what is none: a row for a query, the head for a key or value', (bench) => {
  fc.assert(
    fc.property(
      shapes,
      fc.constantFrom('q', 'k', 'v'),
      fc.constantFrom(Number.NaN, Infinity, -Infinity),
      fc.nat(),
      (shape, where, bad, seed) => {
        const whole = head({ ...shape, weight: 1 }, seed, randomIntegers);
        const stride = where === 'q' ? whole.width + whole.gap : whole.width;
        const places = Array.from(whole[where], (_, i) => i).filter((i) => i % stride < whole.width);
        if (places.length === 0 || whole.keys === 0 || whole.queries === 0) return;
        const place = places[seed % places.length] as number;
        const h = { ...whole, [where]: whole[where].map((x, i) => (i === place ? bad : x)) };
        const { out } = attend(bench, h);
        const outStride = whole.width + whole.gap;
        for (const [i, value] of out.entries()) {
          const row = Math.floor(i / outStride);
          if (i % outStride < whole.width && (where !== 'q' || row === Math.floor(place / stride)))
            assert.ok(Number.isNaN(value), `${where} ${i}`);
        }
      },
    ),
    { seed: 3, numRuns: 200 },
  );
});

testKernels('i16_attention of zeros is the mean of the values, and of equal values these', (bench) => {
  const shape = { queries: 5, keys: 9, width: 6, gap: 1, shift: 0, scale: 1, weight: 1 };
  const zero = head(shape, 1, (count) => new Float32Array(count));
  const { out, probabilities } = attend(bench, { ...zero, v: Float32Array.from(zero.v, (_, i) => (i % 6) - 2) });
  assertWithin(probabilities, new Float64Array(45).fill(1 / 9), 1e-6);
  for (const [i, value] of out.entries()) if (i % 7 < 6) assert.ok(Math.abs(value - ((i % 7) - 2)) < 1e-3, `${i}: ${value}`);
  assertSame(
    attend(bench, zero).out.filter((_, i) => i % 7 < 6),
    new Float64Array(30),
  );
});

test.run();
