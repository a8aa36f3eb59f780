import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertSame, assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import { bytesOfPanel, GROUP, groupsOf, packIntegers } from '../../reference/integers.ts';
import { randomBits, randomFloats, uniform } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const size = fc.nat({ max: 29 });
const inputs = fc.oneof(size, fc.constantFrom(GROUP - 1, GROUP, GROUP + 1, 2 * GROUP + 70));
const shape = fc.record({
  n: size,
  k: inputs,
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});
const places = fc.constantFrom(1, 2, 3, 9);

/** Any integers of 8 bits. */
function randomBytes(count: number, seed: number): Int8Array {
  const next = uniform(seed);
  return Int8Array.from({ length: count }, () => Math.floor(256 * next()) - 128);
}

/** Of k numbers those of a place of a convolution's kernel, or all. */
const widthOf = (k: number, places: number): number => (k % places === 0 ? k / places : k);

const bytesOf = (n: number, k: number, width = k): number => Math.ceil(n / 8) * bytesOfPanel(k, width);

testKernels(
  'i8_pack lays integers out in panels, each the biases and, in front of every run, the scales and the sums of its columns',
  (bench) => {
    fc.assert(
      fc.property(shape, fc.boolean(), places, ({ n, k, shift, seed }, hasBias, count) => {
        const width = widthOf(k, count);
        const weight = randomBytes(n * k, seed);
        const scales = randomFloats(n * groupsOf(k), seed + 1);
        const bias = hasBias ? randomFloats(n, seed + 2) : undefined;
        bench.try(() => {
          const target = bench.output(new Uint8Array(bytesOf(n, k, width)).fill(0xa5), { shift });
          const [q, s] = [bench.input(weight, { shift }), bench.input(scales)];
          bench.engine.call('i8_pack', n, k, width, q, s, bias ? bench.input(bias) : 0, target);
          const expected = packIntegers(n, k, weight, scales, bias, width);
          assertSameBits(bench.engine.view(target, bytesOf(n, k, width)), expected, 'panels');
        });
      }),
      { seed: 1, numRuns: 200 },
    );
  },
);

testKernels('i8_quantize_pack_rows packs what i8_quantize_weights makes of the columns of numbers given by rows, to the bit', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat({ max: 5 }), fc.constantFrom(1, 2 ** -105), ({ n, k, shift, seed }, gap, unit) => {
      const x = randomFloats(k * (n + gap), seed, unit); // of which the smaller have some columns below the smallest scale
      const columns = Float32Array.from({ length: n * k }, (_, i) => x[(i % k) * (n + gap) + Math.floor(i / k)] as number);
      const { integers, scales } = quantize(bench, n, k, columns, { group: GROUP });
      bench.try(() => {
        const target = bench.output(new Uint8Array(bytesOf(n, k)).fill(0xa5), { shift });
        bench.engine.call('i8_quantize_pack_rows', n, k, bench.input(x, { shift }), n + gap, target);
        assertSameBits(bench.engine.view(target, bytesOf(n, k)), packIntegers(n, k, integers, scales, undefined), 'panels');
      });
    }),
    { seed: 6, numRuns: 200 },
  );
});

testKernels(
  'i8_quantize_pack_rows says NaN in the scale of each column of a group that has a NaN or an infinity, and in no other',
  (bench) => {
    for (const [place, special] of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].entries()) {
      const [n, k] = [7, GROUP + 3];
      const x = randomFloats(n * k, place);
      const [row, column] = [GROUP + place, 2 * place + 1];
      x[row * n + column] = special;
      bench.try(() => {
        const target = bench.output(new Uint8Array(bytesOf(n, k)));
        bench.engine.call('i8_quantize_pack_rows', n, k, bench.input(x), n, target);
        const scales = new Float32Array(new Uint8Array(bench.engine.view(target, bytesOf(n, k))).buffer);
        for (let group = 0; group < 2; group++) {
          const at = 8 + group * (16 + GROUP * 2);
          const found = [...scales.subarray(at, at + n)].map(Number.isNaN);
          assert.equal(
            found,
            found.map((_, j) => group === 1 && j === column),
            `${special}, group ${group}`,
          );
        }
      });
    }
  },
);

