import { ConfigError } from '../errors.ts';
import { describe, isJsonObject } from '../files/json.ts';
import type { ModelSource, Source } from '../files/source.ts';
import { type HubOptions, openModel, splitOptions } from '../hub/source.ts';
import type { Limits } from '../limits.ts';
import { DPTImageProcessor } from './dptProcessor.ts';
import { centerOf, type Rectangle } from './pixels.ts';
import {
  COMMON_DEFAULTS,
  COMMON_FIELDS,
  EXTENT,
  type Extent,
  FLAG,
  ImageProcessor,
  isPixelCount,
  PROCESSOR_FILE,
  type ProcessorConfig,
  type ProcessorKind,
  type ProcessorOptions,
  parseExtent,
  readProcessorConfig,
} from './processing.ts';
import type { ReadOptions } from './rawImage.ts';

export type { Extent, ProcessorOutput } from './processing.ts';

/** The fields of preprocessor_config.json; defaults are those of `BitImageProcessor` of transformers, not those of released models. */
export interface BitImageProcessorConfig extends ProcessorConfig {
  /** What to resize to: the shorter edge, as which a number counts too, or both. Default { shortest_edge: 224 }. */
  readonly size: { readonly shortest_edge: number } | Extent;
  /** Default true. */
  readonly do_center_crop: boolean;
  /** What is cut out of the middle; smaller pictures get a black border. Default 224 x 224; a number is both. */
  readonly crop_size: Extent;
  /** Of each channel, or of all. Default that of CLIP, [0.48145466, 0.4578275, 0.40821073]. */
  readonly image_mean: number | readonly number[];
  /** Of each channel, or of all. Default that of CLIP, [0.26862954, 0.26130258, 0.27577711]. */
  readonly image_std: number | readonly number[];
}

/** The fields as they may be written: any of them, sizes also as numbers, null for the default. Others are kept and written back. */
export type BitImageProcessorOptions = ProcessorOptions<BitImageProcessorConfig>;

const BIT: ProcessorKind<BitImageProcessorConfig> = {
  type: 'BitImageProcessor',
  defaults: {
    ...COMMON_DEFAULTS,
    size: { shortest_edge: 224 },
    do_center_crop: true,
    crop_size: { height: 224, width: 224 },
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
  },
  fields: {
    ...COMMON_FIELDS,
    size: {
      expected: 'a number of pixels, { shortest_edge } or { height, width }',
      parse: (found) => {
        if (isPixelCount(found)) return { shortest_edge: found };
        if (isJsonObject(found) && isPixelCount(found.shortest_edge)) return { shortest_edge: found.shortest_edge };
        return parseExtent(found);
      },
    },
    do_center_crop: FLAG,
    crop_size: EXTENT,
  },
};

/** What is called with pictures and has the fields of the configuration. */
const BitBase = ImageProcessor as Pick<typeof ImageProcessor, 'from_pretrained'> &
  (abstract new (
    ...args: ConstructorParameters<typeof ImageProcessor<BitImageProcessorConfig>>
  ) => BitImageProcessorConfig & ImageProcessor<BitImageProcessorConfig>);

/**
 * Pictures into the numbers a model takes, as `BitImageProcessor` of transformers does it with Pillow: RGB, resize, crop the middle,
 * rescale, normalise. The bytes after the resize are Pillow's; the rescaled are computed in float64 and rounded to float32, the normalised
 * in float32.
 *
 * Called with pictures and, if wanted, fields that replace those of the configuration for this call and options of reading.
 * Throws ImageError and NotFoundError for what cannot be read, ShapeError for pictures whose sizes end up different, ConfigError for a
 * field of a wrong type, ArgumentError for an option that is none.
 */
export class BitImageProcessor extends BitBase {
  /** @throws {ConfigError} naming a field of a wrong type */
  constructor(config: BitImageProcessorOptions = {}, reading: Pick<ReadOptions, 'limits'> = {}) {
    super(BIT, config, reading);
  }

  /** transformers, `get_resize_output_image_size`: the longer edge is truncated. */
  protected override targetSize({ width, height }: Extent, { size }: BitImageProcessorConfig): Extent {
    if (!('shortest_edge' in size)) return size;
    const scaled = (edge: number): number => Math.trunc((size.shortest_edge * edge) / Math.min(width, height));
    return { width: scaled(width), height: scaled(height) };
  }

  protected override crop(picture: Extent, { do_center_crop, crop_size }: BitImageProcessorConfig): Rectangle | undefined {
    return do_center_crop ? centerOf(picture, crop_size) : undefined;
  }
}

/** Processors by the name in `image_processor_type`, or in older files `feature_extractor_type`. */
const PROCESSORS = {
  BitImageProcessor,
  BitImageProcessorFast: BitImageProcessor,
  BitImageProcessorPil: BitImageProcessor,
  BitFeatureExtractor: BitImageProcessor,
  DPTImageProcessor,
  DPTImageProcessorFast: DPTImageProcessor,
  DPTImageProcessorPil: DPTImageProcessor,
  DPTFeatureExtractor: DPTImageProcessor,
} as const;

/** facebookresearch/dinov2, dinov2/data/transforms.py, `make_classification_eval_transform`: what preprocessor_config.json on the hub says. */
const ORIGINAL: Record<string, unknown> = {
  image_processor_type: 'BitImageProcessor',
  size: { shortest_edge: 256 },
  crop_size: { height: 224, width: 224 },
  image_mean: [0.485, 0.456, 0.406],
  image_std: [0.229, 0.224, 0.225],
};

/** Whether it is a checkpoint of facebookresearch/dinov2, with nothing beside it that says how pictures are processed. */
async function isOriginal(files: Source): Promise<boolean> {
  if (await files.has(PROCESSOR_FILE)) return false;
  return (await files.list()).some((file) => file.endsWith('.pth'));
}

/** The processor that the content of preprocessor_config.json names. @throws {ConfigError} when it names an unknown one */
export function processorOf(
  config: Readonly<Record<string, unknown>>,
  options: { limits?: Limits | undefined } = {},
): BitImageProcessor | DPTImageProcessor {
  const type = config.image_processor_type ?? config.feature_extractor_type;
  if (typeof type !== 'string' || !Object.hasOwn(PROCESSORS, type)) {
    throw new ConfigError(
      `${PROCESSOR_FILE}: image_processor_type: expected one of ${Object.keys(PROCESSORS).join(', ')}, found ${describe(type)}`,
    );
  }
  return new PROCESSORS[type as keyof typeof PROCESSORS](config as object, options);
}

export const AutoImageProcessor = {
  /**
   * The processor that preprocessor_config.json names; see {@link BitImageProcessor.from_pretrained}. For a .pth file, which comes without,
   * that of the evaluation in facebookresearch/dinov2. In TypeScript `from_pretrained<DPTImageProcessor>` says that one of depth models is
   * expected.
   * @throws {ConfigError} when it names an unknown one
   */
  async from_pretrained<T extends BitImageProcessor | DPTImageProcessor = BitImageProcessor>(
    source: ModelSource,
    options: ConstructorParameters<typeof BitImageProcessor | typeof DPTImageProcessor>[0] & HubOptions = {},
  ): Promise<T> {
    const { hub, rest } = splitOptions(options);
    const files = await openModel(source, hub);
    const config = (await isOriginal(files)) ? ORIGINAL : await readProcessorConfig(files);
    return processorOf({ ...config, ...rest }, { limits: hub.limits ?? files.limits }) as T;
  },
};
