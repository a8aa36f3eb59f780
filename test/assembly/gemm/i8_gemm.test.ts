import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { ACTIVATIONS, type Activation } from '../../../src/runtime/kernels.ts';
import { assertSame, assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import { type IntegerRow, integerProduct, LAYOUTS, layRows, packIntegers } from '../../reference/integers.ts';
import { randomFloats, uniform } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels, untouched } from '../helpers.ts';

/** c (m, n) of rows (m, k) and weight (n, k), with `gap` numbers between the rows of c. */
interface Product {
  n: number;
  k: number;
  gap: number;
  shift: number;
  /** Panels that are widened at a time. */
  panels: number;
  rows: readonly IntegerRow[];
  weight: Int8Array;
  scales: Float32Array;
  bias: Float32Array;
}

type Shape = Pick<Product, 'n' | 'k' | 'gap' | 'shift' | 'panels'> & { m: number };

/** The integers of a row that every host multiplies in a form: relaxed SIMD promises signed by 0 to 127 only. */
const PROMISED: Readonly<Record<IntegerForm, readonly [least: number, most: number]>> = {
  pairs: [0, 255],
  unsigned: [0, 127],
  signed: [128, 255],
};

/** Forms that a build computes. */
const formsOf = ({ engine }: Bench): readonly IntegerForm[] => (engine.build === 'relaxed' ? ['pairs', 'unsigned', 'signed'] : ['pairs']);

function product({ m, ...shape }: Shape, seed: number, form: IntegerForm): Product {
  const { n, k } = shape;
  const next = uniform(seed);
  const [least, most] = PROMISED[form];
  const integer = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    ...shape,
    rows: Array.from({ length: m }, () => ({
      scale: Math.fround(0.001 + next() / 50),
      zero: integer(0, 255),
      integers: Array.from({ length: k }, () => (next() < 0.1 ? (next() < 0.5 ? least : most) : integer(least, most))),
    })),
    weight: Int8Array.from({ length: n * k }, () => (next() < 0.1 ? (next() < 0.5 ? -127 : 127) : integer(-127, 127))),
    scales: randomFloats(n, seed + 1, 0.02),
    bias: randomFloats(n, seed + 2),
  };
}

const size = fc.nat({ max: 27 });
const shape = fc.record({
  m: size,
  n: size,
  k: size,
  gap: fc.nat({ max: 4 }),
  shift: fc.constantFrom(...SHIFTS),
  panels: fc.integer({ min: 1, max: 5 }),
});

interface Options {
  activation?: Activation;
  /** What is there before, and the scale of the product that is added to it. */
  add?: { before: Float32Array; scale: Float32Array };
  padding?: number;
}

function gemm(bench: Bench, p: Product, form: IntegerForm, { activation = 'none', add, padding }: Options = {}): Float32Array {
  const { n, k, gap, shift, panels, rows } = p;
  const ldc = n + gap;
  const count = rows.length * ldc;
  const laid = layRows(form, rows, k, padding);
  return bench.try(() => {
    const heads = bench.input(laid.heads, { shift });
    const a = bench.input(laid.integers, { shift });
    const w = bench.input(packIntegers(n, k, p.weight, p.scales, p.bias), { shift });
    const c = add ? bench.output(add.before, { shift }) : bench.room(count, { shift });
    const room = form === 'pairs' ? bench.room(panels * Math.ceil(k / 4) * 16, { shift }) : 0;
    const operands = [LAYOUTS[form].number, rows.length, n, k, heads, a, w, c, ldc] as const;
    if (add) bench.engine.call('i8_gemm_add', ...operands, bench.input(add.scale, { shift }), room, panels);
    else bench.engine.call('i8_gemm', ...operands, ACTIVATIONS[activation], room, panels);
    return bench.read(c, count);
  });
}

/**
 * What exact sums become in float32, by a kernel that is tested on its own: sum * scale of the row, rounded, is the one input of a product with
 * the scale of the column and the bias.
 */