testKernels('i8_unpack gives back every bit that i8_pack was given', (bench) => {
  fc.assert(
    fc.property(shape, places, ({ n, k, shift, seed }, count) => {
      const width = widthOf(k, count);
      const weight = randomBytes(n * k, seed);
      const [scales, bias] = [randomBits(n * groupsOf(k), seed + 1), randomBits(n, seed + 2)];
      bench.try(() => {
        const packed = bench.engine.allocate(bytesOf(n, k, width));
        bench.engine.call('i8_pack', n, k, width, bench.input(weight), bench.input(scales), bench.input(bias), packed);
        const q = bench.output(new Int8Array(n * k), { shift });
        const [s, b] = [bench.room(scales.length, { shift }), bench.room(n, { shift })];
        bench.engine.call('i8_unpack', n, k, width, packed, q, s, b);
        assertSameBits(bench.engine.view(q, n * k), weight, 'integers');
        assertSameBits(bench.read(s, scales.length), scales, 'scales');
        assertSameBits(bench.read(b, n), bias, 'bias');
      });
    }),
    { seed: 2, numRuns: 100 },
  );
});

/** The integers and scales of x (n, k), so many numbers a scale. */
function quantize(
  bench: Bench,
  n: number,
  k: number,
  x: Float32Array,
  { shift = 0, group = Math.max(1, k) }: { shift?: number; group?: number } = {},
) {
  return bench.try(() => {
    const count = n * Math.ceil(k / group);
    const [q, scales] = [bench.output(new Int8Array(n * k), { shift }), bench.room(count, { shift })];
    bench.engine.call('i8_quantize_weights', n, k, group, bench.input(x, { shift }), q, scales);
    return {
      integers: new Int8Array(bench.engine.view(q, n * k)),
      scales: bench.read(scales, count),
    };
  });
}

testKernels('i8_quantize_weights is within half a step of every weight, its scale the largest magnitude of its group / 127', (bench) => {
  fc.assert(
    fc.property(shape, fc.integer({ min: -95, max: 120 }), fc.integer({ min: 1, max: 40 }), ({ n, k, shift, seed }, exponent, group) => {
      const x = randomFloats(n * k, seed, 2 ** exponent);
      const { integers, scales } = quantize(bench, n, k, x, {
        shift,
        group,
      });
      const groups = Math.ceil(k / group);
      for (let g = 0; g < n * groups; g++) {
        const first = Math.floor(g / groups) * k + (g % groups) * group;
        const end = Math.min(first + group, (Math.floor(g / groups) + 1) * k);
        const row = x.subarray(first, end);
        const scale = scales[g] as number;
        const largest = row.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
        if (largest === 0) continue;
        assertWithin([scale], [largest / 127], (largest / 127) * UNIT, 'scale');
        const own = integers.subarray(first, end);
        assertWithin(
          Array.from(own, (q) => q * scale),
          row,
          0.5001 * scale,
          `group ${g}`,
        );
        assert.ok(own.includes(127) || own.includes(-127));
      }
    }),
    { seed: 3, numRuns: 300 },
  );
});

testKernels('i8_quantize_weights rounds ties to even, and the largest and smallest of a row to 127 and -127', (bench) => {
  const row = [127, -127, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -125.5, 0.49, -0];
  const { integers, scales } = quantize(bench, 1, row.length, Float32Array.from(row));
  assertSame(scales, [1]);
  assertSame(integers, [127, -127, 0, 2, 2, 0, -2, 126, -126, 0, 0]);
});

testKernels('i8_quantize_weights gives rows of zeros, or whose scale would be below 2^-110, zeros with the scale 1', (bench) => {
  for (const [row, isZero] of [
    [[0, -0, 0], true],
    [[2 ** -149, 0, -(2 ** -149)], true],
    [[127 * 2 ** -111, 0, 0], true],
    [[127 * 2 ** -110, 0, 0], false],
  ] as const) {
    const { integers, scales } = quantize(bench, 1, 3, Float32Array.from(row));
    assert.equal([...integers], isZero ? [0, 0, 0] : [127, 0, 0], `${row}`);
    assertSame(scales, [isZero ? 1 : 2 ** -110], `${row}`);
  }
});

testKernels('i8_quantize_weights says NaN in the scale of a row that has a NaN or an infinity, and in no other', (bench) => {
  for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (let place = 0; place < 5; place++) {
      const x = randomFloats(15, place);
      x[5 + place] = special;
      const { scales } = quantize(bench, 3, 5, x);
      assert.equal(Array.from(scales, Number.isNaN), [false, true, false], `${special} at ${place}`);
    }
  }
});

testKernels('i8_quantize_weights takes the largest floats', (bench) => {
  const largest = 3.4028234663852886e38;
  const { integers, scales } = quantize(bench, 1, 3, Float32Array.of(largest, -largest, largest / 4));
  assert.equal([...integers], [127, -127, 32]);
  assertWithin(scales, [largest / 127], (largest / 127) * UNIT, 'scale');
});

test.run();
