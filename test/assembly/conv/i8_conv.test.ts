import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { ACTIVATIONS, type Activation, PLACES_BYTES } from '../../../src/runtime/kernels.ts';
import { assertSame, assertSameBits } from '../../reference/compare.ts';
import { GROUP, groupsOf, type Head, type IntegerRow, LAYOUTS, layPixels, packIntegers, runsOf } from '../../reference/integers.ts';
import { randomFloats, uniform } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels, untouched } from '../helpers.ts';
import { outputsOf, pixelsUnder, sizesOf, type Window, windows } from './helpers.ts';

interface Convolution extends Window {
  n: number;
  /** Numbers between the outputs of one place and of the next. */
  gap: number;
  shift: number;
  /** That are widened at a time. */
  panels: number;
  pixels: IntegerRow[];
  weight: Int8Array;
  scales: Float32Array;
  bias: Float32Array;
}

interface Options {
  activation?: Activation;
  /** What is added to. */
  before?: Float32Array;
  first?: number;
  count?: number;
  padding?: number;
}

/** The integers of a pixel that every host multiplies in a form: relaxed SIMD promises signed by 0 to 127 only. */
const PROMISED: Readonly<Record<IntegerForm, readonly [least: number, most: number]>> = {
  pairs: [0, 255],
  unsigned: [0, 127],
  signed: [128, 255],
};

/** Forms that a build computes. */
const formsOf = ({ engine }: Bench): readonly IntegerForm[] => (engine.build === 'relaxed' ? ['pairs', 'unsigned', 'signed'] : ['pairs']);

const shape = fc.tuple(
  windows(fc.oneof(fc.nat({ max: 37 }), fc.constantFrom(48, 64, GROUP - 1, GROUP, GROUP + 1, GROUP + 70))),
  fc.record({
    n: fc.nat({ max: 19 }),
    gap: fc.nat({ max: 4 }),
    shift: fc.constantFrom(...SHIFTS),
    panels: fc.integer({ min: 1, max: 4 }),
  }),
);

const termsOf = ({ kernelHeight, kernelWidth, channels }: Window): number => kernelHeight * kernelWidth * channels;
const countOf = (w: Window): number => outputsOf(w).reduce((a, b) => a * b);

function make(w: Window, more: Pick<Convolution, 'n' | 'gap' | 'shift' | 'panels'>, seed: number, form: IntegerForm): Convolution {
  const next = uniform(seed);
  const [least, most] = PROMISED[form];
  const integer = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  const k = termsOf(w);
  return {
    ...w,
    ...more,
    pixels: Array.from({ length: w.height * w.width }, () => ({
      heads: Array.from({ length: groupsOf(w.channels) }, () => ({ scale: Math.fround(0.001 + next() / 50), zero: integer(0, 255) })),
      integers: Array.from({ length: w.channels }, () => (next() < 0.1 ? (next() < 0.5 ? least : most) : integer(least, most))),
    })),
    weight: Int8Array.from({ length: more.n * k }, () => (next() < 0.1 ? (next() < 0.5 ? -127 : 127) : integer(-127, 127))),
    scales: randomFloats(more.n * groupsOf(k), seed + 1, 0.02),
    bias: randomFloats(more.n, seed + 2),
  };
}

function convolution(bench: Bench, c: Convolution, form: IntegerForm, options: Options = {}): Float32Array {
  const { activation = 'none', before, first = 0, count = countOf(c) - first, padding } = options;
  const [k, ldc] = [termsOf(c), c.n + c.gap];
  return bench.try(() => {
    const y = before ? bench.output(before, c) : bench.room(count * ldc, c);
    const widened = form === 'pairs' ? runsOf(k, c.channels).reduce((sum, run) => sum + Math.ceil(run.count / 4) * 64, 0) : 0;
    const room = bench.output(new Uint8Array(PLACES_BYTES + 192 + c.panels * widened), c);
    const w = bench.input(packIntegers(c.n, k, c.weight, c.scales, c.bias, c.channels), c);
    const x = bench.input(layPixels(form, c.pixels, c.channels, padding), c);
    const operands = [LAYOUTS[form].number, c.n, ...sizesOf(c), first, count, x, w, y, ldc] as const;
    if (before) bench.engine.call('i8_conv_add', ...operands, room, c.panels);
    else bench.engine.call('i8_conv', ...operands, ACTIVATIONS[activation], room, c.panels);
    return bench.read(y, count * ldc);
  });
}

/**
 * What exact sums become in float32, by a kernel that is tested on its own: for each run sum * scale of the pixel, rounded, is an input of a product
 * with the scales of the column and the bias.
 */
function expectedOf(bench: Bench, c: Convolution): Float32Array {
  const [k, count] = [termsOf(c), countOf(c)];
  const runs = runsOf(k, c.channels);
  const y = untouched(count * (c.n + c.gap));
  const patches = Array.from({ length: count }, (_, output) => pixelsUnder(c, output).map((pixel) => c.pixels[pixel] as IntegerRow));
  for (let j = 0; j < c.n; j++) {
    const scaled = patches.flatMap((patch) =>
      runs.map(({ first, count: length }) => {
        const { heads, integers } = patch[Math.floor(first / c.channels)] as IntegerRow;
        const channel = first % c.channels;
        const { scale, zero } = heads[Math.floor(channel / GROUP)] as Head;
        let sum = 0;
        for (let i = 0; i < length; i++) sum += ((integers[channel + i] as number) - zero) * (c.weight[j * k + first + i] as number);
        return Math.fround(sum * scale);
      }),
    );
    bench.try(() => {
      const w = new Float32Array(8 + 8 * runs.length);
      w[0] = c.bias[j] as number;
      for (const [r, { first }] of runs.entries()) w[8 + 8 * r] = c.scales[j * groupsOf(k) + Math.floor(first / GROUP)] as number;
      const column = bench.room(count);
      const a = bench.input(Float32Array.from(scaled));
      bench.engine.call('f32_gemm', count, 1, runs.length, a, runs.length, bench.input(w), column, 1, ACTIVATIONS.none);
      for (const [output, value] of bench.read(column, count).entries()) y[output * (c.n + c.gap) + j] = value;
    });
  }
  return y;
}

