export interface QuantizedWeight {
  /** (inputs, outputs): the transpose of the weight that was given. In -127..127. */
  readonly transposed: Int8Array;
  /** (outputs): what an integer is worth. */
  readonly scales: Float32Array;
}

/**
 * A weight (outputs, inputs) in 8 bits, the same integers as onnxruntime's `quantize_dynamic(per_channel=True)` makes (quant_utils.py: signed,
 * symmetric, 254 steps unless `reduce_range`): a scale for each output, max |w| / 127, or 1 where all is zero; ties go to the even integer.
 */
export function quantizeRows(weight: Float32Array, outputs: number): QuantizedWeight {
  const inputs = weight.length / outputs;
  const transposed = new Int8Array(weight.length);
  const scales = new Float32Array(outputs);
  for (let row = 0; row < outputs; row++) {
    const values = weight.subarray(row * inputs, (row + 1) * inputs);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scale = largest > 0 ? Math.fround((2 * largest) / 254) : 1;
    scales[row] = scale;
    for (let i = 0; i < inputs; i++) transposed[i * outputs + row] = roundHalfToEven(Math.fround(values[i] / scale));
  }
  return { transposed, scales };
}

function roundHalfToEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
