import { ConfigError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { ModelSource, Source } from '../files/source.ts';
import { openModel, splitOptions } from '../hub/source.ts';
import { AutoConfig, readConfig } from './config.ts';
import { DepthAnythingForDepthEstimation, DPTForDepthEstimation } from './depth.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from './dinov2.ts';
import { Dinov2ForDepthEstimation, Dinov2ForSemanticSegmentation } from './dinov2Heads.ts';
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

/** A model of depth on a DINOv2 backbone, of whichever kind config.json says; with the option `head` a {@link Dinov2ForDepthEstimation}. */
export const AutoModelForDepthEstimation = {
  /**
   * @throws {ConfigError} when `model_type` is none that is supported
   * @throws as {@link Dinov2Model.from_pretrained}
   */
  async from_pretrained(
    source: ModelSource,
    options: FromPretrainedOptions = {},
  ): Promise<DPTForDepthEstimation | DepthAnythingForDepthEstimation | Dinov2ForDepthEstimation> {
    if (options.head !== undefined) return Dinov2ForDepthEstimation.from_pretrained(source, options);
    const files = await openModel(source, splitOptions(options).hub);
    const { name, fields } = await readConfig(files, options.config);
    const type = fields.model_type;
    if (type === 'dpt') return DPTForDepthEstimation.from_pretrained(files, options);
    if (type === 'depth_anything') return DepthAnythingForDepthEstimation.from_pretrained(files, options);
    if (type === 'dinov2_depth') return Dinov2ForDepthEstimation.from_pretrained(files, options);
    const advice = Object.hasOwn(MODELS, type as string) ? ', an encoder: give the file of its head in the option head' : '';
    throw new ConfigError(
      `${name}: config "model_type": expected "dpt", "depth_anything" or "dinov2_depth", found ${describe(type)}${advice}`,
    );
  },
};

/** A model that gives each pixel a label. */
export const AutoModelForSemanticSegmentation = {
  /** @throws as {@link Dinov2ForSemanticSegmentation.from_pretrained} */
  from_pretrained(source: ModelSource, options: FromPretrainedOptions = {}): Promise<Dinov2ForSemanticSegmentation> {
    return Dinov2ForSemanticSegmentation.from_pretrained(source, options);
  },
};
