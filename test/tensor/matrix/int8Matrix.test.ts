import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../../src/errors.ts';
import type { Engine } from '../../../src/runtime/engine.ts';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { biasCorrection, InputObserver, type InputStatistics } from '../../../src/tensor/matrix/calibration.ts';
import { createMatrix } from '../../../src/tensor/matrix/createMatrix.ts';
import { dequantize, Float32Matrix } from '../../../src/tensor/matrix/floatMatrix.ts';
import { GROUP, groupsOf } from '../../../src/tensor/matrix/int8Layout.ts';
import { Int8Matrix } from '../../../src/tensor/matrix/int8Matrix.ts';
import type { Operand, QuantizedWeight } from '../../../src/tensor/matrix/packedMatrix.ts';
import { quantizeRows } from '../../../src/tensor/matrix/quantizedRows.ts';
import { rotate } from '../../../src/tensor/matrix/rotation.ts';
import { layerNorm } from '../../../src/tensor/ops.ts';
import { type Float32, placed } from '../../../src/tensor/place.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import { refuses } from '../../helpers.ts';
import { assertSameBits, assertWithin } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomFloats, uniform } from '../../reference/random.ts';
import { randomTensor } from '../helpers.ts';
import { BUILDS, on, packed, withEngine } from './helpers.ts';

/** Integers and scales. */
function quantized(outputs: number, inputs: number): QuantizedWeight {
  const next = uniform(outputs + inputs);
  return {
    integers: Int8Array.from({ length: outputs * inputs }, () => Math.floor(255 * next()) - 127),
    scales: randomFloats(outputs * groupsOf(inputs), 2).map((x) => Math.abs(x) + 0.01),
  };
}

function assertSameWeight(found: QuantizedWeight, expected: QuantizedWeight): void {
  assertSameBits(found.integers, expected.integers, 'integers');
  assertSameBits(found.scales, expected.scales, 'scales');
}

/** x (rows, inputs), each row of numbers from low to high. */
function rowsFrom(rows: number, inputs: number, low: number, high: number): Float32 {
  const data = randomFloats(rows * inputs, 5).map((x) => low + ((high - low) * (x + 1)) / 2);
  return new Tensor('float32', data, [rows, inputs]);
}

test('integers and scales are given back as they were packed, by a slice too, and stand for the weights that unpack gives', async () => {
  await withEngine({}, (engine) => {
    for (const [outputs, inputs] of [
      [1, 1],
      [8, 4],
      [13, 7],
      [17, 34],
      [9, 2 * GROUP],
      [10, GROUP + 3],
    ] as const) {
      const weight = quantized(outputs, inputs);
      const bias = randomTensor([outputs], 1);
      const make = (rotated: boolean): Int8Matrix[] => [
        new Int8Matrix(engine, outputs, inputs, { rotated }),
        new Int8Matrix(engine, outputs + 24, inputs, { rotated }).slice(24, outputs),
      ];
      for (const matrix of [...make(false), ...make(true)]) {
        matrix.packQuantized(weight, bias);
        assertSameWeight(matrix.quantized(), weight);
        const unpacked = matrix.unpack();
        assertSameBits(unpacked.bias.data, bias.data, 'bias');
        const expected = Float32Array.from(weight.integers, (q, e) => {
          const group = Math.floor(e / inputs) * groupsOf(inputs) + Math.floor((e % inputs) / GROUP);
          return q * (weight.scales[group] as number);
        });
        assertSameBits(unpacked.weight.data, matrix.quantized().rotated ? rotate(expected, inputs) : expected, 'weight');
        matrix.setBias(randomTensor([outputs], 9));
        assertSameWeight(matrix.quantized(), weight);
      }
    }
  });
});

