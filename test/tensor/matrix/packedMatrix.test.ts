import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../../src/errors.ts';
import { ACTIVATIONS, type Activation } from '../../../src/runtime/kernels.ts';
import { layerNorm } from '../../../src/tensor/ops.ts';
import type { Float32 } from '../../../src/tensor/place.ts';
import { place, placed } from '../../../src/tensor/place.ts';
import { refuses } from '../../helpers.ts';
import { assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomTensor } from '../helpers.ts';
import { KINDS, on, packed, withEngine } from './helpers.ts';

/** (outputs, inputs), with tails and without. */
const SIZES = [
  [1, 1],
  [8, 4],
  [13, 7],
  [16, 9],
  [40, 33],
] as const;

/** rows, outputs, inputs: cut by rows, by panels, and with panels of which only some are widened at a time. */
const PRODUCTS = [
  [0, 13, 7],
  [1, 9, 5],
  [50, 13, 37],
  [3, 203, 37],
  [23, 203, 5],
  [8, 200, 1600],
] as const;

for (const { build, dtype } of KINDS) {
  const what = `${dtype}, ${build}`;

  test(`${what}: a matrix gives back what was packed, and packing that again changes nothing`, async () => {
    await withEngine({ build }, (engine) => {
      for (const [outputs, inputs] of SIZES) {
        const { matrix, weight, bias } = packed(engine, dtype, outputs, inputs);
        const first = matrix.unpack();
        assert.equal([first.weight.dims, first.bias.dims], [[outputs, inputs], [outputs]]);
        assert.not(first.weight.place, 'in memory of its own');
        assertSameBits(first.bias.data, bias.data, 'bias');
        const step = { float32: 0, float16: 2 ** -11, int8: 0.5001 / 127 }[dtype]; // of numbers up to 1
        assertWithin(first.weight.data, weight.data, step, 'weight');
        matrix.pack(first.weight, first.bias);
        const again = matrix.unpack();
        if (dtype === 'int8') assertWithin(again.weight.data, first.weight.data, 2 ** -23, 'weight again');
        else assertSameBits(again.weight.data, first.weight.data, 'weight again');
        assertSameBits(again.bias.data, bias.data, 'bias again');
      }
    });
  });

  test(`${what}: a matrix that is widened multiplies to the same bits, shows observers the same, and takes memory of the scope only`, async () => {
    await withEngine({ build }, (engine) => {
      for (const [outputs, inputs] of [...SIZES, [64, 17000]] as const) {
        const { matrix } = packed(engine, dtype, outputs, inputs);
        const x = placed(engine, randomTensor([5, inputs], 3));
        const expected = matrix.multiply(x).clone();
        const seen: Float32[] = [];
        const stop = matrix.watch((one) => seen.push(one));
        const next = (): number => engine.scope(() => engine.allocate(16));
        const free = next();
        engine.scope(() => {
          const widened = matrix.widened();
          assert.is(widened === matrix, dtype !== 'float16' || inputs === 17000, 'what is too large stays as it is');
          assertSameBits(widened.multiply(x).data, expected.data, `${outputs} x ${inputs}`);
        });
        assert.equal(seen, [x]);
        stop();
        assert.is(next(), free, 'the memory is given back');
      }
    });
  });

  test(`${what}: a matrix takes another bias, or none, and keeps its weights`, async () => {
    await withEngine({ build }, (engine) => {
      for (const [outputs, inputs] of SIZES) {
        const { matrix, weight } = packed(engine, dtype, outputs, inputs);
        const before = matrix.unpack().weight;
        const other = randomTensor([outputs], 3);
        for (const value of [other, placed(engine, randomTensor([outputs], 4))]) {
          matrix.setBias(value);
          assertSameBits(matrix.unpack().bias.data, value.data, 'other bias');
          assertSameBits(matrix.unpack().weight.data, before.data, 'weight');
        }
        matrix.pack(weight);
        assertSameBits(matrix.unpack().bias.data, new Float32Array(outputs), 'no bias');
      }
    });
  });

  test(`${what}: packing, unpacking and products leave no memory behind`, async () => {
    await withEngine({ build, threads: 2 }, (engine) => {
      const { matrix, weight, bias } = packed(engine, dtype, 20, 30);
      const x = placed(engine, randomTensor([9, 30], 3));
      const [scale, y] = [placed(engine, randomTensor([20], 4)), place(engine, 'float32', [9, 20])];
      const next = (): number => engine.scope(() => engine.allocate(1));
      const before = next();
      matrix.pack(weight, bias);
      matrix.setBias(bias);
      matrix.unpack();
      matrix.multiplyAdd(x, scale, y);
      assert.is(next(), before);
      engine.scope(() => {
        const product = matrix.multiply(x);
        assert.is(product.place?.address, before, 'but the product');
        assert.is(engine.allocate(0), before + Math.ceil(product.bytes / 64) * 64);
      });
    });
  });

  test(`${what}: a product is that of the weights as they are kept`, async () => {
    await withEngine({ build }, (engine) => {
      for (const [rows, outputs, inputs] of PRODUCTS) {
        const { matrix } = packed(engine, dtype, outputs, inputs);
        const kept = matrix.unpack();
        const x = randomTensor([rows, inputs], 3);
        const y = on(engine, [x], (a) => matrix.multiply(a));
        assert.equal(y.dims, [rows, outputs]);
        const expected = reference.linear(x.data, kept.weight.data, kept.bias.data, { rows, inputs, outputs });
        // inputs of -1 to 1 that become integers are up to 0.5001 * 2 / 255 off, beside what rounding does
        const sizes = Array.from({ length: outputs }, (_, o) =>
          reference.sum(inputs, (i) => Math.abs(kept.weight.data[o * inputs + i] as number)),
        );
        const off = (inputs + 2) * UNIT + (dtype === 'int8' ? (0.5001 * 2) / 255 : 0);
        assertWithin(y.data, expected, (e) => (1 + (sizes[e % outputs] as number)) * off, `${rows} x ${outputs} x ${inputs}`);
      }
    });
  });

  test(`${what}: leading dimensions stay, and an activation is that of the product`, async () => {
    await withEngine({ build }, (engine) => {
      const { matrix } = packed(engine, dtype, 13, 7);
      const x = randomTensor([2, 3, 7], 3);
      const plain = on(engine, [x], (a) => matrix.multiply(a));
      assert.equal(plain.dims, [2, 3, 13]);
      for (const activation of Object.keys(ACTIVATIONS) as Activation[]) {
        const y = on(engine, [x], (a) => matrix.multiply(a, activation));
        const isRough = dtype === 'int8' && activation === 'gelu'; // assembly/activation/f32_rough_gelu.ts
        assertWithin(y.data, plain.data.map(reference.ACTIVATIONS[activation]), isRough ? 1e-4 : 1e-6, activation);
      }
    });
  });

  test(`${what}: multiplyAdd adds the scaled product in place`, async () => {
    await withEngine({ build }, (engine) => {
      for (const [rows, outputs, inputs] of PRODUCTS) {
        const { matrix } = packed(engine, dtype, outputs, inputs);
        const [x, scale, before] = [randomTensor([rows, inputs], 4), randomTensor([outputs], 5), randomTensor([rows, outputs], 6)];
        const product = on(engine, [x], (a) => matrix.multiply(a));
        const y = on(engine, [x, scale, before], (a, s, b) => {
          matrix.multiplyAdd(a as Float32, s as Float32, b as Float32);
          return b as Float32;
        });
        const expected = product.data.map((value, i) => (before.data[i] as number) + (scale.data[i % outputs] as number) * value);
        assertWithin(y.data, expected, (e) => 2 ** -22 * (1 + Math.abs(product.data[e] as number)), 'y');
      }
    });
  });

  test(`${what}: the result is the same to the bit on any number of threads, recorded or not`, async () => {
    for (const [rows, outputs, inputs] of PRODUCTS) {
      const [x, scale, before] = [randomTensor([rows, inputs], 4), randomTensor([outputs], 5), randomTensor([rows, outputs], 6)];
      const results: Float32Array[][] = [];
      for (const threads of [1, 2, 3]) {
        await withEngine({ build, threads }, async (engine) => {
          const { matrix } = packed(engine, dtype, outputs, inputs);
          const [a, s, b] = [placed(engine, x), placed(engine, scale), placed(engine, before)];
          const compute = (): Float32[] => {
            const y = place(engine, 'float32', [rows, outputs]);
            engine.copy(y.place?.address as number, b.place?.address as number, y.bytes);
            matrix.multiplyAdd(a, s, y);
            return [matrix.multiply(a, 'gelu'), y];
          };
          results.push(engine.scope(() => compute().map(({ data }) => data)));
          const { result, replay } = await engine.record(async () => compute());
          engine.write(a.place?.address as number, new Float32Array(rows * inputs).fill(7));
          replay();
          engine.write(a.place?.address as number, x.data);
          replay();
          results.push(result.map(({ data }) => data));
        });
      }
      for (const [i, [product, added]] of results.entries()) {
        assertSameBits(product as Float32Array, results[0]?.[0] as Float32Array, `product ${i} of ${rows} x ${outputs} x ${inputs}`);
        assertSameBits(added as Float32Array, results[0]?.[1] as Float32Array, `sum ${i} of ${rows} x ${outputs} x ${inputs}`);
      }
    }
  });

  test(`${what}: a row has the same bits whichever rows are beside it, on any number of threads`, async () => {
    const x = randomTensor([29, 37], 3);
    for (const threads of [1, 3]) {
      await withEngine({ build, threads }, async (engine) => {
        for (const outputs of [13, 203]) {
          const { matrix } = packed(engine, dtype, outputs, 37);
          const all = on(engine, [x], (a) => matrix.multiply(a));
          for (const [first, end] of [
            [0, 1],
            [4, 5],
            [5, 17],
            [11, 29],
            [28, 29],
          ] as const) {
            const part = on(engine, [x.slice(first, end)], (a) => matrix.multiply(a));
            assertSameBits(part.data, all.slice(first, end).data, `rows ${first} to ${end}`);
          }
        }
      });
    }
  });

  test(`${what}: slices share the storage, each with outputs of its own, and the whole gives theirs side by side`, async () => {
    for (const threads of [1, 2]) {
      await withEngine({ build, threads }, async (engine) => {
        const { matrix } = packed(engine, dtype, 48, 9);
        const parts = [0, 16, 32].map((first) => matrix.slice(first, 13));
        const values = parts.map((part, i) => {
          assert.equal([part.outputs, part.inputs], [13, 9]);
          const value = { weight: randomTensor([13, 9], 10 + i), bias: randomTensor([13], 20 + i) };
          part.pack(value.weight, value.bias);
          return value;
        });
        const x = randomTensor([7, 9], 3);
        const whole = on(engine, [x], (a) => matrix.multiply(a));
        for (const [i, part] of parts.entries()) {
          const alone = await withEngine({ build }, (other) => {
            const { matrix: own } = packed(other, dtype, 13, 9);
            own.pack((values[i] as (typeof values)[0]).weight, (values[i] as (typeof values)[0]).bias);
            assertSameBits(part.unpack().weight.data, own.unpack().weight.data, 'weight');
            return on(other, [x], (a) => own.multiply(a));
          });
          assertSameBits(on(engine, [x], (a) => part.multiply(a)).data, alone.data, `slice ${i}`);
          for (let row = 0; row < 7; row++) {
            assertSameBits(whole.data.subarray(row * 48 + 16 * i, row * 48 + 16 * i + 13), alone.at(row).data, `slice ${i}, row ${row}`);
            assertSameBits(
              whole.data.subarray(row * 48 + 16 * i + 13, row * 48 + 16 * i + 16),
              new Float32Array(3),
              'what pads a slice is 0',
            );
          }
        }
        const bias = randomTensor([13], 30);
        (parts[1] as (typeof parts)[0]).setBias(bias);
        assertSameBits(matrix.unpack().bias.data.subarray(16, 29), bias.data, 'the bias of a slice');
        assertSameBits((parts[2] as (typeof parts)[0]).unpack().bias.data, (values[2] as (typeof values)[0]).bias.data, 'and of no other');
      });
    }
  });

  test(`${what}: a layer norm made for a matrix is multiplied as one made before, to the bit, on any number of threads`, async () => {
    for (const threads of [1, 2, 3]) {
      await withEngine({ build, threads }, async (engine) => {
        const { matrix } = packed(engine, dtype, 40, 13);
        engine.scope(() => {
          const [x, weight, bias] = [[23, 13], [13], [13]].map((dims, i) => placed(engine, randomTensor(dims, 3 + i, 2))) as [
            Float32,
            Float32,
            Float32,
          ];
          const operand = matrix.normalized(x, weight, bias, 1e-3);
          assert.equal(operand.dims, [23, 13]);
          const expected = layerNorm(x, weight, bias, 1e-3);
          for (let i = 0; i < 2; i++) assertSameBits(matrix.multiply(operand).data, matrix.multiply(expected).data, 'product');
          const scale = placed(engine, randomTensor([40], 6));
          const sums = [operand, expected].map((from) => {
            const y = placed(engine, randomTensor([23, 40], 7));
            matrix.multiplyAdd(from, scale, y);
            return y.data;
          });
          assertSameBits(sums[0] as Float32Array, sums[1] as Float32Array, 'sum');
        });
        const at = (...dims: number[]): Float32 => placed(engine, randomTensor(dims, 1));
        await refuses(() => matrix.normalized(at(2, 13), at(12), at(13), 1e-3), ShapeError, 'layerNorm: weight: expected [13], found [12]');
        await refuses(() => matrix.normalized(at(2, 13), at(13), at(12), 1e-3), ShapeError, 'layerNorm: bias: expected [13], found [12]');
      });
    }
  });

  test(`${what}: who watches a matrix sees the inputs of its products, those of slices too, until told to stop`, async () => {
    await withEngine({ build }, (engine) => {
      const { matrix } = packed(engine, dtype, 16, 5);
      const seen: number[][] = [];
      const stop = matrix.slice(8, 8).watch((x) => seen.push([...x.data]));
      const [x, y] = [randomTensor([2, 5], 1), randomTensor([1, 5], 2)];
      on(engine, [x], (a) => matrix.multiply(a));
      on(engine, [y, randomTensor([16], 3), randomTensor([1, 16], 4)], (a, s, c) => {
        matrix.multiplyAdd(a as Float32, s as Float32, c as Float32);
        return c as Float32;
      });
      stop();
      on(engine, [x], (a) => matrix.multiply(a));
      assert.equal(seen, [[...x.data], [...y.data]]);
    });
  });

  test(`${what}: NaN and infinite inputs leave no number in their row, and disturb no other`, async () => {
    await withEngine({ build }, (engine) => {
      const { matrix } = packed(engine, dtype, 21, 9);
      for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const x = randomTensor([8, 9], 3);
        const plain = on(engine, [x], (a) => matrix.multiply(a));
        x.data[3 * 9 + 8] = special;
        const y = on(engine, [x], (a) => matrix.multiply(a));
        for (let row = 0; row < 8; row++) {
          if (row === 3) assert.not(y.at(row).data.some(Number.isFinite), `${special}`);
          else assertSameBits(y.at(row).data, plain.at(row).data, `row ${row}`);
        }
        if (dtype === 'int8' || Number.isNaN(special)) assert.ok(y.at(3).data.every(Number.isNaN), `${special}`);
      }
    });
  });

  test(`${what}: what does not fit is refused by name`, async () => {
    await withEngine({ build }, async (engine) => {
      const { matrix } = packed(engine, dtype, 4, 3);
      const at = (...dims: number[]): Float32 => placed(engine, randomTensor(dims, 1));
      await refuses(() => matrix.pack(randomTensor([3, 4], 1)), ShapeError, 'weight: expected [4, 3], found [3, 4]');
      await refuses(() => matrix.pack(randomTensor([4, 3], 1), randomTensor([3], 1)), ShapeError, 'bias: expected [4], found [3]');
      await refuses(() => matrix.setBias(randomTensor([3], 1)), ShapeError, 'bias: expected [4], found [3]');
      await refuses(() => matrix.multiply(at(2, 4)), ShapeError, 'x: expected [2, 3], found [2, 4]');
      await refuses(() => matrix.multiplyAdd(at(2, 3), at(3), at(2, 4)), ShapeError, 'scale: expected [4], found [3]');
      await refuses(() => matrix.multiplyAdd(at(2, 3), at(4), at(3, 4)), ShapeError, 'y: expected [2, 4], found [3, 4]');
      const integers = (count: number, scales = 4) => ({ integers: new Int8Array(count), scales: new Float32Array(scales).fill(1) });
      await refuses(() => matrix.packQuantized(integers(11)), ShapeError, 'integers: expected [12], found [11]');
      await refuses(() => matrix.packQuantized(integers(12, 3)), ShapeError, 'scales: expected [4], found [3]');
      await refuses(() => matrix.packQuantized(integers(12), randomTensor([3], 1)), ShapeError, 'bias: expected [4], found [3]');
    });
  });
}

test.run();