testKernels('i8_conv is the exact sum of products of every run, made float once, in every form that the build has', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), ([w, more], seed, form) => {
      const c = make(w, more, seed, form);
      assertSame(convolution(bench, c, form), expectedOf(bench, c), form);
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('i8_conv_add adds what i8_conv gives, and an activation is applied to it', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat(), fc.constantFrom(...formsOf(bench)), ([w, more], seed, form) => {
      const c = make(w, { ...more, gap: 0 }, seed, form);
      const [alone, before] = [convolution(bench, c, form), randomFloats(countOf(c) * c.n, seed + 3)];
      assertSame(
        convolution(bench, c, form, { before }),
        alone.map((value, e) => value + (before[e] as number)),
        form,
      );
      const activated = bench.try(() => {
        const y = bench.room(alone.length);
        bench.engine.call('f32_activation', alone.length, ACTIVATIONS.gelu, bench.input(alone), y);
        return bench.read(y, alone.length);
      });
      assertSameBits(convolution(bench, c, form, { activation: 'gelu' }), activated, 'gelu');
    }),
    { seed: 2, numRuns: 150 },
  );
});

testKernels('i8_conv takes no notice of what pads pixels and lies behind them', (bench) => {
  for (const form of formsOf(bench)) {
    for (const channels of [1, 3, 7, GROUP + 2]) {
      const w = { height: 4, width: 5, channels, kernelHeight: 3, kernelWidth: 3, stride: 1 };
      const c = make(w, { n: 9, gap: 0, shift: 0, panels: 1 }, channels, form);
      for (const padding of [0, 1, 127, 128, 255]) {
        assertSameBits(convolution(bench, c, form, { padding }), convolution(bench, c, form), `${form}, ${padding}`);
      }
    }
  }
});

testKernels('i8_conv gives any run of outputs the same bits, whatever number of panels is widened at a time', (bench) => {
  for (const form of formsOf(bench)) {
    const blocks = { height: 12, width: 102, channels: 5, kernelHeight: 2, kernelWidth: 3, stride: 1 };
    const tiles = { height: 5, width: 7, channels: 9000, kernelHeight: 3, kernelWidth: 2, stride: 2 };
    for (const w of [blocks, tiles]) {
      const c = make(w, { n: 21, gap: 0, shift: 0, panels: 3 }, 5, form);
      const all = convolution(bench, c, form);
      for (const panels of [1, 2, 9]) assertSameBits(convolution(bench, { ...c, panels }, form), all, `${panels} panels`);
      for (const [first, count] of [
        [0, 1],
        [1, 5],
        [countOf(w) - 4, 4],
      ] as const) {
        const part = convolution(bench, c, form, { first, count });
        assertSameBits(part, all.slice(first * c.n, (first + count) * c.n), `${count} from ${first}`);
      }
    }
  }
});

testKernels('i8_conv makes every output NaN that sees a scale which is NaN, and of such a column, and no other', (bench) => {
  for (const form of formsOf(bench)) {
    const w = { height: 5, width: 6, channels: GROUP + 9, kernelHeight: 2, kernelWidth: 2, stride: 1 };
    const c = make(w, { n: 19, gap: 0, shift: 0, panels: 1 }, 7, form);
    (c.pixels[8] as { heads: readonly Head[] }).heads = [
      { scale: 1, zero: 0 },
      { scale: Number.NaN, zero: 0 },
    ];
    c.scales[groupsOf(termsOf(w)) * 10] = Number.NaN;
    for (const before of [undefined, new Float32Array(countOf(c) * c.n)]) {
      for (const [e, x] of convolution(bench, c, form, before && { before }).entries()) {
        const isNone = pixelsUnder(c, Math.floor(e / c.n)).includes(8) || e % c.n === 10;
        assert.is(Number.isNaN(x), isNone, `${form}, element ${e}`);
      }
    }
  }
});

testKernels('i8_conv is the same to the bit in every form', (bench) => {
  // integers of 0 to 127 as they are, and 128 more of each with a zero point 128 higher, say the same numbers
  fc.assert(
    fc.property(shape, fc.nat(), ([w, more], seed) => {
      const c = make(w, more, seed, 'unsigned');
      const moved = (by: number): Convolution => ({
        ...c,
        pixels: c.pixels.map(({ heads, integers }) => ({
          heads: heads.map(({ scale, zero }) => ({ scale, zero: (zero & 127) + by })),
          integers: integers.map((q) => q + by),
        })),
      });
      const expected = convolution(bench, moved(0), 'pairs');
      assertSameBits(convolution(bench, moved(128), 'pairs'), expected, 'pairs');
      if (bench.engine.build === 'simd') return;
      assertSameBits(convolution(bench, moved(0), 'unsigned'), expected, 'unsigned');
      assertSameBits(convolution(bench, moved(128), 'signed'), expected, 'signed');
    }),
    { seed: 6, numRuns: 80 },
  );
});

test.run();
