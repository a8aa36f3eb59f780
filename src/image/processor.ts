import { Callable } from '../callable.ts';
import { ConfigError, ImageError, ShapeError } from '../errors.ts';
import { describe, isJsonObject } from '../files/json.ts';
import { jsonFile, writeFiles } from '../files/output.ts';
import { fileSystem, type ModelSource, openSource, readJson } from '../files/source.ts';
import { checkOptions } from '../options.ts';
import { Tensor } from '../tensor/tensor.ts';
import { centerOf, checkSize, convertChannels, cutOut, type Pixels } from './pixels.ts';
import { type ImageInput, RawImage, type ReadOptions } from './rawImage.ts';
import { RESAMPLING, resize } from './resize.ts';

const FILE = 'preprocessor_config.json';

export interface Extent {
  /** In pixels. */
  readonly height: number;
  /** In pixels. */
  readonly width: number;
}

/** The fields of preprocessor_config.json; defaults are those of `BitImageProcessor` of transformers, not those of released models. */
export interface BitImageProcessorConfig {
  /** Makes every picture RGB. Default true. */
  readonly do_convert_rgb: boolean;
  /** Default true. */
  readonly do_resize: boolean;
  /** What to resize to: the shorter edge, as which a number counts too, or both. Default { shortest_edge: 224 }. */
  readonly size: { readonly shortest_edge: number } | Extent;
  /** Pillow's code of the filter: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming. Default 3. */
  readonly resample: number;
  /** Default true. */
  readonly do_center_crop: boolean;
  /** What is cut out of the middle; smaller pictures get a black border. Default 224 x 224; a number is both. */
  readonly crop_size: Extent;
  /** Multiplies bytes by rescale_factor. Default true. */
  readonly do_rescale: boolean;
  /** Default 1 / 255. */
  readonly rescale_factor: number;
  /** Subtracts image_mean and divides by image_std. Default true. */
  readonly do_normalize: boolean;
  /** Of each channel, or of all. Default that of CLIP, [0.48145466, 0.4578275, 0.40821073]. */
  readonly image_mean: number | readonly number[];
  /** Of each channel, or of all. Default that of CLIP, [0.26862954, 0.26130258, 0.27577711]. */
  readonly image_std: number | readonly number[];
}

/** The fields as they may be written: any of them, sizes also as numbers, null for the default. Others are kept and written back. */
export type BitImageProcessorOptions = {
  readonly [K in keyof BitImageProcessorConfig]?: BitImageProcessorConfig[K] | (K extends 'size' | 'crop_size' ? number : never) | null;
};

export interface ProcessorOutput {
  /** float32 (batch, channels, height, width) */
  readonly pixel_values: Tensor<'float32'>;
  /** [height, width] of each picture as it was read. */
  readonly original_sizes: [number, number][];
  /** [height, width] of each picture in pixel_values. */
  readonly reshaped_input_sizes: [number, number][];
}

type Images = ImageInput | readonly ImageInput[];
type CallOptions = BitImageProcessorOptions & ReadOptions;

/** What is called with pictures and has the fields of the configuration. */
const ProcessorBase = Callable as abstract new () => BitImageProcessorConfig &
  InstanceType<typeof Callable<[images: Images, options?: CallOptions], Promise<ProcessorOutput>>>;

/**
 * Pictures into the numbers a model takes, as `BitImageProcessor` of transformers does it with Pillow: RGB, resize, crop the middle,
 * rescale, normalise. The bytes after the resize are Pillow's; the rescaled are computed in float64 and rounded to float32, the normalised
 * in float32.
 *
 * Called with pictures and, if wanted, fields that replace those of the configuration for this call and options of reading.
 * Throws ImageError and NotFoundError for what cannot be read, ShapeError for pictures whose sizes end up different, ConfigError for a
 * field of a wrong type, ArgumentError for an option that is none.
 */
export class BitImageProcessor extends ProcessorBase {
  /** The fields, and what else the file holds. */
  readonly config: BitImageProcessorConfig;

  /** @throws {ConfigError} naming a field of a wrong type */
  constructor(config: BitImageProcessorOptions = {}) {
    super();
    this.config = resolve(DEFAULTS, config);
    for (const name of Object.keys(FIELDS) as (keyof BitImageProcessorConfig)[]) Object.assign(this, { [name]: this.config[name] });
  }

  /**
   * @param source a folder with preprocessor_config.json, or the files by name
   * @param options fields that replace those of the file
   * @throws {NotFoundError} when there is no such file
   * @throws {ConfigError} naming the field that is wrong
   */
  static async from_pretrained(source: ModelSource, options: BitImageProcessorOptions = {}): Promise<BitImageProcessor> {
    return new BitImageProcessor({ ...(await readConfig(source)), ...options });
  }

