import { ConfigError } from '../errors.ts';
import { describe, isJsonObject } from '../files/json.ts';
import { type ModelSource, readJson, type Source } from '../files/source.ts';
import { openModel, splitOptions } from '../hub/source.ts';
import { AutoConfig } from './config.ts';
import { DepthAnythingForDepthEstimation, DPTForDepthEstimation } from './depth.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from './dinov2.ts';
import type { FromPretrainedOptions } from './pretrained.ts';
import { Dinov2WithRegistersBackbone, Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel } from './withRegisters.ts';

/** The classes of each `model_type`. */
const MODELS = {
  dinov2: { base: Dinov2Model, classifier: Dinov2ForImageClassification, backbone: Dinov2Backbone },
  dinov2_with_registers: {
    base: Dinov2WithRegistersModel,
    classifier: Dinov2WithRegistersForImageClassification,
    backbone: Dinov2WithRegistersBackbone,
  },
} as const;

interface Found {
  /** Opened, so that what follows reads the same files. */
  readonly files: Source;
  readonly classes: (typeof MODELS)[keyof typeof MODELS];
}

async function find(source: ModelSource, options: FromPretrainedOptions): Promise<Found> {
  const files = await openModel(source, splitOptions(options).hub);
  const config = await AutoConfig.from_pretrained(files, options.config); // refuses what is not in MODELS
  return { files, classes: MODELS[config.model_type as keyof typeof MODELS] };
}

/** The model without a head of whichever kind config.json says. Throws as {@link Dinov2Model.from_pretrained}. */
export const AutoModel = {
  async from_pretrained(source: ModelSource, options: FromPretrainedOptions = {}): Promise<Dinov2Model> {
    const { files, classes } = await find(source, options);
    return classes.base.from_pretrained(files, options);
  },
};

/** The same with a classifier. */
export const AutoModelForImageClassification = {
  async from_pretrained(source: ModelSource, options: FromPretrainedOptions = {}): Promise<Dinov2ForImageClassification> {
    const { files, classes } = await find(source, options);
    return classes.classifier.from_pretrained(files, options);
  },
};

/** The same giving feature maps. */
export const AutoBackbone = {
  async from_pretrained(source: ModelSource, options: FromPretrainedOptions = {}): Promise<Dinov2Backbone> {
    const { files, classes } = await find(source, options);
    return classes.backbone.from_pretrained(files, options);
  },
};

/** A model of depth on a DINOv2 backbone, of whichever kind config.json says. */
export const AutoModelForDepthEstimation = {
  /**
   * @throws {ConfigError} when `model_type` is none that is supported
   * @throws as {@link Dinov2Model.from_pretrained}
   */
  async from_pretrained(
    source: ModelSource,
    options: FromPretrainedOptions = {},
  ): Promise<DPTForDepthEstimation | DepthAnythingForDepthEstimation> {
    const files = await openModel(source, splitOptions(options).hub);
    const config = await readJson(files, 'config.json');
    const type = isJsonObject(config) ? config.model_type : undefined;
    if (type === 'dpt') return DPTForDepthEstimation.from_pretrained(files, options);
    if (type === 'depth_anything') return DepthAnythingForDepthEstimation.from_pretrained(files, options);
    throw new ConfigError(`${files.name}: config.json: config "model_type": expected "dpt" or "depth_anything", found ${describe(type)}`);
  },
};
