import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { quantizeRows } from '../../../bench/engines/onnx/quantize.ts';
import { randomTensor } from '../../tensor/helpers.ts';

test('a scale for each output, its largest weight at 127, no weight further off than half a step, transposed', () => {
  const [outputs, inputs] = [5, 7];
  const { data } = randomTensor([outputs, inputs], 1);
  const { transposed, scales } = quantizeRows(data, outputs);
  for (let row = 0; row < outputs; row++) {
    const own = Array.from({ length: inputs }, (_, i) => transposed[i * outputs + row] as number);
    assert.is(Math.max(...own.map(Math.abs)), 127);
    for (const [i, integer] of own.entries()) {
      const error = Math.abs(integer * (scales[row] as number) - (data[row * inputs + i] as number));
      assert.ok(error <= (scales[row] as number) * 0.50001, `[${row}, ${i}]: ${error}`);
    }
  }
});

test('ties go to the even integer, an output without weights has the scale 1', () => {
  const { transposed, scales } = quantizeRows(Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5, 0, 0, 0, 0, 0, 0), 2);
  assert.equal(Array.from(scales), [1, 1]);
  assert.equal(
    Array.from(transposed).filter((_, i) => i % 2 === 0),
    [127, 0, 2, 2, 0, -2],
  );
});

test.run();