  /** Writes preprocessor_config.json into the folder. */
  async save_pretrained(folder: string): Promise<void> {
    const path = fileSystem().join(folder, FILE);
    await writeFiles([jsonFile(path, { ...this.config, image_processor_type: 'BitImageProcessor' })]);
  }

  override async _call(images: Images, options: CallOptions = {}): Promise<ProcessorOutput> {
    const { exifOrientation, decode, maxPixels, ...fields } = options;
    checkOptions('image processor', options, [...Object.keys(FIELDS), ...READ_OPTIONS]);
    const config = resolve(this.config, fields);
    const original_sizes: [number, number][] = [];
    const pictures: Pixels[] = [];
    for (const input of Array.isArray(images) ? images : [images]) {
      const image = await RawImage.read(input, { exifOrientation, decode, maxPixels });
      original_sizes.push([image.height, image.width]);
      pictures.push(shape(image, config, maxPixels));
    }
    return {
      pixel_values: stack(pictures, config),
      original_sizes,
      reshaped_input_sizes: pictures.map(({ height, width }) => [height, width]),
    };
  }
}

const READ_OPTIONS: readonly (keyof ReadOptions)[] = ['exifOrientation', 'decode', 'maxPixels'];

/** Processors by the name in `image_processor_type`, or in older files `feature_extractor_type`. */
const PROCESSORS: Readonly<Record<string, typeof BitImageProcessor>> = {
  BitImageProcessor,
  BitImageProcessorFast: BitImageProcessor,
  BitImageProcessorPil: BitImageProcessor,
  BitFeatureExtractor: BitImageProcessor,
};

export const AutoImageProcessor = {
  /**
   * The processor that preprocessor_config.json names; see {@link BitImageProcessor.from_pretrained}.
   * @throws {ConfigError} when it names an unknown one
   */
  async from_pretrained(source: ModelSource, options: BitImageProcessorOptions = {}): Promise<BitImageProcessor> {
    const config = await readConfig(source);
    const type = config.image_processor_type ?? config.feature_extractor_type;
    const Processor = typeof type === 'string' && Object.hasOwn(PROCESSORS, type) ? PROCESSORS[type] : undefined;
    if (!Processor) {
      throw new ConfigError(
        `${FILE}: image_processor_type: expected one of ${Object.keys(PROCESSORS).join(', ')}, found ${describe(type)}`,
      );
    }
    return new Processor({ ...config, ...options });
  },
};

async function readConfig(source: ModelSource): Promise<Record<string, unknown>> {
  const config = await readJson(await openSource(source), FILE);
  if (!isJsonObject(config)) throw new ConfigError(`${FILE}: expected an object, found ${describe(config)}`);
  return config;
}

/** The picture in the size of the configuration. */
function shape(image: Pixels, config: BitImageProcessorConfig, maxPixels: number | undefined): Pixels {
  let pixels = config.do_convert_rgb ? convertChannels(image, 3) : image;
  if (config.do_resize) pixels = resize(pixels, { ...targetSize(pixels, config.size), resample: config.resample, maxPixels });
  if (!config.do_center_crop) return pixels;
  checkSize('crop_size', config.crop_size.width, config.crop_size.height, maxPixels);
  return cutOut(pixels, centerOf(pixels, config.crop_size));
}