function expectedOf(bench: Bench, p: Product, add?: Options['add']): Float32Array {
  const { n, k, gap, rows } = p;
  const ldc = n + gap;
  const sums = integerProduct(rows, p.weight, n, k);
  const c = add ? add.before.slice() : untouched(rows.length * ldc);
  for (let j = 0; j < n; j++) {
    bench.try(() => {
      const a = Float32Array.from(rows, ({ scale }, row) => Math.fround(Math.fround(sums[row * n + j] as number) * scale));
      const w = Float32Array.from({ length: 16 });
      w[0] = p.bias[j] as number;
      w[8] = p.scales[j] as number;
      const column = Float32Array.from(rows, (_, row) => c[row * ldc + j] as number);
      const [x, packed, y] = [bench.input(a), bench.input(w), bench.output(column)];
      if (add) bench.engine.call('f32_gemm_add', rows.length, 1, 1, x, 1, packed, y, 1, bench.input(add.scale.slice(j, j + 1)));
      else bench.engine.call('f32_gemm', rows.length, 1, 1, x, 1, packed, y, 1, ACTIVATIONS.none);
      for (const [row, value] of bench.read(y, rows.length).entries()) c[row * ldc + j] = value;
    });
  }
  return c;
}

testKernels('i8_gemm is the exact sum of products, made float once, in every form that the build has', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), (s, seed, form) => {
      const p = product(s, seed, form);
      assertSame(gemm(bench, p, form), expectedOf(bench, p), form);
    }),
    { seed: 1, numRuns: 400 },
  );
});

testKernels('i8_gemm is scale of the row * scale of the column * sum + bias, within the rounding of three operations', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), (s, seed, form) => {
      const p = product({ ...s, gap: 0 }, seed, form);
      const sums = integerProduct(p.rows, p.weight, p.n, p.k);
      const scaled = sums.map((sum, e) => sum * (p.rows[Math.floor(e / p.n)] as IntegerRow).scale * (p.scales[e % p.n] as number));
      const expected = scaled.map((x, e) => x + (p.bias[e % p.n] as number));
      assertWithin(
        gemm(bench, p, form),
        expected,
        (e) => 1.01 * UNIT * (3 * Math.abs(scaled[e] as number) + Math.abs(expected[e] as number)),
        form,
      );
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('i8_gemm_add adds the scaled product to what is there, and leaves the gaps', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), (s, seed, form) => {
      const p = product(s, seed, form);
      const add = { before: randomFloats(s.m * (s.n + s.gap), seed + 3), scale: randomFloats(s.n, seed + 4, 2) };
      assertSame(gemm(bench, p, form, { add }), expectedOf(bench, p, add), form);
    }),
    { seed: 3, numRuns: 300 },
  );
});

testKernels('i8_gemm takes no notice of what pads rows and blocks', (bench) => {
  for (const form of formsOf(bench)) {
    const p = product({ m: 7, n: 11, k: 6, gap: 0, shift: 0, panels: 1 }, 4, form);
    for (const padding of [0, 1, 127, 128, 255])
      assertSameBits(gemm(bench, p, form, { padding }), gemm(bench, p, form), `${form}, ${padding}`);
  }
});

testKernels('i8_gemm reads nothing behind its rows', (bench) => {
  for (const form of formsOf(bench)) {
    for (const [m, k] of [
      [1, 1],
      [5, 4],
      [6, 7],
      [12, 8],
      [13, 13],
    ] as const) {
      const p = product({ m, n: 9, k, gap: 0, shift: 0, panels: 1 }, m, form);
      const { heads, integers } = layRows(form, p.rows, k);
      const found = bench.try(() => {
        const operands = [bench.input(packIntegers(p.n, k, p.weight, p.scales, p.bias)), bench.room(m * p.n), p.n] as const;
        const rest = [ACTIVATIONS.none, bench.room(Math.ceil(k / 4) * 16), 1] as const;
        bench.engine.call('i8_gemm', LAYOUTS[form].number, m, p.n, k, bench.input(heads), bench.inputAtEnd(integers), ...operands, ...rest);
        return bench.read(operands[1], m * p.n);
      });
      assertSame(found, expectedOf(bench, p), form);
    }
  }
});

testKernels('i8_gemm is exact where sums are as large as they get, and where rows no longer fit in the cache', (bench) => {
  for (const form of formsOf(bench)) {
    for (const [m, n, k] of [
      [3, 9, 65536],
      [70, 17, 1030],
      [40, 9, 8000],
    ] as const) {
      const p = product({ m, n, k, gap: 1, shift: 4, panels: 2 }, k, form);
      const [least, most] = PROMISED[form];
      const extreme: IntegerRow = {
        scale: 1,
        zero: form === 'signed' ? 0 : 255,
        integers: new Array(k).fill(form === 'signed' ? most : least),
      };
      p.rows = [extreme, ...p.rows.slice(1)];
      p.weight.fill(127, 0, k);
      p.weight.fill(-127, k, 2 * k);
      assertSame(gemm(bench, p, form), expectedOf(bench, p), `${form}, ${m} x ${n} x ${k}`);
    }
  }
});

