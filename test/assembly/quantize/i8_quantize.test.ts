import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { assertSame, assertWithin } from '../../reference/compare.ts';
import { bytesOfHeads, bytesOfRows, GROUP, LAYOUTS, readRows } from '../../reference/integers.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const FORMS = Object.keys(LAYOUTS) as IntegerForm[];

/** Half a step, and what float32 adds to it. */
const BOUND = 0.5001;

interface Options {
  form?: IntegerForm;
  gap?: number;
  shift?: number;
  rotated?: boolean;
}

type Groups = ReturnType<typeof readRows>[number];

/** Quantises x (rows, columns), NaN standing between its rows, and reads what came of it: the groups of all rows. */
function quantize(
  bench: Bench,
  x: Float32Array,
  rows: number,
  columns: number,
  { form = 'pairs', gap = 0, shift = 0, rotated = false }: Options = {},
): Groups {
  const stride = columns + gap;
  const spaced = new Float32Array(rows * stride).fill(Number.NaN);
  for (let row = 0; row < rows; row++) spaced.set(x.subarray(row * columns, (row + 1) * columns), row * stride);
  return bench.try(() => {
    const bytes = bytesOfRows(form, rows, columns);
    const headBytes = bytesOfHeads(form, rows, columns);
    const heads = bench.output(new Uint8Array(headBytes), { shift });
    const y = bench.output(new Uint8Array(bytes), { shift });
    const from = bench.input(spaced, { shift });
    const room = rotated ? bench.room(columns, { shift }) : 0;
    bench.engine.call('i8_quantize', LAYOUTS[form].number, rows, columns, from, stride, room, heads, y);
    return readRows(form, rows, columns, {
      heads: bench.engine.view(heads, headBytes).slice(),
      integers: bench.engine.view(y, bytes).slice(),
    }).flat();
  });
}

