import { Callable } from '../callable.ts';
import { ConfigError, ImageError, ShapeError } from '../errors.ts';
import { describe, isJsonObject } from '../files/json.ts';
import { jsonFile, type OutputFile, writeFiles } from '../files/output.ts';
import { fileSystem, type ModelSource, readJson, type Source } from '../files/source.ts';
import { type HubOptions, openModel, splitOptions } from '../hub/source.ts';
import type { Limits } from '../limits.ts';
import { checkOptions } from '../options.ts';
import { scratchEngine } from '../runtime/scratch.ts';
import { Tensor } from '../tensor/tensor.ts';
import { checkSize, convertChannels, cutOut, type Extent, type Pixels, type Rectangle } from './pixels.ts';
import { type ImageInput, RawImage, READ_OPTIONS, type ReadOptions } from './rawImage.ts';
import { RESAMPLING, resize } from './resize.ts';

export const PROCESSOR_FILE = 'preprocessor_config.json';

export type { Extent } from './pixels.ts';

/** The fields of preprocessor_config.json that all image processors have. */
export interface ProcessorConfig {
  /** Makes every picture RGB. Default true. */
  readonly do_convert_rgb: boolean;
  /** Default true. */
  readonly do_resize: boolean;
  /** Pillow's code of the filter: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming. Default 3. */
  readonly resample: number;
  /** Multiplies bytes by rescale_factor. Default true. */
  readonly do_rescale: boolean;
  /** Default 1 / 255. */
  readonly rescale_factor: number;
  /** Subtracts image_mean and divides by image_std. Default true. */
  readonly do_normalize: boolean;
  /** Of each channel, or of all. */
  readonly image_mean: number | readonly number[];
  /** Of each channel, or of all. */
  readonly image_std: number | readonly number[];
}

/** The fields as they may be written: any of them, sizes also as numbers, null for the default. Others are kept and written back. */
export type ProcessorOptions<Config> = {
  readonly [K in keyof Config]?: Config[K] | (K extends 'size' | 'crop_size' ? number : never) | null;
};

export interface ProcessorOutput {
  /** float32 (batch, channels, height, width) */
  readonly pixel_values: Tensor<'float32'>;
  /** [height, width] of each picture as it was read. */
  readonly original_sizes: [number, number][];
  /** [height, width] of each picture in pixel_values. */
  readonly reshaped_input_sizes: [number, number][];
  /** What of each picture as it was read pixel_values shows, in its pixels, fractions of them too; it may reach beyond the picture. */
  readonly views: Rectangle[];
}

/** How a field is written: the value for what was found, or undefined if it is wrong. */
export interface Field<T> {
  readonly expected: string;
  parse(found: unknown): T | undefined;
}

export type Fields<Config> = { readonly [K in keyof Config]: Field<Config[K]> };

/** What one kind of processor has of its own. */
export interface ProcessorKind<Config> {
  /** As in `image_processor_type`. */
  readonly type: string;
  readonly defaults: Config;
  readonly fields: Fields<Config>;
}

export type Images = ImageInput | readonly ImageInput[];

/** Pictures into pixel_values: what the processors of transformers share, from reading the configuration to normalising. */
export abstract class ImageProcessor<Config extends ProcessorConfig> extends Callable<
  [images: Images, options?: ProcessorOptions<Config> & ReadOptions],
  Promise<ProcessorOutput>
