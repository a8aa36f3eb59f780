import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACTIVATIONS, type Activation } from '../../../src/runtime/kernels.ts';
import { assertSame, assertSameBits, assertWithin, SMALLEST, UNIT, ulp } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomBits, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const NAMES = Object.keys(ACTIVATIONS) as Activation[];
const { NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number;

function activate(bench: Bench, name: Activation, x: Float32Array, { shift = 0, inPlace = false } = {}): Float32Array {
  return bench.try(() => {
    const y = inPlace ? bench.output(x, { shift }) : bench.room(x.length, { shift });
    bench.engine.call('f32_activation', x.length, ACTIVATIONS[name], inPlace ? y : bench.input(x, { shift }), y);
    return bench.read(y, x.length);
  });
}

/** Numbers closely spaced over a range. */
function dense(from: number, to: number, count = 2 ** 16): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
}

/** Numbers of every magnitude. */
const everyMagnitude = randomBits(2 ** 16, 1).filter(Number.isFinite);

/**
 * Largest errors, absolute, as they follow from assembly/math.ts: erf within 4e-7, tanh within 2e-7, e^x within 2 ulp, and a rounding for
 * each operation on the way to the result. tanh' is at most 1, and the argument of tanh is off by 3 roundings of what is below 10 where
 * tanh is not 1.
 */
const BOUNDS: Readonly<Record<Activation, (x: number) => number>> = {
  none: () => 0,
  relu: () => 0,
  gelu: (x) => Math.abs(x / 2) * (4e-7 + 2 * UNIT) + UNIT * Math.max(x, 0) + SMALLEST,
  geluTanh: (x) => Math.abs(x / 2) * (2e-7 + 4 * UNIT) + UNIT * Math.max(x, 0) + SMALLEST,
  quickGelu: (x) => sigmoidBound(x, 1.702) + SMALLEST,
  silu: (x) => sigmoidBound(x, 1) + SMALLEST,
  selu: (x) => (x > 0 ? UNIT * 1.06 * x : 1.76 * 8 * UNIT) + SMALLEST,
  sigmoid: (x) => reference.ACTIVATIONS.sigmoid(x) * (x < -87 ? 1 : UNIT * 7) + SMALLEST,
};

/**
 * x sigmoid(factor x): the argument of e^x is rounded, e^x off by 2 ulp, then come a sum, a division and a product; 0 for what is nearly
 * so.
 */
function sigmoidBound(x: number, factor: number): number {
  const y = Math.abs(reference.ACTIVATIONS.silu(factor * x) / factor);
  return y * UNIT * (8 + Math.abs(factor * x)) + (factor * x < -87 ? y : 0);
}

for (const name of NAMES) {
  testKernels(`${name} is within its error over every number`, (bench) => {
    for (const x of [dense(-12, 12), dense(-1, 1), dense(-110, -80, 2 ** 12), everyMagnitude]) {
      const expected = Float64Array.from(x, (value) => Math.fround(reference.ACTIVATIONS[name](value)));
      assertWithin(activate(bench, name, x), expected, (i) => BOUNDS[name](x[i] as number) + UNIT * Math.abs(expected[i] as number), name);
    }
  });

  testKernels(`${name} takes any count, in place too, and gives a number the same bits wherever it stands`, (bench) => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.constantFrom(...SHIFTS), fc.nat(), (count, shift, seed) => {
        const x = randomFloats(count + 4, seed, 4);
        const whole = activate(bench, name, x);
        for (let from = 0; from < 4; from++) {
          const part = x.slice(from, from + count);
          assertSameBits(activate(bench, name, part, { shift }), whole.subarray(from, from + count), `from ${from}`);
          assertSameBits(activate(bench, name, part, { shift, inPlace: true }), whole.subarray(from, from + count), 'in place');
        }
      }),
      { seed: 2, numRuns: 30 },
    );
  });

  testKernels(`${name} keeps NaN in each place and does with infinities what PyTorch does`, (bench) => {
    for (let count = 1; count <= 9; count++) {
      for (let i = 0; i < count; i++) {
        const x = randomFloats(count, i).with(i, Number.NaN);
        const y = activate(bench, name, x);
        assert.equal(
          [...y].map(Number.isNaN),
          [...x].map((_, j) => i === j),
          `NaN at ${i} of ${count}`,
        );
      }
    }
    const above = name === 'sigmoid' ? 1 : POSITIVE_INFINITY;
    const below: Partial<Record<Activation, number>> = {
      none: NEGATIVE_INFINITY,
      relu: 0,
      selu: Math.fround(-1.7580993408473766),
      sigmoid: 0,
    };
    // x sigmoid(x) and the like are -infinity * 0 there
    assertSame(activate(bench, name, Float32Array.of(POSITIVE_INFINITY, NEGATIVE_INFINITY)), [above, below[name] ?? Number.NaN]);
  });
}

