import fc from 'fast-check';
import { test } from 'uvu';
import { ACTIVATIONS, type Activation, PLACES_BYTES } from '../../../src/runtime/kernels.ts';
import { assertSame, assertSameBits } from '../../reference/compare.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels, untouched } from '../helpers.ts';
import { outputsOf, pixelsUnder, sizesOf, type Window, windows } from './helpers.ts';

interface Convolution extends Window {
  n: number;
  /** Numbers between the outputs of one place and of the next. */
  gap: number;
  shift: number;
  x: Float32Array;
  weight: Float32Array;
  bias: Float32Array;
}

interface Options {
  activation?: Activation;
  /** What is added to. */
  before?: Float32Array;
  first?: number;
  count?: number;
}

const shape = fc.tuple(
  windows(fc.nat({ max: 9 })),
  fc.record({ n: fc.nat({ max: 19 }), gap: fc.nat({ max: 4 }), shift: fc.constantFrom(...SHIFTS) }),
);

const termsOf = ({ kernelHeight, kernelWidth, channels }: Window): number => kernelHeight * kernelWidth * channels;
const countOf = (w: Window): number => outputsOf(w).reduce((a, b) => a * b);

function make(w: Window, more: Pick<Convolution, 'n' | 'gap' | 'shift'>, seed: number, random = randomFloats): Convolution {
  const x = random(w.height * w.width * w.channels, seed);
  return { ...w, ...more, x, weight: random(more.n * termsOf(w), seed + 1), bias: random(more.n, seed + 2) };
}

/** The weights in the form in which products read them. */
function packed(bench: Bench, { n, weight, bias, ...w }: Convolution): number {
  const target = bench.engine.allocate(Math.ceil(n / 8) * (termsOf(w) + 1) * 32);
  bench.engine.call('f32_pack', n, termsOf(w), bench.input(weight), termsOf(w), bench.input(bias), target);
  return target;
}

function convolution(bench: Bench, c: Convolution, { activation = 'none', before, first = 0, count = countOf(c) - first }: Options = {}) {
  const ldc = c.n + c.gap;
  return bench.try(() => {
    const y = before ? bench.output(before, c) : bench.room(count * ldc, c);
    const places = bench.output(new Uint8Array(PLACES_BYTES), c);
    const operands = [c.n, ...sizesOf(c), first, count, bench.input(c.x, c), packed(bench, c), y, ldc] as const;
    if (before) bench.engine.call('f32_conv_add', ...operands, places);
    else bench.engine.call('f32_conv', ...operands, ACTIVATIONS[activation], places);
    return bench.read(y, count * ldc);
  });
}

/** A product with patches that are laid out, by kernels that are tested on their own. */
function product(bench: Bench, c: Convolution, activation: Activation = 'none'): Float32Array {
  const [count, ldc, k] = [countOf(c), c.n + c.gap, termsOf(c)];
  const patches = new Float32Array(count * k);
  const bits = new Uint32Array(c.x.buffer);
  const laid = new Uint32Array(patches.buffer);
  for (let output = 0; output < count; output++) {
    for (const [tap, pixel] of pixelsUnder(c, output).entries()) {
      laid.set(bits.subarray(pixel * c.channels, (pixel + 1) * c.channels), output * k + tap * c.channels);
    }
  }
  return bench.try(() => {
    const y = bench.room(count * ldc);
    bench.engine.call('f32_gemm', count, c.n, k, bench.input(patches), k, packed(bench, c), y, ldc, ACTIVATIONS[activation]);
    return bench.read(y, count * ldc);
  });
}

testKernels('f32_conv is f32_gemm on the patches laid out, to the bit, with an activation too', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom('none', 'relu', 'gelu'), fc.nat(), ([w, more], activation, seed) => {
      const c = make(w, more, seed);
      assertSameBits(convolution(bench, c, { activation }), product(bench, c, activation), activation);
    }),
    { seed: 1, numRuns: 400 },
  );
});

testKernels('f32_conv of any bits hides no NaN and no infinity', (bench) => {
  fc.assert(
    fc.property(shape, fc.nat(), ([w, more], seed) => {
      const c = make(w, more, seed, randomBits);
      assertSame(convolution(bench, c), product(bench, c));
    }),
    { seed: 2, numRuns: 200 },
  );
});

testKernels('f32_conv_add adds what f32_conv gives, and leaves the gaps', (bench) => {
  fc.assert(
    fc.property(shape, fc.boolean(), fc.nat(), ([w, more], isAny, seed) => {
      const c = make(w, { ...more, gap: 0 }, seed, isAny ? randomBits : randomFloats);
      const before = randomFloats(countOf(c) * c.n, seed + 3);
      const alone = convolution(bench, c);
      const spread = (of: Float32Array, gaps: Float32Array): Float32Array => {
        const wide = gaps.slice();
        for (let i = 0; i < countOf(c); i++) wide.set(of.subarray(i * c.n, (i + 1) * c.n), i * (c.n + more.gap));
        return wide;
      };
      const gaps = untouched(countOf(c) * (c.n + more.gap));
      const expected = spread(
        alone.map((value, e) => value + (before[e] as number)),
        gaps,
      );
      assertSame(convolution(bench, { ...c, gap: more.gap }, { before: spread(before, gaps) }), expected);
    }),
    { seed: 3, numRuns: 300 },
  );
});

testKernels('f32_conv gives any run of outputs the same bits, in blocks of one tile and of many', (bench) => {
  const blocks = { height: 40, width: 90, channels: 3, kernelHeight: 3, kernelWidth: 3, stride: 1 };
  const tiles = { height: 7, width: 9, channels: 4000, kernelHeight: 3, kernelWidth: 2, stride: 2 };
  for (const w of [blocks, tiles]) {
    const c = make(w, { n: 9, gap: 0, shift: 0 }, 4);
    const all = convolution(bench, c);
    assertSameBits(all, product(bench, c), 'all');
    for (const [first, count] of [
      [0, 1],
      [1, 5],
      [5, 7],
      [countOf(w) - 4, 4],
    ] as const) {
      assertSameBits(convolution(bench, c, { first, count }), all.slice(first * 9, (first + count) * 9), `${count} from ${first}`);
    }
  }
});

test.run();
