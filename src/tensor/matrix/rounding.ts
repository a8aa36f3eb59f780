import { GROUP, groupsOf } from './int8Layout.ts';

/** Of the mean variance, added to every variance: how a few photographs' inputs go together is not how all do. 0.001 and 0.01 are worse. */
const DAMPING = 0.1;

/**
 * Weights as integers whose errors make up for one another: each is the nearest to what is wished for after the errors of those before it, given how the
 * inputs of a group go together (Frantar et al. 2022, "GPTQ"). The errors of a group are not made up for in others, so that what is kept and computed
 * grows with the inputs and not with their square.
 * @param weight (outputs, inputs)
 * @param scales (outputs, groups)
 * @param covariance (inputs, 128), as of InputStatistics
 * @returns (outputs, inputs), -127 to 127
 */
export function compensatedIntegers(weight: Float32Array, scales: Float32Array, covariance: Float32Array): Int8Array {
  const inputs = covariance.length / GROUP;
  const groups = groupsOf(inputs);
  const integers = new Int8Array(weight.length);
  const wanted = new Float64Array(GROUP);
  for (let group = 0; group < groups; group++) {
    const first = group * GROUP;
    const count = Math.min(GROUP, inputs - first);
    const factors = compensation(covariance.subarray(first * GROUP, (first + count) * GROUP));
    for (let start = first, s = group; start < weight.length; start += inputs, s += groups) {
      const scale = scales[s] as number;
      for (let j = 0; j < count; j++) wanted[j] = weight[start + j] as number;
      for (let j = 0; j < count; j++) {
        const integer = Math.max(-127, Math.min(127, Math.round((wanted[j] as number) / scale)));
        integers[start + j] = integer;
        const error = (weight[start + j] as number) - integer * scale;
        for (let k = j + 1, f = j * count + k; k < count; k++, f++) (wanted[k] as number) += (factors[f] as number) * error;
      }
    }
  }
  return integers;
}

/**
 * How much of the error of weight j weight k > j is to make up for, at [j, k] (count, count): with these factors in F and ones on its diagonal the
 * covariance (count, 128) of the inputs, damped, is F D F^T with a diagonal D, so that errors e cost the sum of D times the squares of F^T e, in which k
 * has what is left of the errors of those before it.
 */
function compensation(covariance: Float32Array): Float64Array {
  const count = covariance.length / GROUP;
  const rest = new Float64Array(count * count);
  for (let i = 0; i < count; i++) rest.set(covariance.subarray(i * GROUP, i * GROUP + count), i * count);
  let variance = 0;
  for (let i = 0; i < count; i++) variance += (rest[i * count + i] as number) / count;
  for (let i = 0; i < count; i++) (rest[i * count + i] as number) += DAMPING * variance || 1; // 1: of inputs that never vary
  const factors = new Float64Array(count * count);
  for (let k = count - 1; k > 0; k--) {
    for (let i = 0; i < k; i++) {
      const factor = (rest[k * count + i] as number) / (rest[k * count + k] as number);
      factors[i * count + k] = factor;
      for (let j = 0; j < k; j++) (rest[i * count + j] as number) -= factor * (rest[k * count + j] as number);
    }
  }
  return factors;
}
