import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { biasCorrection, InputObserver, type InputStatistics } from '../../../src/tensor/matrix/calibration.ts';
import { GROUP } from '../../../src/tensor/matrix/int8Layout.ts';
import { assertWithin } from '../../reference/compare.ts';
import * as reference from '../../reference/ops.ts';
import { randomTensor } from '../helpers.ts';

test('an observer gives the mean and the covariance of each input over all rows of all batches, and nothing before the first', () => {
  for (const inputs of [5, GROUP + 3]) {
    const observer = new InputObserver();
    assert.is(observer.statistics, undefined);
    const batches = [randomTensor([2, 3, inputs], 1), randomTensor([600, inputs], 2)];
    for (const batch of batches) observer.see(batch);
    const all = batches.flatMap(({ data }) => [...data]);
    const rows = all.length / inputs;
    const x = (r: number, i: number): number => all[r * inputs + i] as number;
    const mean = Array.from({ length: inputs }, (_, i) => reference.sum(rows, (r) => x(r, i)) / rows) as number[];
    const { mean: found, covariance } = observer.statistics as InputStatistics;
    assertWithin(found, mean, 1e-7);
    const expected = Array.from({ length: inputs * GROUP }, (_, e) => {
      const i = Math.floor(e / GROUP);
      const j = i - (i % GROUP) + (e % GROUP);
      if (j >= inputs) return 0;
      return reference.sum(rows, (r) => (x(r, i) - (mean[i] as number)) * (x(r, j) - (mean[j] as number))) / rows;
    });
    assertWithin(covariance, expected, 1e-6);
  }
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