> {
  /** The fields, and what else the file holds. */
  readonly config: Config;
  /** What is taken of pictures at most, unless a call says otherwise. */
  readonly limits: Limits;
  readonly #kind: ProcessorKind<Config>;

  /** @throws {ConfigError} naming a field of a wrong type */
  constructor(kind: ProcessorKind<Config>, config: ProcessorOptions<Config> = {}, { limits = {} }: Pick<ReadOptions, 'limits'> = {}) {
    super();
    this.limits = limits;
    this.#kind = kind;
    this.config = resolve(kind.fields, kind.defaults, config);
    for (const name of this.#names) Object.assign(this, { [name]: this.config[name] });
  }

  /**
   * @param source a model on the hub, a folder with preprocessor_config.json, or the files by name
   * @param options fields that replace those of the file, and options about the hub
   * @throws {NotFoundError} when there is no such file
   * @throws {ConfigError} naming the field that is wrong; what fails on the way from the hub, as for models
   */
  static async from_pretrained<T, Options extends object>(
    this: new (
      config?: Options,
      reading?: Pick<ReadOptions, 'limits'>,
    ) => T,
    source: ModelSource,
    options?: Options & HubOptions,
  ): Promise<T> {
    const { hub, rest } = splitOptions({ ...options });
    const files = await openModel(source, hub);
    return new this({ ...(await readProcessorConfig(files)), ...rest } as Options, { limits: hub.limits ?? files.limits });
  }

  /** Writes preprocessor_config.json into the folder. */
  async save_pretrained(folder: string): Promise<void> {
    await writeFiles([this.fileIn(folder)]);
  }

  /** What {@link save_pretrained} writes. */
  fileIn(folder: string): OutputFile {
    return jsonFile(fileSystem().join(folder, PROCESSOR_FILE), this.to_dict());
  }

  /** What preprocessor_config.json holds. */
  to_dict(): Record<string, unknown> {
    return { ...(this.config as object), image_processor_type: this.#kind.type };
  }

  override async _call(images: Images, options: ProcessorOptions<Config> & ReadOptions = {}): Promise<ProcessorOutput> {
    const { exifOrientation, decode, signal, limits = this.limits, ...fields } = options;
    checkOptions('image processor', options, [...this.#names, ...READ_OPTIONS]);
    const config = resolve(this.#kind.fields, this.config, fields);
    const original_sizes: [number, number][] = [];
    const pictures: Pixels[] = [];
    const crops: { scale: Extent; area: Rectangle }[] = [];
    for (const input of Array.isArray(images) ? images : [images]) {
      const image = await RawImage.read(input, { exifOrientation, decode, signal, limits });
      original_sizes.push([image.height, image.width]);
      const pixels: Pixels = config.do_convert_rgb ? convertChannels(image, 3) : image;
      const { height, width } = config.do_resize ? this.targetSize(pixels, config) : pixels;
      if (config.do_resize) checkSize('resize', width, height, limits);
      const crop = this.crop({ height, width }, config);
      if (crop) checkSize('crop_size', crop.width, crop.height, limits);
      const area = crop ?? { left: 0, top: 0, width, height };
      crops.push({ scale: { height: image.height / height, width: image.width / width }, area });
      if (config.do_resize) pictures.push(resize(pixels, { width, height, area, resample: config.resample, limits }));
      else pictures.push(crop ? cutOut(pixels, crop) : pixels);
    }
    const pixel_values = this.pad(stack(pictures, config), config, limits);
    const [, , height, width] = pixel_values.dims as [number, number, number, number];
    return {
      pixel_values,
      original_sizes,
      reshaped_input_sizes: pictures.map(() => [height, width]),
      views: crops.map(({ scale, area }) => ({
        left: (area.left - Math.floor((width - area.width) / 2)) * scale.width,
        top: (area.top - Math.floor((height - area.height) / 2)) * scale.height,
        width: width * scale.width,
        height: height * scale.height,
      })),
    };
  }

  /** The size of a picture after resizing. */
  protected abstract targetSize(picture: Extent, config: Config): Extent;

  /** What is cut out of the resized picture, unless all of it is taken. */
  protected crop(_picture: Extent, _config: Config): Rectangle | undefined {
    return undefined;
  }

  /** What is put around the normalised pictures (batch, channels, height, width): an odd row below, an odd column to the right. */
  protected pad(values: Tensor<'float32'>, _config: Config, _limits: Limits | undefined): Tensor<'float32'> {
    return values;
  }

  get #names(): (keyof Config & string)[] {
    return Object.keys(this.#kind.fields) as (keyof Config & string)[];
  }
}

/** @throws {NotFoundError} when there is no such file, {ConfigError} when it is no JSON object */
export async function readProcessorConfig(files: Source): Promise<Record<string, unknown>> {
  const config = await readJson(files, PROCESSOR_FILE);
  if (!isJsonObject(config)) throw new ConfigError(`${PROCESSOR_FILE}: expected an object, found ${describe(config)}`);
  return config;
}

/** (batch, channels, height, width), each byte through the table of its channel. */
function stack(pictures: readonly Pixels[], config: ProcessorConfig): Tensor<'float32'> {
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
      throw new ShapeError(`images: expected ${expected}, found ${found} in number ${n + 1}: process them one by one, or in one size`);
    }
    lookUp(picture, tables, values.subarray(n * channels * area, (n + 1) * channels * area));
  });
  return new Tensor('float32', values, [pictures.length, channels, height, width]);
}

/** Pixels in engine memory at a time. */
const STRIP = 2 ** 14;

/** values (channels, height, width): each byte in the table of its channel. */
function lookUp({ data, channels }: Pixels, tables: readonly Float32Array[], values: Float32Array, engine = scratchEngine()): void {
  const area = data.length / channels;
  engine.scope(() => {
    const strip = Math.min(STRIP, area);
    const input = engine.allocate(strip * channels);
    const table = engine.allocate(1024 * channels);
    const output = engine.allocate(4 * strip * channels);
    for (const [c, of] of tables.entries()) engine.write(table + 1024 * c, of);
    for (let first = 0; first < area; first += strip) {
      const count = Math.min(strip, area - first);
      engine.write(input, data.subarray(first * channels, (first + count) * channels));
      engine.call('u8_planes', count, channels, input, table, output);
      for (let c = 0; c < channels; c++) engine.read(output + 4 * c * count, values.subarray(c * area + first, c * area + first + count));
    }
  });
}

/** What becomes of the bytes 0 to 255 in each channel: rescaled in float64, then rounded to float32 and normalised in it. */
function valueTables(channels: number, config: ProcessorConfig): Float32Array[] {
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

export const FLAG: Field<boolean> = {
  expected: 'true or false',
  parse: (found) => (typeof found === 'boolean' ? found : undefined),
};

/** A number is both. */
export const EXTENT: Field<Extent> = {
  expected: 'a number of pixels or { height, width }',
  parse: (found) => (isPixelCount(found) ? { height: found, width: found } : parseExtent(found)),
};

export const COMMON_FIELDS: Fields<ProcessorConfig> = {
  do_convert_rgb: FLAG,
  do_resize: FLAG,
  resample: {
    expected: `a code from 0 to ${RESAMPLING.length - 1}`,
    parse: (found) => (typeof found === 'number' && RESAMPLING[found] !== undefined ? found : undefined),
  },
  do_rescale: FLAG,
  rescale_factor: { expected: 'a finite number', parse: (found) => (Number.isFinite(found) ? (found as number) : undefined) },
  do_normalize: FLAG,
  image_mean: { expected: 'a number or an array of numbers', parse: (found) => parseNumbers(found, Number.isFinite) },
  image_std: {
    expected: 'a number or an array of numbers other than 0',
    parse: (found) => parseNumbers(found, (x) => Number.isFinite(x) && x !== 0),
  },
};

export const COMMON_DEFAULTS = {
  do_convert_rgb: true,
  do_resize: true,
  resample: 3,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
} as const;

/** The fields of `base` with those that are given in their place, checked; what is no field is kept. */
function resolve<Config>(fields: Fields<Config>, base: Config, given: Readonly<Record<string, unknown>>): Config {
  const config = new Map<string, unknown>(Object.entries(base as object)); // a key may be "__proto__"
  for (const [name, value] of Object.entries(given)) {
    const field: Field<unknown> | undefined = Object.hasOwn(fields as object, name) ? fields[name as keyof Config] : undefined;
    if (field && (value === null || value === undefined)) continue;
    const parsed = field ? field.parse(value) : value;
    if (field && parsed === undefined) {
      throw new ConfigError(`image processor: ${name}: expected ${field.expected}, found ${describe(value)}`);
    }
    config.set(name, parsed);
  }
  return Object.fromEntries(config) as Config;
}

export function isPixelCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

export function parseExtent(found: unknown): Extent | undefined {
  const { height, width } = isJsonObject(found) ? found : {};
  return isPixelCount(height) && isPixelCount(width) ? { height, width } : undefined;
}

function parseNumbers(found: unknown, isGood: (x: number) => boolean): number | number[] | undefined {
  if (typeof found === 'number') return isGood(found) ? found : undefined;
  return Array.isArray(found) && found.every((x) => typeof x === 'number' && isGood(x)) ? [...found] : undefined;
}
