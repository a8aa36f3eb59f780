import type { Float32 } from '../place.ts';
import type { QuantizedWeight } from './packedMatrix.ts';

/** What was seen of the inputs (..., inputs) of a linear layer. */
export interface InputStatistics {
  /** (inputs): the largest magnitude of each */
  readonly largest: Float32Array;
  /** (inputs): the mean of each */
  readonly mean: Float32Array;
}

/** How much of the spread of the inputs goes over to the weights (Xiao et al. 2023, "SmoothQuant"). */
const MIGRATION = 0.5;

/** A largest magnitude below it makes zeros with the scale 1, as in `assembly/gemm/i8_pack.ts`. */
const SMALLEST = 127 * 2 ** -110;

/** In relation to the largest magnitude: what is smaller takes part in no scale. */
const NEGLIGIBLE = 1e-5;

/**
 * Weights of 8 bits, made with knowledge of their inputs: weight (outputs, inputs) -> the integers, and what is to be added to the bias so that the
 * mean of the outputs stays what it was (Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction").
 * @param options smooth: divide inputs that vary much and multiply their weights instead
 */
export function quantizeWeight(
  weight: Float32,
  { largest, mean }: InputStatistics,
  { smooth }: { smooth: boolean },
): { weight: QuantizedWeight; correction: Float32Array } {
  const [outputs, inputs] = weight.dims as [number, number];
  const { data } = weight;
  const inputScales = smooth ? smoothingScales(data, inputs, largest) : undefined;
  const integers = new Int8Array(outputs * inputs);
  const scales = new Float32Array(outputs);
  const correction = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    const row = o * inputs;
    let top = 0;
    for (let i = 0; i < inputs; i++) top = Math.max(top, Math.abs(data[row + i] as number) * (inputScales?.[i] ?? 1)); // keeps NaN
    const scale = Math.fround(top < SMALLEST ? 1 : top / 127);
    let missing = 0;
    for (let i = 0; i < inputs; i++) {
      const factor = inputScales?.[i] ?? 1;
      const integer = Math.round(((data[row + i] as number) * factor) / scale);
      integers[row + i] = integer;
      missing += ((data[row + i] as number) - (integer * scale) / factor) * (mean[i] as number);
    }
    scales[o] = scale;
    correction[o] = missing;
  }
  return { weight: { integers, scales, inputScales }, correction };
}

/** largest input^a / largest weight^(1 - a) for each input, with a geometric mean of 1; none where all are zeros, or some are no numbers. */
function smoothingScales(weight: Float32Array, inputs: number, largest: Float32Array): Float32Array | undefined {
  const weights = new Float64Array(inputs);
  for (const [e, value] of weight.entries()) weights[e % inputs] = Math.max(weights[e % inputs] as number, Math.abs(value));
  const [leastInput, leastWeight] = [largest, weights].map((values) => NEGLIGIBLE * Math.max(...values)) as [number, number];
  if (!(leastInput > 0 && leastWeight > 0 && leastInput < Number.POSITIVE_INFINITY && leastWeight < Number.POSITIVE_INFINITY))
    return undefined;
  const logarithms = weights.map((w, i) => {
    const x = Math.max(leastInput, largest[i] as number);
    return MIGRATION * Math.log(x) - (1 - MIGRATION) * Math.log(Math.max(leastWeight, w));
  });
  const mean = logarithms.reduce((sum, value) => sum + value, 0) / inputs;
  return Float32Array.from(logarithms, (value) => Math.exp(value - mean));
}

/** Gathers statistics of inputs, batch by batch. */
export class InputObserver {
  #largest = new Float32Array(0);
  #sum = new Float64Array(0);
  #rows = 0;

  /** x (..., inputs) */
  see(x: Float32): void {
    const inputs = x.dims.at(-1) as number;
    if (this.#rows === 0) {
      this.#largest = new Float32Array(inputs);
      this.#sum = new Float64Array(inputs);
    }
    const { data } = x;
    for (let e = 0; e < data.length; e += inputs) {
      for (let i = 0; i < inputs; i++) {
        const value = data[e + i] as number;
        this.#largest[i] = Math.max(this.#largest[i] as number, Math.abs(value));
        (this.#sum[i] as number) += value;
      }
      this.#rows++;
    }
  }

  /** undefined before the first batch */
  get statistics(): InputStatistics | undefined {
    if (this.#rows === 0) return undefined;
    return { largest: this.#largest.slice(), mean: Float32Array.from(this.#sum, (sum) => sum / this.#rows) };
  }
}
