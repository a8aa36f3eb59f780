import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { ACTIVATIONS, type Activation } from '../../../src/runtime/kernels.ts';
import { assertSame, assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import { GROUP, groupsOf, type Head, type IntegerRow, integerProducts, LAYOUTS, layRows, packIntegers } from '../../reference/integers.ts';
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

type Shape = Pick<Product, 'n' | 'k' | 'gap' | 'shift' | 'panels'> & {
  m: number;
};

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
      heads: Array.from({ length: groupsOf(k) }, () => ({
        scale: Math.fround(0.001 + next() / 50),
        zero: integer(0, 255),
      })),
      integers: Array.from({ length: k }, () => (next() < 0.1 ? (next() < 0.5 ? least : most) : integer(least, most))),
    })),
    weight: Int8Array.from({ length: n * k }, () => (next() < 0.1 ? (next() < 0.5 ? -127 : 127) : integer(-127, 127))),
    scales: randomFloats(n * groupsOf(k), seed + 1, 0.02),
    bias: randomFloats(n, seed + 2),
  };
}

const size = fc.nat({ max: 27 });
/** Less than a group, and some, whole and not. */
const inputs = fc.oneof(size, fc.constantFrom(GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 2 * GROUP + 70));
const shape = fc.record({
  m: size,
  n: size,
  k: inputs,
  gap: fc.nat({ max: 4 }),
  shift: fc.constantFrom(...SHIFTS),
  panels: fc.integer({ min: 1, max: 5 }),
});

/** Floats of a block of rows, which the room begins with. */
const SUMS = 48;

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
    const room = bench.room(SUMS + (form === 'pairs' ? panels * Math.ceil(k / 4) * 16 : 0), { shift });
    const operands = [LAYOUTS[form].number, rows.length, n, k, heads, a, w, c, ldc] as const;
    if (add) bench.engine.call('i8_gemm_add', ...operands, bench.input(add.scale, { shift }), room, panels);
    else bench.engine.call('i8_gemm', ...operands, ACTIVATIONS[activation], room, panels);
    return bench.read(c, count);
  });
}

/**
 * What exact sums become in float32, by a kernel that is tested on its own: for each group sum * scale of the row, rounded, is an input of a product
 * with the scales of the column and the bias.
 */
function expectedOf(bench: Bench, p: Product, add?: Options['add']): Float32Array {
  const { n, k, gap, rows } = p;
  const ldc = n + gap;
  const groups = groupsOf(k);
  const sums = integerProducts(rows, p.weight, n, k);
  const c = add ? add.before.slice() : untouched(rows.length * ldc);
  for (let j = 0; j < n; j++) {
    bench.try(() => {
      const scaled = rows.flatMap(({ heads }, row) =>
        heads.map(({ scale }, g) => Math.fround((sums[(row * n + j) * groups + g] as number) * scale)),
      );
      const a = Float32Array.from(scaled);
      const w = new Float32Array(8 + 8 * groups);
      w[0] = p.bias[j] as number;
      for (let g = 0; g < groups; g++) w[8 + 8 * g] = p.scales[j * groups + g] as number;
      const column = Float32Array.from(rows, (_, row) => c[row * ldc + j] as number);
      const [x, packed, y] = [bench.input(a), bench.input(w), bench.output(column)];
      if (add) bench.engine.call('f32_gemm_add', rows.length, 1, groups, x, groups, packed, y, 1, bench.input(add.scale.slice(j, j + 1)));
      else bench.engine.call('f32_gemm', rows.length, 1, groups, x, groups, packed, y, 1, ACTIVATIONS.none);
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

testKernels(
  'i8_gemm is the bias and, for each group, scale of the row * scale of the column * sum, within the rounding of three operations each',
  (bench) => {
    fc.assert(
      fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), (s, seed, form) => {
        const p = product({ ...s, gap: 0 }, seed, form);
        const groups = groupsOf(p.k);
        const terms = integerProducts(p.rows, p.weight, p.n, p.k).map((sum, e) => {
          const { heads } = p.rows[Math.floor(e / (p.n * groups))] as IntegerRow;
          return sum * (heads[e % groups] as Head).scale * (p.scales[e % (p.n * groups)] as number);
        });
        const termsOf = (e: number): Float64Array => terms.subarray(e * groups, (e + 1) * groups);
        const cells = Array.from({ length: p.rows.length * p.n }, (_, e) => e);
        const expected = cells.map((e) => termsOf(e).reduce((sum, x) => sum + x, p.bias[e % p.n] as number));
        const scaled = cells.map((e) =>
          termsOf(e).reduce((sum, x) => sum + Math.abs(x), groups > 1 ? Math.abs(p.bias[e % p.n] as number) : 0),
        );
        assertWithin(
          gemm(bench, p, form),
          expected,
          (e) => 1.01 * UNIT * ((2 + groups) * (scaled[e] as number) + Math.abs(expected[e] as number)),
          form,
        );
      }),
      { seed: 2, numRuns: 200 },
    );
  },
);

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
      [7, GROUP + 5],
    ] as const) {
      const p = product({ m, n: 9, k, gap: 0, shift: 0, panels: 1 }, m, form);
      const { heads, integers } = layRows(form, p.rows, k);
      const found = bench.try(() => {
        const operands = [bench.input(packIntegers(p.n, k, p.weight, p.scales, p.bias)), bench.room(m * p.n), p.n] as const;
        const rest = [ACTIVATIONS.none, bench.room(SUMS + Math.ceil(k / 4) * 16), 1] as const;
        bench.engine.call('i8_gemm', LAYOUTS[form].number, m, p.n, k, bench.input(heads), bench.inputAtEnd(integers), ...operands, ...rest);
        return bench.read(operands[1], m * p.n);
      });
      assertSame(found, expectedOf(bench, p), form);
    }
  }
});

