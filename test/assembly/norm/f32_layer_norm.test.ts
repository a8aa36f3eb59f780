import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertSame, assertSameBits, assertWithin, UNIT } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { extremeFloats, randomFloats } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

interface Rows {
  rows: number;
  x: Float32Array;
  weight: Float32Array;
  bias: Float32Array;
  epsilon: number;
}

function layerNorm(bench: Bench, { rows, x, weight, bias, epsilon }: Rows, { shift = 0, inPlace = false } = {}): Float32Array {
  return bench.try(() => {
    const y = inPlace ? bench.output(x, { shift }) : bench.room(x.length, { shift });
    const from = inPlace ? y : bench.input(x, { shift });
    bench.engine.call(
      'f32_layer_norm',
      rows,
      weight.length,
      from,
      bench.input(weight, { shift }),
      bench.input(bias, { shift }),
      epsilon,
      y,
    );
    return bench.read(y, x.length);
  });
}

const shape = fc.record({
  rows: fc.integer({ min: 0, max: 4 }),
  columns: fc.integer({ min: 0, max: 50 }),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

function random({ rows, columns, seed }: { rows: number; columns: number; seed: number }, { size = 1, offset = 0 } = {}): Rows {
  const x = randomFloats(rows * columns, seed, size).map((value) => value + offset);
  return { rows, x, weight: randomFloats(columns, seed + 1, 3), bias: randomFloats(columns, seed + 2, 2), epsilon: Math.fround(1e-6) };
}

/** The largest error that float32 may add, given sums of four lanes. */
function boundOf({ x, weight, bias, epsilon }: Rows, expected: Float64Array): (i: number) => number {
  const columns = weight.length;
  const depth = columns / 4 + 6;
  return (i) => {
    const row = x.subarray(i - (i % columns), i - (i % columns) + columns);
    const mean = reference.sum(columns, (j) => row[j] as number) / columns;
    const deviation = Math.sqrt(reference.sum(columns, (j) => ((row[j] as number) - mean) ** 2) / columns + epsilon);
    const size = reference.sum(columns, (j) => Math.abs(row[j] as number)) / columns;
    const [w, b] = [Math.abs(weight[i % columns] as number), Math.abs(bias[i % columns] as number)];
    const z = Math.abs((expected[i] as number) - (bias[i % columns] as number)) + w;
    // the mean is off by depth UNIT size; it moves x - mean and, in the second order, the deviation
    const shifted = (depth * UNIT * size) / deviation;
    return (
      1.01 *
      (w * (shifted + UNIT * Math.abs((row[i % columns] as number) / deviation)) + z * (depth * UNIT + shifted ** 2) + UNIT * (b + z))
    );
  };
}

testKernels('f32_layer_norm is (x - mean) / sqrt(variance + epsilon) * weight + bias over each row', (bench) => {
  fc.assert(
    fc.property(shape, fc.constantFrom([1, 0], [1e-3, 0], [1e4, 0], [1, 1000]), (s, [size, offset]) => {
      const rows = random(s, { size: size as number, offset: offset as number });
      const expected = reference.layerNorm(rows.x, rows.weight, rows.bias, rows.epsilon);
      assertWithin(layerNorm(bench, rows, s), expected, boundOf(rows, expected), 'y');
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('f32_layer_norm in place, or of a row alone, gives the same bits', (bench) => {
  fc.assert(
    fc.property(shape, (s) => {
      const all = random(s);
      const y = layerNorm(bench, all);
      assertSameBits(layerNorm(bench, all, { shift: s.shift, inPlace: true }), y, 'in place');
      const last = Math.max(s.rows - 1, 0) * s.columns;
      assertSameBits(layerNorm(bench, { ...all, rows: Math.min(s.rows, 1), x: all.x.slice(last) }), y.slice(last), 'the last row');
    }),
    { seed: 2, numRuns: 100 },
  );
});

testKernels('f32_layer_norm makes a row with one NaN or infinity all NaN and leaves the others alone', (bench) => {
  for (const columns of [1, 3, 4, 5, 8, 11]) {
    for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (let i = 0; i < columns; i++) {
        const rows = random({ rows: 3, columns, seed: columns });
        const clean = layerNorm(bench, rows);
        rows.x[columns + i] = special;
        const y = layerNorm(bench, rows);
        assert.ok(y.subarray(columns, 2 * columns).every(Number.isNaN), `${special} at ${i} of ${columns}: found ${y}`);
        assertSameBits(y.subarray(0, columns), clean.subarray(0, columns), 'the row above');
        assertSameBits(y.subarray(2 * columns), clean.subarray(2 * columns), 'the row below');
      }
    }
  }
});

testKernels('f32_layer_norm hands on NaN and infinity of weight and bias where they stand', (bench) => {
  for (const columns of [3, 8, 9]) {
    for (let i = 0; i < columns; i++) {
      const rows = random({ rows: 1, columns, seed: 5 });
      const clean = layerNorm(bench, rows);
      rows.weight[i] = Number.NaN;
      assertSame(layerNorm(bench, rows), clean.with(i, Number.NaN), 'NaN in the weight');
      rows.weight[i] = 0;
      rows.bias[i] = Number.NEGATIVE_INFINITY;
      assertSame(layerNorm(bench, rows), clean.with(i, Number.NEGATIVE_INFINITY), 'infinity in the bias');
    }
  }
});

testKernels('f32_layer_norm of a constant row is the bias', (bench) => {
  for (const columns of [1, 4, 8, 16, 64]) {
    const rows = { ...random({ rows: 1, columns, seed: 6 }), x: new Float32Array(columns).fill(3) }; // columns and 3 leave no rounding
    assertSameBits(layerNorm(bench, rows), rows.bias, `${columns} columns`);
  }
});

testKernels('f32_layer_norm of the largest and smallest numbers is right, or NaN where their squares leave float32', (bench) => {
  const most = 2 ** 127;
  fc.assert(
    fc.property(shape, fc.constantFrom(2, 20), ({ rows: count, columns, shift, seed }, one) => {
      const rows = { ...random({ rows: count, columns, seed }), x: extremeFloats(count * columns, seed, { one, nonFinite: false }) };
      const expected = reference.layerNorm(rows.x, rows.weight, rows.bias, rows.epsilon);
      const found = layerNorm(bench, rows, { shift });
      for (let row = 0; row < count; row++) {
        const [from, to] = [row * columns, (row + 1) * columns];
        const [x, y] = [rows.x.subarray(from, to), found.subarray(from, to)];
        const size = reference.sum(columns, (i) => Math.abs(x[i] as number));
        const mean = reference.sum(columns, (i) => x[i] as number) / columns;
        const squares = reference.sum(columns, (i) => ((x[i] as number) - mean) ** 2);
        if ((size > most || squares > most) && y.every(Number.isNaN)) continue;
        const right = expected.subarray(from, to);
        assertWithin(y, right, boundOf({ ...rows, x }, right), `row ${row}`);
      }
    }),
    { seed: 6, numRuns: 300 },
  );
});

test.run();