testKernels('i8_gemm gives rows and panels the same bits on their own, whatever number of panels is widened at a time', (bench) => {
  for (const form of formsOf(bench)) {
    const p = product({ m: 17, n: 29, k: 21, gap: 0, shift: 0, panels: 4 }, 5, form);
    const all = gemm(bench, p, form);
    for (const panels of [1, 2, 3, 9]) assertSameBits(gemm(bench, { ...p, panels }, form), all, `${panels} panels`);
    for (const first of [0, 1, 5, 6, 16]) {
      assertSameBits(gemm(bench, { ...p, rows: p.rows.slice(first) }, form), all.slice(first * p.n), `from row ${first}`);
    }
    for (const from of [0, 8, 24]) {
      const n = Math.min(8, p.n - from);
      const [scales, bias] = [p.scales.slice(from, from + n), p.bias.slice(from, from + n)];
      const part = gemm(bench, { ...p, n, scales, bias, weight: p.weight.slice(from * p.k, (from + n) * p.k) }, form);
      for (let row = 0; row < p.rows.length; row++) {
        assertSameBits(
          part.subarray(row * n, (row + 1) * n),
          all.slice(row * p.n + from, row * p.n + from + n),
          `row ${row}, column ${from}`,
        );
      }
    }
  }
});

testKernels('i8_gemm is the same to the bit in every form', (bench) => {
  // integers of 0 to 127 as they are, and 128 more of each with a zero point 128 higher, say the same numbers
  fc.assert(
    fc.property(shape, fc.nat(), (s, seed) => {
      const p = product(s, seed, 'unsigned');
      const low = { ...p, rows: p.rows.map((row) => ({ ...row, zero: row.zero & 127 })) };
      const high = {
        ...p,
        rows: low.rows.map(({ scale, zero, integers }) => ({ scale, zero: zero + 128, integers: integers.map((q) => q + 128) })),
      };
      const expected = gemm(bench, low, 'pairs');
      assertSameBits(gemm(bench, high, 'pairs'), expected, 'pairs');
      if (bench.engine.build === 'simd') return;
      assertSameBits(gemm(bench, low, 'unsigned'), expected, 'unsigned');
      assertSameBits(gemm(bench, high, 'signed'), expected, 'signed');
    }),
    { seed: 6, numRuns: 100 },
  );
});

testKernels('i8_gemm makes every product of a row whose scale is NaN NaN, and of a column whose scale is, and no other', (bench) => {
  for (const form of formsOf(bench)) {
    for (const activation of ['none', 'relu', 'gelu'] as const) {
      const p = product({ m: 8, n: 19, k: 9, gap: 0, shift: 0, panels: 1 }, 7, form);
      p.rows = p.rows.map((row, i) => (i === 3 ? { ...row, scale: Number.NaN, zero: 0, integers: row.integers.map(() => 0) } : row));
      p.scales[10] = Number.NaN;
      const c = gemm(bench, p, form, { activation });
      for (const [e, x] of c.entries()) {
        assert.is(Number.isNaN(x), Math.floor(e / p.n) === 3 || e % p.n === 10, `${form}, ${activation}, element ${e}`);
      }
    }
  }
});

for (const activation of Object.keys(ACTIVATIONS) as Activation[]) {
  testKernels(`i8_gemm with ${activation} is the product and then ${activation}, to the bit`, (bench) => {
    fc.assert(
      fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), (s, seed, form) => {
        const p = product(s, seed, form);
        const plain = gemm(bench, p, form);
        const activated = bench.try(() => {
          const y = bench.room(plain.length);
          bench.engine.call('f32_activation', plain.length, ACTIVATIONS[activation], bench.input(plain), y);
          return bench.read(y, plain.length);
        });
        const ldc = p.n + p.gap;
        assertSameBits(
          gemm(bench, p, form, { activation }),
          plain.map((x, i) => (i % ldc < p.n ? (activated[i] as number) : x)),
          activation,
        );
      }),
      { seed: 8, numRuns: 30 },
    );
  });
}

test.run();
