import { ArgumentError, ConfigError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { Limits } from '../limits.ts';
import { checkDims } from '../tensor/place.ts';
import { resample } from '../tensor/resample.ts';
import { Tensor } from '../tensor/tensor.ts';
import { checkSize } from './pixels.ts';
import {
  COMMON_DEFAULTS,
  COMMON_FIELDS,
  EXTENT,
  type Extent,
  type Field,
  FLAG,
  ImageProcessor,
  isPixelCount,
  type ProcessorConfig,
  type ProcessorKind,
  type ProcessorOptions,
} from './processing.ts';
import type { ReadOptions } from './rawImage.ts';

/** The fields of preprocessor_config.json; defaults are those of `DPTImageProcessor` of transformers, not those of released models. */
export interface DPTImageProcessorConfig extends ProcessorConfig {
  /** What to resize to, or with keep_aspect_ratio about to; a number is both. Default 384 x 384. */
  readonly size: Extent;
  /** Scales both edges alike, so that the one that changes least becomes as in size. Default false. */
  readonly keep_aspect_ratio: boolean;
  /** Resizes to multiples of so many pixels, the nearest. Default 1. */
  readonly ensure_multiple_of: number;
  /** Puts zeros around the normalised picture, up to multiples of size_divisor. Default false. */
  readonly do_pad: boolean;
  /** In pixels. Default null: none is needed without do_pad. */
  readonly size_divisor: number | null;
  /** Of each channel, or of all. Default 0.5. */
  readonly image_mean: number | readonly number[];
  /** Of each channel, or of all. Default 0.5. */
  readonly image_std: number | readonly number[];
}

/** The fields as they may be written: any of them, sizes also as numbers, null for the default. Others are kept and written back. */
export type DPTImageProcessorOptions = ProcessorOptions<DPTImageProcessorConfig>;

const COUNT: Field<number> = { expected: 'a number of pixels', parse: (found) => (isPixelCount(found) ? found : undefined) };

const DPT: ProcessorKind<DPTImageProcessorConfig> = {
  type: 'DPTImageProcessor',
  defaults: {
    ...COMMON_DEFAULTS,
    size: { height: 384, width: 384 },
    keep_aspect_ratio: false,
    ensure_multiple_of: 1,
    do_pad: false,
    size_divisor: null,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  },
  fields: {
    ...COMMON_FIELDS,
    size: EXTENT,
    keep_aspect_ratio: FLAG,
    ensure_multiple_of: COUNT,
    do_pad: FLAG,
    size_divisor: COUNT,
  },
};

/** What is called with pictures and has the fields of the configuration. */
const DPTBase = ImageProcessor as Pick<typeof ImageProcessor, 'from_pretrained'> &
  (abstract new (
    ...args: ConstructorParameters<typeof ImageProcessor<DPTImageProcessorConfig>>
  ) => DPTImageProcessorConfig & ImageProcessor<DPTImageProcessorConfig>);

/** The depth of one picture. */
export interface DepthEstimate {
  /** (height, width) */
  predicted_depth: Tensor<'float32'>;
}

/**
 * Pictures into the numbers a depth model takes, as `DPTImageProcessor` of transformers does it with Pillow: RGB, resize, rescale,
 * normalise, pad. Used as, and throws as, {@link BitImageProcessor}.
 */
export class DPTImageProcessor extends DPTBase {
  /** @throws {ConfigError} naming a field of a wrong type */
  constructor(config: DPTImageProcessorOptions = {}, reading: Pick<ReadOptions, 'limits'> = {}) {
    super(DPT, config, reading);
  }

  /**
   * The depth of each picture, brought to a size by bicubic interpolation as transformers does; bicubic may go a little below the least
   * and above the largest.
   * @param outputs of a depth model: predicted_depth (batch, height, width)
   * @param target_sizes [height, width] of each, such as `original_sizes` of the processor; null, or none at all, leaves the size
   * @throws {ArgumentError} {ShapeError} when they do not fit
   */
  post_process_depth_estimation(
    { predicted_depth }: { readonly predicted_depth: Tensor<'float32'> },
    target_sizes?: readonly (readonly [height: number, width: number] | null)[] | null,
  ): DepthEstimate[] {
    checkDims('predicted_depth', [-1, -1, -1], predicted_depth.dims);
    const batch = predicted_depth.dims[0] as number;
    if (target_sizes && !(Array.isArray(target_sizes) && target_sizes.length === batch && target_sizes.every(isTarget))) {
      throw new ArgumentError(`target_sizes: expected [height, width] for each of ${batch} pictures, found ${describe(target_sizes)}`);
    }
    return Array.from({ length: batch }, (_, i) => {
      const size = target_sizes?.[i];
      return { predicted_depth: size ? resizeDepth(predicted_depth.at(i), size) : predicted_depth.at(i) };
    });
  }

  /** transformers, models/dpt/image_processing_dpt.py, `get_resize_output_image_size` */
  protected override targetSize(
    { height, width }: Extent,
    { size, keep_aspect_ratio, ensure_multiple_of }: DPTImageProcessorConfig,
  ): Extent {
    let [down, across] = [size.height / height, size.width / width];
    if (keep_aspect_ratio) {
      const nearest = Math.abs(1 - across) < Math.abs(1 - down) ? across : down;
      [down, across] = [nearest, nearest];
    }
    const toMultiple = (pixels: number): number => roundHalfToEven(pixels / ensure_multiple_of) * ensure_multiple_of;
    return { height: toMultiple(down * height), width: toMultiple(across * width) };
  }

  protected override pad(
    values: Tensor<'float32'>,
    { do_pad, size_divisor }: DPTImageProcessorConfig,
    limits: Limits | undefined,
  ): Tensor<'float32'> {
    if (!do_pad) return values;
    if (size_divisor === null) throw new ConfigError('image processor: size_divisor: expected a number of pixels with do_pad, found null');
    return padToMultiple(values, size_divisor, limits);
  }
}

function isTarget(size: unknown): boolean {
  return size == null || (Array.isArray(size) && size.length === 2 && size.every(isPixelCount));
}

/** Python's `round`. */
function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const isHalf = x - floor === 0.5;
  return isHalf ? floor + (floor % 2) : Math.round(x);
}

/** Zeros on all sides of the planes (batch, channels, height, width), an odd one below and to the right. */
function padToMultiple(values: Tensor<'float32'>, divisor: number, limits: Limits | undefined): Tensor<'float32'> {
  const [batch, channels, height, width] = values.dims as [number, number, number, number];
  const [rows, columns] = [Math.ceil(height / divisor) * divisor, Math.ceil(width / divisor) * divisor];
  checkSize('image processor: size_divisor', columns, rows, limits);
  const [top, left] = [Math.floor((rows - height) / 2), Math.floor((columns - width) / 2)];
  const padded = new Float32Array(batch * channels * rows * columns);
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < height; y++) {
      const row = (plane * height + y) * width;
      padded.set(values.data.subarray(row, row + width), (plane * rows + top + y) * columns + left);
    }
  }
  return new Tensor('float32', padded, [batch, channels, rows, columns]);
}

/** (rows, columns) -> (height, width), by bicubic interpolation; itself where the size is right. */
export function resizeDepth(depth: Tensor<'float32'>, [height, width]: readonly [number, number]): Tensor<'float32'> {
  const [rows, columns] = depth.dims as [number, number];
  if (rows === height && columns === width) return depth;
  return resample(depth.reshape(rows, columns, 1), { height, width, filter: 'bicubic' }).reshape(height, width);
}
