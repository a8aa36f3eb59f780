import type { Float32 } from '../place.ts';

/** Gathers the mean of the inputs of a linear layer, batch by batch. */
export class InputObserver {
  #sum = new Float64Array(0);
  #rows = 0;

  /** x (..., inputs) */
  see(x: Float32): void {
    const inputs = x.dims.at(-1) as number;
    if (this.#rows === 0) this.#sum = new Float64Array(inputs);
    const { data } = x;
    for (let e = 0; e < data.length; e += inputs) {
      for (let i = 0; i < inputs; i++) (this.#sum[i] as number) += data[e + i] as number;
      this.#rows++;
    }
  }

  /** (inputs); undefined before the first batch */
  get mean(): Float32Array | undefined {
    return this.#rows === 0 ? undefined : Float32Array.from(this.#sum, (sum) => sum / this.#rows);
  }
}

/**
 * What rounding takes from the mean of the outputs, for the bias to give back (Nagel et al. 2019, "Data-free quantization through weight equalization
 * and bias correction"): weight and rounded (outputs, inputs), the mean of the inputs (inputs) -> (outputs)
 */
export function biasCorrection(weight: Float32, rounded: Float32, mean: Float32Array): Float32Array {
  const [outputs, inputs] = weight.dims as [number, number];
  const [before, after] = [weight.data, rounded.data];
  return Float32Array.from({ length: outputs }, (_, o) => {
    let missing = 0;
    for (let i = 0, e = o * inputs; i < inputs; i++, e++) missing += ((before[e] as number) - (after[e] as number)) * (mean[i] as number);
    return missing;
  });
}