test('other kinds of number take integers as the floats that they stand for', async () => {
  await withEngine({}, (engine) => {
    for (const dtype of ['float32', 'float16'] as const) {
      const weight = { ...quantized(13, GROUP + 7), rotated: dtype === 'float16' };
      const floats = dequantize(weight, 13, GROUP + 7);
      const matrix = createMatrix(engine, dtype, 13, GROUP + 7);
      matrix.packQuantized(weight, randomTensor([13], 1));
      assert.is(matrix.quantized(), undefined);
      assertSameBits(matrix.unpack().weight.data, floats.to(dtype).to('float32').data, dtype);
      assertSameBits(matrix.unpack().bias.data, randomTensor([13], 1).data, 'bias');
    }
  });
});

test('a product is within what quantising weights and inputs may do to it', async () => {
  for (const build of BUILDS) {
    await withEngine({ build }, (engine) => {
      for (const [low, high] of [
        [-1, 1],
        [0, 3],
        [-5, -4],
        [-0.2, 30],
      ] as const) {
        const [rows, outputs, inputs] = [11, 21, GROUP + 50];
        const { matrix, weight, bias } = packed(engine, 'int8', outputs, inputs);
        const x = rowsFrom(rows, inputs, low, high);
        const y = on(engine, [x], (a) => matrix.multiply(a));
        const step = (values: Float32Array, parts: number, isSymmetric: boolean): number => {
          const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
          return (0.5001 * (isSymmetric ? Math.max(-least, most) : most - least)) / parts;
        };
        const bound = (e: number): number => {
          const [a, w] = [x.at(Math.floor(e / outputs)).data, weight.at(e % outputs).data];
          const [da, dw] = [step(a, 255, false), step(w, 127, true)];
          return reference.sum(inputs, (i) => Math.abs(a[i] as number) * dw + Math.abs(w[i] as number) * da + da * dw) + 1e-5;
        };
        const expected = reference.linear(x.data, weight.data, bias.data, { rows, inputs, outputs });
        assertWithin(y.data, expected, bound, `${low} to ${high}`);
      }
    });
  }
});

test('an outlier among the inputs or the weights costs its group precision, and no other', async () => {
  await withEngine({}, (engine) => {
    const [rows, outputs, inputs] = [6, 9, 3 * GROUP];
    const off = (x: Float32, weight: Float32): number => {
      const matrix = new Int8Matrix(engine, outputs, inputs);
      matrix.pack(weight);
      const found = on(engine, [x], (a) => matrix.multiply(a)).data;
      const expected = reference.linear(x.data, weight.data, undefined, {
        rows,
        inputs,
        outputs,
      });
      return found.reduce((sum, value, e) => sum + Math.abs(value - (expected[e] as number)), 0) / found.length;
    };
    const [x, weight] = [randomTensor([rows, inputs], 1), randomTensor([outputs, inputs], 2)];
    // the group of the outlier has nothing else to lose
    for (const [of, count] of [
      [x, rows],
      [weight, outputs],
    ] as const) {
      for (let row = 0; row < count; row++) of.data.fill(0, row * inputs, row * inputs + GROUP);
    }
    const before = off(x, weight);
    for (let row = 0; row < rows; row++) x.data[row * inputs + 3] = 500;
    for (let o = 0; o < outputs; o++) weight.data[o * inputs + 5] = 500;
    assert.ok(off(x, weight) < 1.01 * before, `${off(x, weight)} with outliers, ${before} without`);
  });
});

test('an outlier among the inputs of a rotated matrix costs the others of its group less, and one among its weights', async () => {
  await withEngine({}, (engine) => {
    const [rows, outputs, inputs] = [7, 9, 2 * GROUP + 5];
    const off = (x: Float32, weight: Float32, rotated: boolean): number => {
      const matrix = new Int8Matrix(engine, outputs, inputs, { rotated });
      matrix.pack(weight);
      const isWild = weight.data.includes(100);
      assertWithin(matrix.unpack().weight.data, weight.data, isWild ? 0.6 : 0.04, 'the weights are given back as they were');
      const found = on(engine, [x], (a) => matrix.multiply(a)).data;
      const expected = reference.linear(x.data, weight.data, undefined, { rows, inputs, outputs });
      return found.reduce((sum, value, e) => sum + Math.abs(value - (expected[e] as number)), 0) / found.length;
    };
    const [x, weight] = [randomTensor([rows, inputs], 1), randomTensor([outputs, inputs], 2)];
    const none = off(x, weight, false);
    assert.ok(off(x, weight, true) < 2 * none);
    for (let row = 0; row < rows; row++) x.data[row * inputs + 3] = 100;
    for (let o = 0; o < outputs; o++) weight.data[o * inputs + GROUP + 5] = 100;
    assert.ok(off(x, weight, true) < 0.6 * off(x, weight, false), `${off(x, weight, true)}, not rotated ${off(x, weight, false)}`);
  });
});

