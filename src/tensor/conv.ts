import { ArgumentError, ShapeError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import type { Activation } from '../runtime/kernels.ts';
import type { Address } from '../runtime/memory.ts';
import type { Band } from './matrix/band.ts';
import { Float32Matrix } from './matrix/floatMatrix.ts';
import type { PackedMatrix } from './matrix/packedMatrix.ts';
import { addressOf, checkDims, type Float32, operate, place } from './place.ts';
import { rowSampler } from './resample.ts';
import { sizeOf, type Tensor } from './tensor.ts';

/** Height and width of a kernel. */
export type Kernel = readonly [height: number, width: number];

/** How the weight of a convolution becomes the matrix (outputs, inputs) of a product, and back. */
export interface WeightOrder {
  readonly outputs: number;
  readonly inputs: number;
  /** Of the inputs those of one place of the kernel; default all. */
  readonly width?: number;
  toMatrix(weight: Float32): Float32;
  toWeight(matrix: Float32): Float32;
  /** Whether both have their elements in one order. */
  readonly isSame?: boolean;
}

export interface ConvolutionOptions {
  /** Default 1. */
  stride?: number;
  /** Zeros on every side; default 0. */
  padding?: number;
  /** Of the result; default none. */
  activation?: Activation;
  /** Whether x goes through a ReLU first, as in units with the activation in front (He et al. 2016, "Identity mappings"). Default false. */
  inputRelu?: boolean;
}

/** Bytes of patches that are shown, or of a product that becomes pixels, that are there at a time. */
const STRIP_BYTES = 2 ** 18;

/** Bytes of an image, enlarged and with its padding on it, that are there at a time. */
const BAND_BYTES = 2 ** 20;

/**
 * `torch.nn.functional.conv2d` on an image with the channels last: x (rows, columns, inputs), weight (outputs, inputs, kernel height,
 * kernel width), bias (outputs) -> (floor((rows + 2 padding - kernel height) / stride) + 1, likewise of the columns, outputs)
 * @throws {ShapeError} naming the operand, {DTypeError} unless float32, {ArgumentError} naming the option
 */
export function conv2d(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvolutionOptions = {}): Float32 {
  checkDims('conv2d: x', [-1, -1, -1], x.dims);
  checkDims('conv2d: weight', [-1, x.dims[2] as number, -1, -1], weight.dims);
  const dims = weight.dims as [number, number, number, number];
  if (bias) checkDims('conv2d: bias', [dims[0]], bias.dims);
  return operate('conv2d', [x, weight, bias], (engine, [a, w, b]) =>
    convolve(engine, a, packed(engine, convolutionOrder(...dims), w, b), [dims[2], dims[3]], options),
  );
}

/**
 * `torch.nn.functional.conv_transpose2d` with a stride that is the kernel, so that no two outputs overlap, on an image with the channels
 * last: x (rows, columns, inputs), weight (inputs, outputs, kernel height, kernel width), bias (outputs) -> (rows * kernel height, columns
 * * kernel width, outputs)
 * @throws {ShapeError} naming the operand, {DTypeError} unless float32
 */
export function convTranspose2d(x: Tensor, weight: Tensor, bias?: Tensor): Float32 {
  checkDims('convTranspose2d: x', [-1, -1, -1], x.dims);
  checkDims('convTranspose2d: weight', [x.dims[2] as number, -1, -1, -1], weight.dims);
  const dims = weight.dims as [number, number, number, number];
  if (bias) checkDims('convTranspose2d: bias', [dims[1]], bias.dims);
  return operate('convTranspose2d', [x, weight, bias], (engine, [a, w, b]) => {
    const order = transposedOrder(...dims);
    return convolveTransposed(engine, a, packed(engine, order, w, b && repeat(b, dims[2] * dims[3])), [dims[2], dims[3]]);
  });
}

/**
 * Tensors beside one another along the last dimension: (..., c1), (..., c2), ... -> (..., c1 + c2 + ...). A vector (c) is repeated at every
 * place.
 * @throws {ShapeError} naming the operand, {DTypeError} unless float32
 */
export function concatChannels(...tensors: readonly [Tensor, ...Tensor[]]): Float32 {
  const leading = tensors.reduce((a, b) => (b.dims.length > a.dims.length ? b : a)).dims.slice(0, -1);
  for (const [i, { dims }] of tensors.entries()) {
    checkDims(`concatChannels: tensor ${i}`, dims.length === 1 ? [-1] : [...leading, -1], dims);
  }
  const widths = tensors.map(({ dims }) => dims.at(-1) as number);
  const width = widths.reduce((sum, c) => sum + c, 0);
  return operate('concatChannels', tensors, (engine, operands) => {
    const y = place(engine, 'float32', [...leading, width]);
    let target = addressOf(y);
    for (const [i, x] of operands.entries()) {
      const columns = widths[i] as number;
      engine.call('f32_copy_rows', sizeOf(leading), columns, addressOf(x), x.dims.length === 1 ? 0 : columns, target, width);
      target += columns * 4;
    }
    return y;
  });
}

/**
 * weight (outputs, inputs, height, width) and matrix (outputs, height * width * inputs): the order of a patch of an image with the channels
 * last
 */
export function convolutionOrder(outputs: number, inputs: number, height: number, width: number): WeightOrder {
  const area = height * width;
  return {
    outputs,
    inputs: area * inputs,
    width: inputs,
    toMatrix: (weight) => swapAxes(weight, [outputs, inputs, area, 1]).reshape(outputs, area * inputs),
    toWeight: (matrix) => swapAxes(matrix, [outputs, area, inputs, 1]).reshape(outputs, inputs, height, width),
  };
}

/**
 * weight (inputs, outputs, height, width) and matrix (height * width * outputs, inputs): each input pixel becomes a block of output pixels
 */
export function transposedOrder(inputs: number, outputs: number, height: number, width: number): WeightOrder {
  const area = height * width;
  return {
    outputs: area * outputs,
    inputs,
    toMatrix: (weight) => {
      const turned = swapAxes(weight, [1, inputs, outputs * area, 1]); // (outputs * area, inputs)
      return swapAxes(turned, [1, outputs, area, inputs]).reshape(area * outputs, inputs);
    },
    toWeight: (matrix) => {
      const turned = swapAxes(matrix, [1, area, outputs, inputs]); // (outputs * area, inputs)
      return swapAxes(turned, [1, outputs * area, inputs, 1]).reshape(inputs, outputs, height, width);
    },
  };
}

/** x (n), `times` times in a row: -> (times * n) */
export function repeat(x: Float32, times: number): Float32 {
  return operate('repeat', [x], (engine, [a]) => {
    const y = place(engine, 'float32', [times * a.size]);
    engine.call('f32_copy_rows', times, a.size, addressOf(a), 0, addressOf(y), a.size);
    return y;
  });
}

export interface ConvolveOptions extends ConvolutionOptions {
  /** To which the result is added, in place: no part of x. */
  residual?: Float32;
  /** To which x is enlarged first, bilinear with the centres of the corners kept, a band of rows at a time: the whole would be several times x. */
  enlargeTo?: readonly [height: number, width: number];
}

/**
 * A convolution by a packed matrix in {@link convolutionOrder}: x (rows, columns, inputs) -> (rows, columns, outputs), or added in place to
 * `residual`. A band of rows of the image is got ready at a time, so that memory beyond x and the result stays small.
 */
export function convolve(
  engine: Engine,
  x: Float32,
  matrix: PackedMatrix,
  kernel: Kernel,
  { stride = 1, padding = 0, activation = 'none', inputRelu = false, residual, enlargeTo }: ConvolveOptions = {},
): Float32 {
  checkDims('convolution: x', [-1, -1, matrix.inputs / (kernel[0] * kernel[1])], x.dims);
  const [xRows, xColumns, channels] = x.dims as [number, number, number];
  const [height, width] = enlargeTo ?? [xRows, xColumns];
  const isEnlarged = height !== xRows || width !== xColumns;
  const [rows, columns] = outputSize([height, width], kernel, stride, padding);
  const dims = [rows, columns, matrix.outputs];
  if (residual) checkDims('convolution: residual', dims, residual.dims);
  const isPlain = kernel[0] * kernel[1] === 1 && stride === 1 && padding === 0 && !inputRelu && !isEnlarged;
  if (isPlain && !residual) return matrix.multiply(x, activation);

  const y = residual ?? place(engine, 'float32', dims);
  const rowBytes = width * channels * 4;
  const bandRows = Math.max(1, Math.floor(BAND_BYTES / Math.max(1, rowBytes) / stride));
  const sample = isEnlarged && rowSampler([xRows, xColumns], { height, width, filter: 'bilinear', alignCorners: true });
  /** Where the image would begin of which the rows under some of the output are there. */
  const imageUnder = (top: number, bottom: number): Address => {
    if (!sample) return addressOf(x);
    const first = Math.max(0, top * stride - padding);
    const end = Math.max(first, Math.min(height, (bottom - 1) * stride - padding + kernel[0]));
    const seen = place(engine, 'float32', [end - first, width, channels]);
    if (end > first) sample(x, [first, end], seen);
    return addressOf(seen) - first * rowBytes;
  };
  engine.scope(() => {
    const weights = rows > bandRows ? matrix.widened() : matrix;
    for (let top = 0; top < rows; top += bandRows) {
      engine.scope(() => {
        const bottom = Math.min(rows, top + bandRows);
        const image = imageUnder(top, bottom);
        const band = { image, size: [height, width, channels], kernel, stride, padding, inputRelu, top, bottom, columns } as const;
        if (matrix.isWatched) showPatches(engine, matrix, band);
        const target = addressOf(y.slice(top, bottom));
        weights.convolve(band, target, matrix.outputs, residual ? 'add' : activation);
      });
    }
  });
  return y;
}

/** Shows those who watch the matrix of a convolution the patches that it is multiplied with, a strip at a time. */
function showPatches(engine: Engine, matrix: PackedMatrix, band: Band): void {
  const { image, size, kernel, stride, padding, inputRelu, top, bottom, columns } = band;
  const step = Math.max(1, Math.floor(STRIP_BYTES / 4 / Math.max(1, matrix.inputs)));
  for (let first = top * columns; first < bottom * columns; first += step) {
    engine.scope(() => {
      const count = Math.min(step, bottom * columns - first);
      const patches = place(engine, 'float32', [count, matrix.inputs]);
      const window = [...size, ...kernel, stride, padding, columns, first, count] as const;
      engine.call('f32_im2col', ...window, inputRelu ? 0 : Number.NEGATIVE_INFINITY, image, addressOf(patches));
      matrix.show(patches);
    });
  }
}

/**
 * A transposed convolution whose stride is its kernel, by a packed matrix in {@link transposedOrder}:
 * x (rows, columns, inputs) -> (rows * height, columns * width, outputs)
 */
export function convolveTransposed(engine: Engine, x: Float32, matrix: PackedMatrix, [height, width]: Kernel): Float32 {
  checkDims('transposed convolution: x', [-1, -1, matrix.inputs], x.dims);
  const [rows, columns] = x.dims as [number, number, number];
  const outputs = matrix.outputs / (height * width);
  const y = place(engine, 'float32', [rows, height, columns, width * outputs]);
  const step = Math.max(1, Math.floor(STRIP_BYTES / 4 / Math.max(1, columns * matrix.outputs)));
  engine.scope(() => {
    const weights = rows > step ? matrix.widened() : matrix;
    for (let first = 0; first < rows; first += step) {
      engine.scope(() => {
        const end = Math.min(rows, first + step);
        const product = weights.multiply(x.slice(first, end)); // (rows, columns, height * width * outputs)
        engine.call('f32_swap_axes', end - first, columns, height, width * outputs, addressOf(product), addressOf(y.slice(first, end)));
      });
    }
  });
  return y.reshape(rows * height, columns * width, outputs);
}

function packed(engine: Engine, order: WeightOrder, weight: Float32, bias: Float32 | undefined): PackedMatrix {
  const matrix = new Float32Matrix(engine, order.outputs, order.inputs);
  engine.scope(() => matrix.pack(order.toMatrix(weight), bias));
  return matrix;
}

/** (outer, rows, columns, run) -> (outer, columns, rows, run), whatever x calls its dimensions */
function swapAxes(x: Float32, [outer, rows, columns, run]: readonly [number, number, number, number]): Float32 {
  return operate('swapAxes', [x], (engine, [a]) => {
    const y = place(engine, 'float32', [outer, columns, rows, run]);
    engine.call('f32_swap_axes', outer, rows, columns, run, addressOf(a), addressOf(y));
    return y;
  });
}

function outputSize(size: readonly [number, number], kernel: Kernel, stride: number, padding: number): [rows: number, columns: number] {
  if (!(Number.isSafeInteger(stride) && stride > 0)) {
    throw new ArgumentError(`convolution: stride: expected a positive integer, found ${stride}`);
  }
  if (!(Number.isSafeInteger(padding) && padding >= 0)) {
    throw new ArgumentError(`convolution: padding: expected an integer of at least 0, found ${padding}`);
  }
  const along = (axis: 0 | 1): number => Math.floor((size[axis] + 2 * padding - kernel[axis]) / stride) + 1;
  const [rows, columns] = [along(0), along(1)];
  if (rows < 1 || columns < 1) {
    throw new ShapeError(
      `convolution: expected an image of at least the kernel, ${kernel[0]} x ${kernel[1]}, found ${size[0]} x ${size[1]} padded by ${padding}`,
    );
  }
  return [rows, columns];
}
