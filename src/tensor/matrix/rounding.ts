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
  const errors = new Float64Array(GROUP);
  for (let group = 0; group < groups; group++) {
    const first = group * GROUP;
    const count = Math.min(GROUP, inputs - first);
    const factors = compensation(covariance.subarray(first * GROUP, (first + count) * GROUP));
    for (let start = first, s = group; start < weight.length; start += inputs, s += groups) {
      const scale = scales[s] as number;
      for (let k = 0; k < count; k++) {
        const given = weight[start + k] as number;
        let wanted = given;
        for (let j = 0, f = k * count; j < k; j++, f++) wanted += (factors[f] as number) * (errors[j] as number);
        const integer = Math.max(-127, Math.min(127, Math.round(wanted / scale)));
        integers[start + k] = integer;
        errors[k] = given - integer * scale;
      }
    }
  }
  return integers;
}

/**
 * How much of the error of weight j weight k > j is to make up for, at [k, j] (count, count): the covariance C (count, 128) of their inputs, damped, is
 * L D L^T with L^T their triangle of ones on the diagonal, so that e^T C e is the sum over k of D[k] times the square of what is left at k.
 */
function compensation(covariance: Float32Array): Float64Array {
  const count = covariance.length / GROUP;
  const rest = Float64Array.from({ length: count * count }, (_, e) => covariance[Math.floor(e / count) * GROUP + (e % count)] as number);
  let variance = 0;
  for (let i = 0; i < count; i++) variance += rest[i * count + i] as number;
  for (let i = 0; i < count; i++) (rest[i * count + i] as number) += (DAMPING * variance) / count || 1; // 1: of inputs that never vary
  const factors = new Float64Array(count * count);
  for (let k = count - 1; k > 0; k--) {
    const pivot = rest[k * count + k] as number;
    for (let i = 0; i < k; i++) factors[k * count + i] = (rest[k * count + i] as number) / pivot;
    for (let i = 0; i < k; i++) {
      const factor = factors[k * count + i] as number;
      for (let j = 0; j < k; j++) (rest[i * count + j] as number) -= factor * (rest[k * count + j] as number);
    }
  }
  return factors;
}
