import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { assertSame, assertSameBits, assertWithin } from '../../reference/compare.ts';
import { bytesOfHeads, bytesOfRows, groupsOf, LAYOUTS } from '../../reference/integers.ts';
import { randomFloats, randomIntegers } from '../../reference/random.ts';
import { type Bench, testKernels, untouched } from '../helpers.ts';
import { expectedOf, type Head, head, shapes } from './helpers.ts';

const packedFloats = (keys: number, width: number): number => Math.ceil(keys / 8) * (8 + groupsOf(width) * 16 + Math.ceil(width / 4) * 8);

/** In floats: what one call needs for a strip of queries, its scores and shares, and the products. */
function roomFloats(form: IntegerForm, keys: number, width: number): number {
  const { rows } = LAYOUTS[form];
  const strip = form === 'pairs' ? 4 * rows : 2 * rows;
  const panels = Math.ceil(keys / 8);
  const queries = (bytesOfHeads(form, strip, width) + bytesOfRows(form, strip, width)) / 4 + strip * panels * 8;
  const shares = strip * (groupsOf(keys) * 2 + Math.ceil(keys / 4) * 2);
  const widened = 4 * 16 * Math.ceil(Math.max(width, keys) / 4);
  return queries + shares + 48 + (form === 'pairs' ? widened : 0);
}

interface Options {
  readonly form?: IntegerForm;
  readonly wanted?: boolean;
  readonly rows?: readonly [number, number];
}

function attend(bench: Bench, h: Head, { form = 'pairs', wanted = true, rows = [0, h.queries] }: Options = {}) {
  const { keys, width, gap, shift, scale, weight } = h;
  const [first, end] = rows;
  const queries = end - first;
  const stride = width + gap;
  const { engine } = bench;
  return bench.try(() => {
    const packedKeys = bench.room(packedFloats(keys, width));
    const packedValues = bench.room(packedFloats(width, keys));
    const column = bench.room(2 * width);
    engine.call('i8_pack_keys', keys, width, bench.input(h.k), width, column, packedKeys);
    engine.call('i8_quantize_pack_rows', width, keys, bench.input(h.v), width, packedValues);
    const room = bench.room(roomFloats(form, keys, width));
    const out = bench.room(queries * stride, { shift });
    const probabilities = bench.room(queries * keys, { shift });
    const q = bench.input(h.q, { shift }) + first * stride * 4;
    engine.call(
      'i8_attention',
      ...([LAYOUTS[form].number, queries, keys, width, q, stride, packedKeys, packedValues, out, stride] as const),
      ...([scale, weight, room, wanted ? probabilities : 0] as const),
    );
    return { out: bench.read(out, queries * stride), probabilities: bench.read(probabilities, queries * keys) };
  });
}

const largest = (x: Float32Array): number => x.reduce((most, value) => (Number.isNaN(value) ? most : Math.max(most, Math.abs(value))), 0);

/**
 * By how much a score may be off, in units of e: queries by half a step of 255 between their ends, keys by half a step of 127 to the
 * largest that is left without their mean, at most twice the largest. And how
 * much an output: by that of the scores, by half a step of 127 of the values, and by half a step of 16383 of each share.
 */
function boundsOf({ keys, width, scale, weight, q, k, v }: Head): { score: number; out: number } {
  const [stepQ, stepK, stepV] = [largest(q) / 255, largest(k) / 127, largest(v) / 254];
  const score = 1.001 * scale * width * (stepQ * largest(k) + stepK * largest(q) + stepQ * stepK) + 1e-6 * scale * width;
  const shares = (keys * 0.5) / 16383;
  return { score, out: weight * (Math.expm1(2 * score) * largest(v) + stepV + shares * largest(v) + 1e-5 * largest(v)) };
}

testKernels(
  'i8_attention is weight * softmax(scale q k^T) v to the steps of its integers, for any sizes, and writes nothing else',
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

testKernels('i8_attention gives the same bits in the form that this host multiplies as in pairs, which every host does', (bench) => {
  fc.assert(
    fc.property(shapes, fc.constantFrom(0, 130), fc.nat(), (shape, wider, seed) => {
      const h = head({ ...shape, width: shape.width + wider }, seed, randomFloats);
      const expected = attend(bench, h);
      const found = attend(bench, h, { form: bench.engine.integerForm });
      assertSameBits(found.out, expected.out, 'out');
      assertSameBits(found.probabilities, expected.probabilities, 'probabilities');
    }),
    { seed: 4, numRuns: 150 },
  );
});

testKernels('i8_attention gives the same bits with and without the probabilities, and whichever queries are beside one', (bench) => {
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

testKernels('i8_attention never makes a number of what is none: a row for a query, the head for a key, a column for a value', (bench) => {
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
          const isOf = { q: row === Math.floor(place / stride), k: true, v: i % outStride === place % stride }[where];
          if (i % outStride < whole.width && isOf) assert.ok(Number.isNaN(value), `${where} ${i}`);
        }
      },
    ),
    { seed: 3, numRuns: 200 },
  );
});

testKernels('i8_attention of zeros is the mean of the values, and of equal values these', (bench) => {
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
