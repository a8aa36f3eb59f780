import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputObserver } from '../../../src/tensor/matrix/calibration.ts';
import { GROUP, groupsOf } from '../../../src/tensor/matrix/int8Layout.ts';
import { compensatedIntegers } from '../../../src/tensor/matrix/rounding.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import * as reference from '../../reference/ops.ts';
import { randomFloats } from '../../reference/random.ts';

const nearest = (weight: Float32Array, scales: Float32Array, inputs: number): Int8Array =>
  Int8Array.from(weight, (w, e) => Math.round(w / (scales[scaleAt(e, inputs)] as number)));

const scaleAt = (e: number, inputs: number): number => Math.floor(e / inputs) * groupsOf(inputs) + Math.floor((e % inputs) / GROUP);

test('inputs that have nothing to do with one another leave each weight the nearest integer', () => {
  const [outputs, inputs] = [5, GROUP + 3];
  const weight = randomFloats(outputs * inputs, 1);
  const scales = randomFloats(outputs * 2, 2).map((x) => 0.01 + Math.abs(x) / 50);
  const covariance = new Float32Array(inputs * GROUP);
  for (let i = 0; i < inputs; i++) covariance[i * GROUP + (i % GROUP)] = i;
  const limited = weight.map((w, e) => Math.max(-127, Math.min(127, w / (scales[scaleAt(e, inputs)] as number))));
  assert.equal(compensatedIntegers(weight, scales, covariance), Int8Array.from(limited, Math.round));
  assert.equal(compensatedIntegers(weight, scales, covariance.fill(0)), Int8Array.from(limited, Math.round), 'inputs that never vary');
});

test('errors of weights make up for one another where inputs go together', () => {
  const [outputs, inputs, rows] = [6, GROUP + 40, 600];
  // each row is a mixture of five patterns, and a little of its own
  const patterns = randomFloats(5 * inputs, 1);
  const shares = randomFloats(5 * rows, 2);
  const own = randomFloats(rows * inputs, 3, 0.02);
  const x = own.map((value, e) => {
    const [r, i] = [Math.floor(e / inputs), e % inputs];
    return value + reference.sum(5, (p) => (shares[r * 5 + p] as number) * (patterns[p * inputs + i] as number));
  });
  const observer = new InputObserver();
  observer.see(new Tensor('float32', x, [rows, inputs]));
  const weight = randomFloats(outputs * inputs, 4);
  const scales = new Float32Array(outputs * 2).fill(1 / 16);
  const off = (integers: Int8Array): number => {
    let squares = 0;
    for (let r = 0; r < rows; r++) {
      for (let o = 0; o < outputs; o++) {
        let error = 0;
        for (let i = 0; i < inputs; i++) {
          error += ((weight[o * inputs + i] as number) - (integers[o * inputs + i] as number) / 16) * (x[r * inputs + i] as number);
        }
        squares += error * error;
      }
    }
    return squares;
  };
  const covariance = observer.statistics?.covariance as Float32Array;
  const [before, after] = [off(nearest(weight, scales, inputs)), off(compensatedIntegers(weight, scales, covariance))];
  assert.ok(after < 0.1 * before, `${after} of ${before}`);
});

test.run();
