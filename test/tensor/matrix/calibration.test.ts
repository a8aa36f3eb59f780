import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { biasCorrection, InputObserver } from '../../../src/tensor/matrix/calibration.ts';
import { assertWithin } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomTensor } from '../helpers.ts';

test('an observer gives the mean of each input over all rows of all batches, and nothing before the first', () => {
  const observer = new InputObserver();
  assert.is(observer.mean, undefined);
  const batches = [randomTensor([2, 3, 5], 1), randomTensor([4, 5], 2)];
  for (const batch of batches) observer.see(batch);
  const rows = batches.flatMap(({ data }) => [...data]);
  for (let i = 0; i < 5; i++)
    assertWithin([observer.mean?.[i] as number], [reference.sum(10, (r) => rows[r * 5 + i] as number) / 10], 1e-7, `input ${i}`);
});

test('with the correction, the mean of the outputs is what it was before rounding', () => {
  const [outputs, inputs] = [6, 20];
  const [weight, mean] = [randomTensor([outputs, inputs], 1), randomTensor([inputs], 3, 2).data];
  const rounded = weight.clone();
  for (const [e, value] of rounded.data.entries()) rounded.data[e] = Math.round(value * 20) / 20;
  const correction = biasCorrection(weight, rounded, mean);
  const output = (of: Float32Array, o: number): number =>
    reference.sum(inputs, (i) => (of[o * inputs + i] as number) * (mean[i] as number));
  for (let o = 0; o < outputs; o++) {
    assertWithin([output(rounded.data, o) + (correction[o] as number)], [output(weight.data, o)], 1e-6, `output ${o}`);
  }
});

test.run();
