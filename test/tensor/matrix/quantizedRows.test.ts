import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { IntegerForm } from '../../../src/runtime/features.ts';
import { headBytes, rowBytes } from '../../../src/tensor/matrix/int8Layout.ts';
import { QuantizedRows, quantizeRows } from '../../../src/tensor/matrix/quantizedRows.ts';
import { placed } from '../../../src/tensor/place.ts';
import { assertWithin } from '../../reference/compare.ts';
import { bytesOfHeads, bytesOfRows, GROUP, LAYOUTS, readRows } from '../../reference/integers.ts';
import { randomTensor } from '../helpers.ts';
import { withEngine } from './helpers.ts';

const FORMS = Object.keys(LAYOUTS) as IntegerForm[];

test('rows become integers of the same values in every form, on any number of threads, with leading dimensions', async () => {
  const columns = GROUP + 13;
  const x = randomTensor([3, 9, columns], 1, 4);
  const results: { scale: number; values: number[] }[][] = [];
  for (const threads of [1, 2, 3]) {
    for (const form of FORMS) {
      await withEngine({ threads }, (engine) => {
        Object.assign(engine, { integerForm: form });
        engine.scope(() => {
          const rows = quantizeRows(engine, placed(engine, x));
          assert.equal(rows.dims, [3, 9, columns]);
          const heads = engine.view(rows.heads, bytesOfHeads(form, 27, columns)).slice();
          const integers = engine.view(rows.address, bytesOfRows(form, 27, columns)).slice();
          results.push(
            readRows(form, 27, columns, { heads, integers })
              .flat()
              .map(({ scale, values }) => ({ scale, values })),
          );
        });
      });
    }
  }
  for (const result of results) assert.equal(result, results[0]);
  for (const [group, { scale, values }] of (results[0] as (typeof results)[0]).entries()) {
    const first = Math.floor(group / 2) * columns + (group % 2) * GROUP;
    assertWithin(
      values.map((value) => value * scale),
      x.data.subarray(first, first + values.length),
      0.5001 * scale,
      `group ${group}`,
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
        [2 * block, GROUP + 1],
      ] as const) {
        engine.scope(() => {
          const { heads, address } = new QuantizedRows(engine, [rows, columns], { rotated: false });
          assert.ok(address - heads >= bytesOfHeads(form, rows, columns));
          assert.is(bytesOfHeads(form, rows, columns), Math.ceil(rows / block) * block * headBytes(columns));
          assert.ok(engine.allocate(0) - address >= bytesOfRows(form, rows, columns));
          assert.is(bytesOfRows(form, rows, columns), Math.ceil(rows / block) * block * rowBytes(columns, bytes));
        });
      }
    });
  }
});

test.run();
