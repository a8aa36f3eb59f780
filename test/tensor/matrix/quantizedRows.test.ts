import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { QuantizedRows, quantizeRows, rowBytes } from '../../../src/tensor/matrix/quantizedRows.ts';
import { placed } from '../../../src/tensor/place.ts';
import { assertWithin } from '../../reference/compare.ts';
import { bytesOfRows, LAYOUTS, readRows } from '../../reference/integers.ts';
import { randomTensor } from '../helpers.ts';
import { withEngine } from './helpers.ts';

const FORMS = Object.keys(LAYOUTS) as IntegerForm[];

test('rows become integers of the same values in every form, on any number of threads, with leading dimensions and a multiplier', async () => {
  const x = randomTensor([3, 9, 13], 1, 4);
  const multiplier = randomTensor([13], 2);
  const results: { scale: number; values: number[] }[][] = [];
  for (const threads of [1, 2, 3]) {
    for (const form of FORMS) {
      await withEngine({ threads }, (engine) => {
        Object.assign(engine, { integerForm: form });
        engine.scope(() => {
          const rows = quantizeRows(engine, placed(engine, x), placed(engine, multiplier));
          assert.equal(rows.dims, [3, 9, 13]);
          const heads = engine.view(rows.heads, 27 * 8).slice();
          const integers = engine.view(rows.address, bytesOfRows(form, 27, 13)).slice();
          results.push(readRows(form, 27, 13, { heads, integers }).map(({ scale, values }) => ({ scale, values })));
        });
      });
    }
  }
  for (const result of results) assert.equal(result, results[0]);
  for (const [row, { scale, values }] of (results[0] as (typeof results)[0]).entries()) {
    const expected = Float32Array.from({ length: 13 }, (_, i) => (x.data[row * 13 + i] as number) * (multiplier.data[i] as number));
    assertWithin(
      values.map((value) => value * scale),
      expected,
      0.5001 * scale,
      `row ${row}`,
    );
  }
});

test('room is taken for whole blocks of rows, and columns padded to fours', async () => {
  for (const form of FORMS) {
    const { rows: block, bytes } = LAYOUTS[form];
    await withEngine({}, (engine) => {
      Object.assign(engine, { integerForm: form });
      for (const [rows, columns] of [
        [0, 4],
        [1, 1],
        [block, 8],
        [block + 1, 9],
      ] as const) {
        engine.scope(() => {
          const { heads, address } = new QuantizedRows(engine, [rows, columns]);
          assert.ok(address - heads >= rows * 8);
          assert.ok(engine.allocate(0) - address >= bytesOfRows(form, rows, columns));
          assert.is(bytesOfRows(form, rows, columns), Math.ceil(rows / block) * block * rowBytes(columns, bytes));
        });
      }
    });
  }
});

test.run();
