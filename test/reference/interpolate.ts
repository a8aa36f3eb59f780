export interface Interpolation {
  size: readonly [height: number, width: number];
  mode: 'bilinear' | 'bicubic';
  alignCorners?: boolean;
  antialias?: boolean;
  scaleFactor?: readonly [height: number, width: number];
}

/**
 * `torch.nn.functional.interpolate` in float64, each output pixel a sum over all input pixels:
 * x (rows, columns, channels) -> (height, width, channels). The formulas are those of ATen/native/UpSample.h and UpSampleKernel.cpp.
 */
export function interpolate(
  x: ArrayLike<number>,
  [rows, columns, channels]: readonly [number, number, number],
  { size: [height, width], mode, alignCorners = false, antialias = false, scaleFactor }: Interpolation,
): Float64Array {
  const weights = (inputs: number, outputs: number, factor: number | undefined, output: number): Float64Array => {
    const ratio = alignCorners ? (outputs > 1 ? (inputs - 1) / (outputs - 1) : 0) : factor !== undefined ? 1 / factor : inputs / outputs;
    return antialias ? windowed(inputs, ratio, output, mode) : clamped(inputs, ratio, output, mode, alignCorners);
  };
  const across = Array.from({ length: width }, (_, j) => weights(columns, width, scaleFactor?.[1], j));
  const result = new Float64Array(height * width * channels);
  for (let i = 0; i < height; i++) {
    const vertical = weights(rows, height, scaleFactor?.[0], i);
    for (const [j, horizontal] of across.entries()) {
      const own = result.subarray((i * width + j) * channels, (i * width + j + 1) * channels);
      for (let y = 0; y < rows; y++) {
        if (vertical[y] === 0) continue;
        for (let z = 0; z < columns; z++) {
          const weight = (vertical[y] as number) * (horizontal[z] as number);
          if (weight === 0) continue;
          for (let c = 0; c < channels; c++) own[c] = (own[c] as number) + weight * (x[(y * columns + z) * channels + c] as number);
        }
      }
    }
  }
  return result;
}

/** Without antialias: taps outside the image fall on its border. */
function clamped(inputs: number, ratio: number, output: number, mode: Interpolation['mode'], alignCorners: boolean): Float64Array {
  const weights = new Float64Array(inputs);
  const put = (index: number, weight: number): void => {
    const inside = Math.min(Math.max(index, 0), inputs - 1);
    weights[inside] = (weights[inside] as number) + weight;
  };
  const source = alignCorners ? ratio * output : ratio * (output + 0.5) - 0.5;
  if (mode === 'bilinear') {
    const real = Math.max(source, 0);
    const index = Math.min(Math.floor(real), inputs - 1);
    const lambda = Math.min(real - index, 1);
    put(index, 1 - lambda);
    put(index + 1, lambda);
    return weights;
  }
  const index = Math.floor(source);
  const t = source - index;
  for (const [tap, distance] of [1 + t, t, 1 - t, 2 - t].entries()) put(index - 1 + tap, keys(distance, -0.75));
  return weights;
}

/** With antialias: the filter is as wide as the ratio, cut at the border and normalised. */
function windowed(inputs: number, ratio: number, output: number, mode: Interpolation['mode']): Float64Array {
  const stretch = Math.max(ratio, 1);
  const support = (mode === 'bicubic' ? 2 : 1) * stretch;
  const center = ratio * (output + 0.5);
  const lowest = Math.max(Math.trunc(center - support + 0.5), 0);
  const highest = Math.min(Math.trunc(center + support + 0.5), inputs);
  const filter = (d: number): number => (mode === 'bicubic' ? keys(Math.abs(d), -0.5) : Math.max(0, 1 - Math.abs(d)));
  const weights = Float64Array.from({ length: inputs }, (_, i) => (i >= lowest && i < highest ? filter((i - center + 0.5) / stretch) : 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Keys' cubic at a distance of at least 0. */
function keys(d: number, a: number): number {
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
}