test('what is known of inputs makes a product nearer to that of floats, with rotated weights and without', async () => {
  await withEngine({}, (engine) => {
    const [rows, outputs, inputs] = [300, 8, GROUP + 40];
    const patterns = randomTensor([4, inputs], 1);
    const x = randomTensor([rows, inputs], 2, 0.05);
    for (let r = 0; r < rows; r++)
      for (let i = 0; i < inputs; i++) (x.data[r * inputs + i] as number) += patterns.data[(r % 4) * inputs + i] as number;
    const observer = new InputObserver();
    observer.see(x);
    const weight = randomTensor([outputs, inputs], 3);
    const expected = reference.linear(x.data, weight.data, undefined, { rows, inputs, outputs });
    for (const rotated of [false, true]) {
      const off = (statistics?: InputStatistics): number => {
        const matrix = new Int8Matrix(engine, outputs, inputs, { rotated });
        matrix.pack(weight, undefined, statistics);
        const bias = biasCorrection(weight, matrix.unpack().weight, statistics?.mean ?? new Float32Array(inputs));
        const y = new Float32Matrix(engine, outputs, inputs);
        y.pack(matrix.unpack().weight, new Tensor('float32', bias, [outputs]));
        return on(engine, [x], (a) => y.multiply(a)).data.reduce((sum, value, e) => sum + (value - (expected[e] as number)) ** 2, 0);
      };
      assert.ok(off(observer.statistics) < 0.2 * off(), `${off(observer.statistics)} of ${off()}`);
    }
  });
});

test('layer norms are made integers as the matrix reads them: the product is that of the norm in floats, to the bit', async () => {
  await withEngine({}, (engine) => {
    const [inputs, outputs] = [GROUP + 12, 11];
    const [gamma, beta] = [randomTensor([inputs], 1), randomTensor([inputs], 2)];
    for (const rotated of [false, true]) {
      const matrix = new Int8Matrix(engine, outputs, inputs, { rotated });
      matrix.pack(randomTensor([outputs, inputs], 3));
      const run = (compute: (x: Float32, weight: Float32, bias: Float32) => Operand): Float32Array =>
        on(engine, [randomTensor([5, inputs], 4), gamma, beta], (x, weight, bias) => matrix.multiply(compute(x, weight, bias))).data;
      assertSameBits(
        run((x, weight, bias) => matrix.normalized(x, weight, bias, 1e-6)),
        run((x, weight, bias) => layerNorm(x, weight, bias, 1e-6)),
      );
    }
  });
});

test('every form of integers gives the same bits, on any number of threads', async () => {
  // integers of rows below 0 stay within 0 to 127 where the least is at most twice the largest, and those above 0 within 128 to 255: that far
  // every machine with relaxed SIMD is exact
  const cases: readonly [IntegerForm, low: number, high: number][] = BUILDS.includes('relaxed')
    ? [
        ['unsigned', -2, -1.01],
        ['signed', 1.01, 2],
      ]
    : [];
  for (const [form, low, high] of cases) {
    for (const [rows, outputs, inputs] of [
      [1, 9, 5],
      [50, 13, 37],
      [17, 203, 34],
      [11, 9, GROUP + 30],
    ] as const) {
      const x = rowsFrom(rows, inputs, low, high);
      for (let row = 0; row < rows; row++) for (let i = 0; i < inputs; i += GROUP) x.data[row * inputs + i] = low < -1 ? -2 : 2;
      const run = async (threads: number, as: IntegerForm): Promise<Float32Array> => {
        return withEngine({ threads, build: 'relaxed' }, (engine: Engine) => {
          Object.assign(engine, { integerForm: as });
          const { matrix } = packed(engine, 'int8', outputs, inputs);
          return on(engine, [x], (a) => matrix.multiply(a, 'gelu')).data;
        });
      };
      const expected = await run(1, 'pairs');
      for (const threads of [1, 3])
        assertSameBits(await run(threads, form), expected, `${form}, ${rows} x ${outputs} x ${inputs}, ${threads} threads`);
    }
  }
});