/** transformers, `get_resize_output_image_size`: the longer edge is truncated. */
function targetSize({ width, height }: Pixels, size: BitImageProcessorConfig['size']): Extent {
  if (!('shortest_edge' in size)) return size;
  const short = size.shortest_edge;
  const long = Math.trunc((short * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: short, height: long } : { width: long, height: short };
}

/** (batch, channels, height, width), each byte through the table of its channel. */
function stack(pictures: readonly Pixels[], config: BitImageProcessorConfig): Tensor<'float32'> {
  const [first] = pictures;
  if (!first) throw new ImageError('images: expected at least one, found none');
  const { width, height, channels } = first;
  const tables = valueTables(channels, config);
  const area = width * height;
  const values = new Float32Array(pictures.length * channels * area);
  pictures.forEach((picture, n) => {
    if (picture.width !== width || picture.height !== height || picture.channels !== channels) {
      const expected = `${channels} channels of ${width} x ${height} pixels as in the first`;
      const found = `${picture.channels} of ${picture.width} x ${picture.height}`;
      throw new ShapeError(
        `images: expected ${expected}, found ${found} in number ${n + 1}: process them one by one, or set do_center_crop`,
      );
    }
    tables.forEach((table, c) => {
      const plane = values.subarray((n * channels + c) * area, (n * channels + c + 1) * area);
      for (let i = 0; i < area; i++) plane[i] = table[picture.data[i * channels + c] as number] as number;
    });
  });
  return new Tensor('float32', values, [pictures.length, channels, height, width]);
}

/** What becomes of the bytes 0 to 255 in each channel: rescaled in float64, then rounded to float32 and normalised in it. */
function valueTables(channels: number, config: BitImageProcessorConfig): Float32Array[] {
  const rescaled = Float32Array.from({ length: 256 }, (_, byte) => (config.do_rescale ? byte * config.rescale_factor : byte));
  if (!config.do_normalize) return new Array<Float32Array>(channels).fill(rescaled);
  const means = perChannel('image_mean', config.image_mean, channels);
  const stds = perChannel('image_std', config.image_std, channels);
  return means.map((mean, c) => rescaled.map((x) => Math.fround(x - Math.fround(mean)) / Math.fround(stds[c] as number)));
}

function perChannel(field: string, values: number | readonly number[], channels: number): readonly number[] {
  if (typeof values === 'number') return new Array<number>(channels).fill(values);
  if (values.length !== channels) throw new ConfigError(`image processor: ${field}: expected ${channels} numbers, found ${values.length}`);
  return values;
}

const DEFAULTS: BitImageProcessorConfig = {
  do_convert_rgb: true,
  do_resize: true,
  size: { shortest_edge: 224 },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: 224, width: 224 },
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
};

/** How a field is written: the value for what was found, or undefined if it is wrong. */
interface Field<T> {
  readonly expected: string;
  parse(found: unknown): T | undefined;
}

const flag: Field<boolean> = { expected: 'true or false', parse: (found) => (typeof found === 'boolean' ? found : undefined) };

const FIELDS: { readonly [K in keyof BitImageProcessorConfig]: Field<BitImageProcessorConfig[K]> } = {
  do_convert_rgb: flag,
  do_resize: flag,
  size: {
    expected: 'a number of pixels, { shortest_edge } or { height, width }',
    parse: (found) => {
      if (isPixelCount(found)) return { shortest_edge: found };
      if (isJsonObject(found) && isPixelCount(found.shortest_edge)) return { shortest_edge: found.shortest_edge };
      return parseExtent(found);
    },
  },
  resample: {
    expected: `a code from 0 to ${RESAMPLING.length - 1}`,
    parse: (found) => (typeof found === 'number' && RESAMPLING[found] !== undefined ? found : undefined),
  },
  do_center_crop: flag,
  crop_size: {
    expected: 'a number of pixels or { height, width }',
    parse: (found) => (isPixelCount(found) ? { height: found, width: found } : parseExtent(found)),
  },
  do_rescale: flag,
  rescale_factor: { expected: 'a finite number', parse: (found) => (Number.isFinite(found) ? (found as number) : undefined) },
  do_normalize: flag,
  image_mean: { expected: 'a number or an array of numbers', parse: (found) => parseNumbers(found, Number.isFinite) },
  image_std: {
    expected: 'a number or an array of numbers other than 0',
    parse: (found) => parseNumbers(found, (x) => Number.isFinite(x) && x !== 0),
  },
};

/** The fields of `base` with those that are given in their place, checked; what is no field is kept. */
function resolve(base: BitImageProcessorConfig, given: Readonly<Record<string, unknown>>): BitImageProcessorConfig {
  const config: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(given)) {
    const field: Field<unknown> | undefined = Object.hasOwn(FIELDS, name) ? FIELDS[name as keyof typeof FIELDS] : undefined;
    if (field && (value === null || value === undefined)) continue;
    config[name] = field ? field.parse(value) : value;
    if (field && config[name] === undefined) {
      throw new ConfigError(`image processor: ${name}: expected ${field.expected}, found ${describe(value)}`);
    }
  }
  return config as unknown as BitImageProcessorConfig;
}

function isPixelCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function parseExtent(found: unknown): Extent | undefined {
  const { height, width } = isJsonObject(found) ? found : {};
  return isPixelCount(height) && isPixelCount(width) ? { height, width } : undefined;
}

function parseNumbers(found: unknown, isGood: (x: number) => boolean): number | number[] | undefined {
  if (typeof found === 'number') return isGood(found) ? found : undefined;
  return Array.isArray(found) && found.every((x) => typeof x === 'number' && isGood(x)) ? [...found] : undefined;
}
