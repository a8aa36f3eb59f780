/** Convolutions and batch norm in float64 as the documentation of PyTorch defines them, on images with the channels last. */
type Numbers = ArrayLike<number>;

/** x (rows, columns, inputs), weight (outputs, inputs, kernel height, kernel width) -> (rows out, columns out, outputs) */
export function conv2d(
  x: Numbers,
  [rows, columns, inputs]: readonly [number, number, number],
  weight: Numbers,
  [outputs, , kernelHeight, kernelWidth]: readonly [number, number, number, number],
  bias: Numbers | undefined,
  { stride = 1, padding = 0 }: { stride?: number; padding?: number } = {},
): { dims: number[]; data: Float64Array } {
  const height = Math.floor((rows + 2 * padding - kernelHeight) / stride) + 1;
  const width = Math.floor((columns + 2 * padding - kernelWidth) / stride) + 1;
  const data = new Float64Array(height * width * outputs);
  for (let e = 0; e < data.length; e++) {
    const [i, j, o] = [Math.floor(e / outputs / width), Math.floor(e / outputs) % width, e % outputs];
    let total = bias ? (bias[o] as number) : 0;
    for (let k = 0; k < kernelHeight; k++) {
      for (let l = 0; l < kernelWidth; l++) {
        const [y, z] = [i * stride - padding + k, j * stride - padding + l];
        if (y < 0 || z < 0 || y >= rows || z >= columns) continue; // zeros around the image
        for (let c = 0; c < inputs; c++) {
          const factor = weight[((o * inputs + c) * kernelHeight + k) * kernelWidth + l] as number;
          total += factor * (x[(y * columns + z) * inputs + c] as number);
        }
      }
    }
    data[e] = total;
  }
  return { dims: [height, width, outputs], data };
}

/**
 * x (rows, columns, inputs), weight (inputs, outputs, height, width), a stride of the kernel -> (rows height, columns width, outputs): each
 * pixel adds its block
 */
export function convTranspose2d(
  x: Numbers,
  [rows, columns, inputs]: readonly [number, number, number],
  weight: Numbers,
  [, outputs, height, width]: readonly [number, number, number, number],
  bias: Numbers | undefined,
): Float64Array {
  const y = Float64Array.from({ length: rows * height * columns * width * outputs }, (_, e) => (bias ? (bias[e % outputs] as number) : 0));
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      for (let c = 0; c < inputs; c++) {
        for (let o = 0; o < outputs; o++) {
          for (let k = 0; k < height; k++) {
            for (let l = 0; l < width; l++) {
              const at = ((i * height + k) * columns * width + j * width + l) * outputs + o;
              const factor = weight[((c * outputs + o) * height + k) * width + l] as number;
              y[at] = (y[at] as number) + factor * (x[(i * columns + j) * inputs + c] as number);
            }
          }
        }
      }
    }
  }
  return y;
}

/** x (..., channels) -> (..., channels) */
export function batchNorm(
  x: Numbers,
  { weight, bias, running_mean, running_var }: Record<'weight' | 'bias' | 'running_mean' | 'running_var', Numbers>,
  epsilon: number,
): Float64Array {
  const at = (values: Numbers, e: number): number => values[e % values.length] as number;
  return Float64Array.from(x, (value, e) => {
    return ((value - at(running_mean, e)) / Math.sqrt(at(running_var, e) + epsilon)) * at(weight, e) + at(bias, e);
  });
}