test('both builds multiply the same integers: results differ by the rounding of the last two operations at most', async () => {
  const x = randomTensor([9, 33], 1);
  const [simd, relaxed = simd] = await Promise.all(
    BUILDS.map((build) =>
      withEngine({ build }, (engine) => on(engine, [x], (a) => packed(engine, 'int8', 21, 33).matrix.multiply(a)).data),
    ),
  );
  assertWithin(relaxed as Float32Array, simd as Float32Array, (e) => 2 ** -23 * (2 + Math.abs(simd?.[e] as number)), 'relaxed');
});

test('a weight that is not finite makes its output NaN for every input, and no other', async () => {
  await withEngine({}, (engine) => {
    for (const special of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const weight = randomTensor([11, 6], 1);
      weight.data[4 * 6 + 5] = special;
      const matrix = new Int8Matrix(engine, 11, 6);
      matrix.pack(weight);
      for (const x of [randomTensor([3, 6], 2), new Tensor('float32', new Float32Array(18), [3, 6])]) {
        const y = on(engine, [x], (a) => matrix.multiply(a));
        for (const [e, value] of y.data.entries()) assert.is(Number.isNaN(value), e % 11 === 4, `${special}: element ${e}`);
      }
    }
  });
});

test('a weight of zeros gives the bias, and scales that a file may have', async () => {
  await withEngine({}, (engine) => {
    const matrix = new Int8Matrix(engine, 5, 4);
    matrix.pack(new Tensor('float32', new Float32Array(20), [5, 4]), randomTensor([5], 1));
    assertSameBits(on(engine, [randomTensor([1, 4], 2)], (a) => matrix.multiply(a)).data, randomTensor([5], 1).data);
    assert.ok(matrix.quantized().scales.every((scale) => scale > 0));
    matrix.packQuantized(matrix.quantized());
    assertSameBits(matrix.unpack().weight.data, new Float32Array(20));
  });
});

test('int8 takes about a quarter of the memory of float32, float16 half', async () => {
  const bytes = (dtype: 'float32' | 'float16' | 'int8'): Promise<number> =>
    withEngine({}, (engine) => {
      const before = engine.allocate(0);
      createMatrix(engine, dtype, 64, 512);
      return engine.allocate(0) - before;
    });
  const float32 = await bytes('float32');
  assert.ok((await bytes('float16')) < 0.51 * float32);
  assert.ok((await bytes('int8')) < 0.28 * float32);
});

test('an operand made for a matrix of integers is refused by one of floats, of another size, or of rotated weights', async () => {
  await withEngine({}, async (engine) => {
    const floats = packed(engine, 'float32', 5, 4).matrix;
    await engine.scopeAsync(async () => {
      const operand = quantizeRows(engine, placed(engine, randomTensor([2, 4], 1)));
      await refuses(() => floats.multiply(operand), ShapeError, 'x: expected float32, found rows quantised for another matrix');
      await refuses(() => packed(engine, 'int8', 5, 3).matrix.multiply(operand), ShapeError, 'x: expected [2, 3], found [2, 4]');
      const rotated = createMatrix(engine, 'int8', 5, 4, { rotated: true });
      await refuses(() => rotated.multiply(operand), ShapeError, 'x: expected rows quantised for a matrix that is rotated, found others');
    });
  });
});

test.run();