const shape = fc.record({
  rows: fc.nat({ max: 14 }),
  columns: fc.nat({ max: 23 }),
  gap: fc.nat({ max: 3 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

/** Rows of numbers from low to high, which a row has both to the side of 0 or on either side of it. */
const range = fc.tuple(fc.constantFrom(-1, -0.3, 0, 0.5), fc.constantFrom(0, 1), fc.integer({ min: -90, max: 90 }));

function numbers(count: number, seed: number, [low, high, exponent]: readonly [number, number, number]): Float32Array {
  return randomFloats(count, seed).map((x) => (low + ((high - low) * (x + 1)) / 2) * 2 ** exponent);
}

const rowOf = (x: Float32Array, row: number, columns: number): number[] => [...x.subarray(row * columns, (row + 1) * columns)];

testKernels('i8_quantize is within half a step of every number, in every form, with gaps between rows', (bench) => {
  fc.assert(
    fc.property(shape, range, fc.constantFrom(...FORMS), ({ rows, columns, seed, ...options }, limits, form) => {
      const x = numbers(rows * columns, seed, limits);
      for (const [r, { scale, zero, values }] of quantize(bench, x, rows, columns, { ...options, form }).entries()) {
        const row = rowOf(x, r, columns);
        const [low, high] = [Math.min(0, ...row), Math.max(0, ...row)];
        assertWithin([scale], [(high - low) / 255], ((high - low) / 255) * 2 ** -22, 'scale');
        assertWithin(
          values.map((value) => value * scale),
          row,
          BOUND * scale,
          `row ${r}`,
        );
        for (const value of values) assert.ok(Number.isInteger(value) && Math.abs(value) <= 255);
        const first = form === 'pairs' ? -255 : form === 'unsigned' ? 0 : -128;
        const stored = values.map((value) => value + zero);
        assert.ok(
          stored.every((q) => q >= first && q <= first + (form === 'pairs' ? 510 : 255)),
          `${stored}`,
        );
      }
    }),
    { seed: 1, numRuns: 600 },
  );
});

testKernels('i8_quantize gives the same integers and scales in every form', (bench) => {
  fc.assert(
    fc.property(shape, range, ({ rows, columns, seed, ...options }, limits) => {
      const x = numbers(rows * columns, seed, limits);
      const [pairs, ...others] = FORMS.map((form) =>
        quantize(bench, x, rows, columns, { ...options, form }).map(({ scale, values }) => ({ scale, values })),
      );
      for (const other of others) assert.equal(other, pairs);
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('i8_quantize rounds ties to even and keeps what its integers can say exactly', (bench) => {
  // from -100 to 155, so that the scale is 1 and the zero point 100
  const row = [-100, 155, 0, -0, 0.5, 1.5, 2.5, -0.5, -1.5, 17, 154.5, 0.49, -99.51];
  const expected = [-100, 155, 0, 0, 0, 2, 2, 0, -2, 17, 154, 0, -100];
  for (const factor of [1, 2 ** -80, 2 ** 100]) {
    for (const form of FORMS) {
      const x = Float32Array.from(row, (value) => value * factor);
      const [found] = quantize(bench, x, 1, row.length, { form }) as [Groups[number]];
      assert.is(found.scale, factor, form);
      assertSame(found.values, expected, form);
    }
  }
});

testKernels('i8_quantize keeps within 0 to 255 where both ends of a row lie halfway between two integers', (bench) => {
  for (const [low, high] of [
    [-101.5, 153.5],
    [-100.5, 154.5],
    [-0.5, 254.5],
    [-254.5, 0.5],
  ] as const) {
    for (const form of FORMS) {
      const [{ scale, values }] = quantize(bench, Float32Array.of(low, high, 0), 1, 3, { form }) as [Groups[number]];
      assertWithin([scale], [1], 2 ** -22, 'scale');
      const [l = 0, h = 0, zero] = values;
      assert.ok(h - l <= 255, `${l} to ${h}`);
      assert.is(zero, 0);
      assertWithin(values, [low, high, 0], BOUND, form);
    }
  }
});

testKernels('i8_quantize gives every group of a row the scale and the integers that it has as a row of its own', (bench) => {
  fc.assert(
    fc.property(
      fc.integer({ min: GROUP - 2, max: 3 * GROUP }),
      fc.integer({ min: 1, max: 13 }),
      fc.constantFrom(...FORMS),
      (columns, rows, form) => {
        const x = numbers(rows * columns, columns, [-1, 0.5, 2]);
        x[GROUP] = 1e6; // an outlier
        const alone = Array.from({ length: rows }, (_, row) => {
          const own = x.slice(row * columns, (row + 1) * columns);
          return Array.from({ length: Math.ceil(columns / GROUP) }, (_, g) => own.slice(g * GROUP, (g + 1) * GROUP));
        }).flat();
        assert.equal(
          quantize(bench, x, rows, columns, { form }),
          alone.flatMap((group) => quantize(bench, group, 1, group.length, { form })),
        );
      },
    ),
    { seed: 3, numRuns: 60 },
  );
});

testKernels('i8_quantize makes a row of one number exact to a rounding of its scale, and of zeros zeros', (bench) => {
  for (const form of FORMS) {
    for (const value of [3.25, -7e30, 1e-30]) {
      for (const columns of [1, 2, 5, 8, 11]) {
        const x = new Float32Array(columns).fill(value);
        const [{ scale, values }] = quantize(bench, x, 1, columns, {
          form,
        }) as [Groups[number]];
        assertSame(values, new Array(columns).fill(value > 0 ? 255 : -255), form);
        assertWithin([255 * scale], [Math.abs(value)], Math.abs(value) * 2 ** -22, form);
      }
    }
    const [{ scale, values }] = quantize(bench, Float32Array.of(0, -0, 0, 0, -0), 1, 5, { form }) as [Groups[number]];
    assert.is(scale, 0);
    assertSame(values, [0, 0, 0, 0, 0], form);
  }
});

testKernels('i8_quantize says NaN in the scale of a row that has a NaN or an infinity anywhere, and in no other', (bench) => {
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const columns of [1, 3, 4, 7, 9, 12]) {
    for (const form of FORMS) {
      for (const special of specials) {
        for (let place = 0; place < columns; place++) {
          const x = randomFloats(3 * columns, place);
          x[columns + place] = special;
          const [first, second, third] = quantize(bench, x, 3, columns, {
            form,
          }) as [Groups[number], Groups[number], Groups[number]];
          assert.equal(
            [first, second, third].map(({ scale }) => Number.isNaN(scale)),
            [false, true, false],
            `${special} at ${place}`,
          );
          assert.ok(second.values.every((value) => Number.isInteger(value) && Math.abs(value) <= 255));
        }
      }
    }
  }
  // NaN with its sign, quiet and signalling
  for (const bits of [0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0xffffffff]) {
    const x = randomFloats(7, 1);
    new Uint32Array(x.buffer)[5] = bits;
    assert.ok(Number.isNaN(quantize(bench, x, 1, 7)[0]?.scale), bits.toString(16));
  }
});

testKernels('i8_quantize takes the largest numbers there are, and rows whose scale is below 2^-110 become zeros', (bench) => {
  const largest = 3.4028234663852886e38;
  const [{ scale, values }] = quantize(bench, Float32Array.of(-largest, largest, largest / 3), 1, 3) as [Groups[number]];
  assertWithin([scale], [(2 * largest) / 255], scale * 2 ** -22, 'scale');
  assertWithin(
    values.map((value) => value * scale),
    [-largest, largest, largest / 3],
    BOUND * scale,
    'values',
  );
  const least = 255 * 2 ** -110;
  for (const [top, isZero] of [
    [least * 1.0001, false],
    [least * 0.9999, true],
    [2 ** -126, true],
    [2 ** -149, true],
  ] as const) {
    const [{ scale, values }] = quantize(bench, Float32Array.of(top, 0, -0), 1, 3) as [Groups[number]];
    assert.equal([scale > 0, values], isZero ? [false, [0, 0, 0]] : [true, [255, 0, 0]], `${top}`);
  }
});

testKernels('i8_quantize of any bits: a NaN scale exactly where something is not finite, else within the bound', (bench) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(), fc.constantFrom(...FORMS), (columns, seed, form) => {
      const x = randomBits(columns, seed);
      const [{ scale, values }] = quantize(bench, x, 1, columns, {
        form,
      }) as [Groups[number]];
      assert.is(Number.isNaN(scale), !x.every(Number.isFinite));
      if (!Number.isNaN(scale)) {
        assertWithin(
          values.map((value) => value * scale),
          x,
          scale ? BOUND * scale : 2 ** -101,
          form,
        );
      }
    }),
    { seed: 4, numRuns: 1000 },
  );
});

testKernels('i8_quantize gives a row the same bits whichever rows are beside it', (bench) => {
  const columns = 13;
  const x = randomFloats(11 * columns, 1);
  for (const form of FORMS) {
    const all = quantize(bench, x, 11, columns, { form });
    for (let row = 0; row < 11; row++) {
      assert.equal(quantize(bench, x.slice(row * columns, (row + 1) * columns), 1, columns, { form }), [all[row]]);
    }
  }
});

testKernels('i8_quantize with room is i8_quantize of the rotated rows, to the bit, in every form', (bench) => {
  fc.assert(
    fc.property(
      shape,
      fc.constantFrom(0, GROUP - 1, GROUP, 3 * GROUP),
      fc.constantFrom(...FORMS),
      ({ rows, seed, ...rest }, more, form) => {
        const columns = rest.columns + more;
        const x = randomFloats(rows * columns, seed, 4);
        const rotated = bench.try(() => {
          const y = bench.room(x.length);
          bench.engine.call('f32_rotate', rows, columns, bench.input(x), y);
          return bench.read(y, x.length);
        });
        const options = { form, gap: rest.gap, shift: rest.shift };
        assert.equal(quantize(bench, x, rows, columns, { ...options, rotated: true }), quantize(bench, rotated, rows, columns, options));
      },
    ),
    { seed: 6, numRuns: 200 },
  );
});

testKernels('i8_layer_norm is i8_quantize of the rotated layer norm, to the bit, in every form', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom(0, GROUP), fc.constantFrom(...FORMS), ({ rows, shift, seed, ...rest }, more, form) => {
      const columns = rest.columns + more;
      fc.pre(columns > 0);
      const x = randomFloats(rows * columns, seed, 4);
      const [weight, bias] = [randomFloats(columns, seed + 1), randomFloats(columns, seed + 2)];
      const normalized = bench.try(() => {
        const y = bench.room(x.length);
        bench.engine.call('f32_layer_norm', rows, columns, bench.input(x), bench.input(weight), bench.input(bias), 1e-3, y);
        return bench.read(y, x.length);
      });
      const expected = quantize(bench, normalized, rows, columns, { form, rotated: true });
      bench.try(() => {
        const bytes = bytesOfRows(form, rows, columns);
        const places = [x, weight, bias].map((data) => bench.input(data, { shift })) as [number, number, number];
        const headBytes = bytesOfHeads(form, rows, columns);
        const [room, heads, y] = [
          bench.room(2 * columns, { shift }),
          bench.output(new Uint8Array(headBytes), { shift }),
          bench.output(new Uint8Array(bytes), { shift }),
        ];
        bench.engine.call('i8_layer_norm', LAYOUTS[form].number, rows, columns, ...places, 1e-3, room, heads, y);
        const found = {
          heads: bench.engine.view(heads, headBytes).slice(),
          integers: bench.engine.view(y, bytes).slice(),
        };
        assert.equal(readRows(form, rows, columns, found).flat(), expected);
      });
    }),
    { seed: 5, numRuns: 200 },
  );
});

test.run();