testKernels('e^x is within 2 ulp', (bench) => {
  // from 18 on silu(-x) is -x / e^x: a sum and a division, each rounded once, add another ulp
  const x = dense(-87, -18);
  const y = activate(bench, 'silu', x);
  let worst = 0;
  for (const [i, value] of x.entries()) {
    const expected = value / (1 + Math.exp(-value));
    worst = Math.max(worst, Math.abs((y[i] as number) - expected) / ulp(expected));
  }
  assert.ok(worst <= 3, `${worst} ulp`);
  assert.ok(worst > 0.4, `no error at all is no measurement: ${worst} ulp`);
});

testKernels('an activation is x, 0 or its limit far from 0, whatever the magnitude', (bench) => {
  for (const x of [100, 1e4, 1e20, 3e38]) {
    for (const name of NAMES) {
      const [above, below] = activate(bench, name, Float32Array.of(x, -x)) as unknown as [number, number];
      const limits: Partial<Record<Activation, number>> = { selu: Math.fround(x * 1.0507009873554805), sigmoid: 1 };
      assertWithin([above], [limits[name] ?? x], x * UNIT * 2, `${name} of ${x}`);
      assert.is(
        Math.abs(below),
        name === 'none' ? Math.fround(x) : name === 'selu' ? Math.fround(1.7580993408473766) : 0,
        `${name} of ${-x}`,
      );
    }
  }
});

testKernels('f32_swiglu multiplies silu of the first half of a row with the second, for any width', (bench) => {
  fc.assert(
    fc.property(fc.nat({ max: 4 }), fc.nat({ max: 20 }), fc.constantFrom(...SHIFTS), fc.nat(), (rows, width, shift, seed) => {
      const x = randomFloats(rows * 2 * width, seed, 6);
      const y = bench.try(() => {
        const target = bench.room(rows * width, { shift });
        bench.engine.call('f32_swiglu', rows, width, bench.input(x, { shift }), target);
        return bench.read(target, rows * width);
      });
      const expected = reference.swiglu(x, width);
      assertWithin(y, expected, (i) => 16 * UNIT * Math.abs(expected[i] as number) + SMALLEST, 'y');
    }),
    { seed: 3, numRuns: 200 },
  );
});

testKernels('f32_swiglu hides no NaN and no infinity in either half', (bench) => {
  for (const width of [1, 4, 5]) {
    for (let i = 0; i < 2 * width; i++) {
      for (const special of [Number.NaN, POSITIVE_INFINITY, NEGATIVE_INFINITY]) {
        const x = new Float32Array(2 * width).fill(1).with(i, special);
        const y = bench.try(() => {
          const target = bench.room(width);
          bench.engine.call('f32_swiglu', 1, width, bench.input(x), target);
          return bench.read(target, width);
        });
        assertWithin(y, reference.swiglu(x, width), 1e-6, `${special} at ${i} of ${2 * width}`);
      }
    }
  }
});

test.run();