testKernels('i8_gemm is exact where sums are as large as they get, and where rows are more than one block', (bench) => {
  for (const form of formsOf(bench)) {
    for (const [m, n, k] of [
      [3, 9, 65536],
      [530, 17, 1030],
      [90, 9, 8000],
    ] as const) {
      const p = product({ m, n, k, gap: 1, shift: 4, panels: 2 }, k, form);
      const [least, most] = PROMISED[form];
      const extreme: IntegerRow = {
        heads: new Array(groupsOf(k)).fill({
          scale: 1,
          zero: form === 'signed' ? 0 : 255,
        }),
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
    const p = product({ m: 17, n: 29, k: GROUP + 21, gap: 0, shift: 0, panels: 4 }, 5, form);
    const all = gemm(bench, p, form);
    for (const panels of [1, 2, 3, 9]) assertSameBits(gemm(bench, { ...p, panels }, form), all, `${panels} panels`);
    for (const first of [0, 1, 5, 6, 16]) {
      assertSameBits(gemm(bench, { ...p, rows: p.rows.slice(first) }, form), all.slice(first * p.n), `from row ${first}`);
    }
    for (const from of [0, 8, 24]) {
      const n = Math.min(8, p.n - from);
      const [scales, bias] = [p.scales.slice(2 * from, 2 * (from + n)), p.bias.slice(from, from + n)];
      const part = gemm(
        bench,
        {
          ...p,
          n,
          scales,
          bias,
          weight: p.weight.slice(from * p.k, (from + n) * p.k),
        },
        form,
      );
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
      const zeros = (row: IntegerRow, of: (zero: number) => number): Head[] =>
        row.heads.map(({ scale, zero }) => ({ scale, zero: of(zero) }));
      const low = {
        ...p,
        rows: p.rows.map((row) => ({
          ...row,
          heads: zeros(row, (zero) => zero & 127),
        })),
      };
      const high = {
        ...p,
        rows: low.rows.map((row) => ({
          heads: zeros(row, (zero) => zero + 128),
          integers: row.integers.map((q) => q + 128),
        })),
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

testKernels('i8_gemm makes every product of a row NaN that has a scale which is NaN, and of such a column, and no other', (bench) => {
  for (const form of formsOf(bench)) {
    for (const activation of ['none', 'relu', 'gelu'] as const) {
      const p = product({ m: 8, n: 19, k: GROUP + 9, gap: 0, shift: 0, panels: 1 }, 7, form);
      const heads = [
        { scale: 1, zero: 0 },
        { scale: Number.NaN, zero: 0 },
      ];
      p.rows = p.rows.map((row, i) => (i === 3 ? { heads, integers: row.integers.map(() => 0) } : row));
      p.scales[2 * 10] = Number.NaN;
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
          if (activation === 'gelu') bench.engine.call('f32_rough_gelu', plain.length, bench.input(plain), y);
          else bench.engine.call('f32_activation', plain.length, ACTIVATIONS[activation], bench.input(plain), y);
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
