/**
 * All of the library but its kernels, which {@link loadKernels} takes from the caller: for hosts and bundlers of all kinds, and where each
 * kilobyte counts.
 */

import { host } from '#host';
import type { ModelSource } from './files/source.ts';

export * from './errors.ts';
export type { FileContent, ModelSource } from './files/source.ts';
export type { ProgressCallback, ProgressInfo } from './hub/progress.ts';
export type { HubOptions } from './hub/source.ts';
export { type DepthEstimate, DPTImageProcessor } from './image/dptProcessor.ts';
export { AutoImageProcessor, AutoImageProcessor as AutoProcessor, BitImageProcessor } from './image/processor.ts';
export { RawImage } from './image/rawImage.ts';
export { ImageReader, type ImageReaderOptions } from './image/reader.ts';
export type { Limits } from './limits.ts';
export {
  AutoBackbone,
  AutoModel,
  AutoModelForDepthEstimation,
  AutoModelForImageClassification,
  AutoModelForSemanticSegmentation,
} from './models/auto.ts';
export { AutoConfig, Dinov2Config, Dinov2WithRegistersConfig } from './models/config.ts';
export { DepthAnythingForDepthEstimation, type DepthEstimatorOutput, DPTForDepthEstimation } from './models/depth.ts';
export { DepthAnythingConfig, DPTConfig } from './models/depthConfig.ts';
export { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from './models/dinov2.ts';
export {
  Dinov2ForDepthEstimation,
  Dinov2ForPreTraining,
  type Dinov2ForPreTrainingOutput,
  Dinov2ForSemanticSegmentation,
  type SemanticSegmenterOutput,
} from './models/dinov2Heads.ts';
export { Dinov2DepthConfig, Dinov2PreTrainingConfig, Dinov2SegmentationConfig } from './models/headConfig.ts';
export type { DepthRange } from './models/heads.ts';
export type { BackboneOutput, Dinov2ModelOutput, ImageClassifierOutput } from './models/outputs.ts';
export type { FromPretrainedOptions, ModelInputs, ModelOptions, Traced } from './models/pretrained.ts';
export { processorFor } from './models/processors.ts';
export type { Segmentation, SegmentOptions } from './models/segmenting.ts';
export {
  Dinov2WithRegistersBackbone,
  Dinov2WithRegistersForImageClassification,
  Dinov2WithRegistersModel,
} from './models/withRegisters.ts';
export { type KernelSource, type KernelSources, loadKernels } from './runtime/builds.ts';
export {
  type DepthEstimation,
  DepthEstimationPipeline,
  ImageClassificationPipeline,
  ImageFeatureExtractionPipeline,
  type ImageSegmentation,
  ImageSegmentationPipeline,
  type Pipelines,
  pipeline,
} from './tasks/pipeline.ts';
export { type Diagnosis, diagnose } from './tensor/diagnosis.ts';
export { argmax, softmax, Tensor } from './tensor/index.ts';

/**
 * The demonstration model that comes with the library, for `from_pretrained`: small, of 70 labels, for trying things out and not for use
 * (weights/README.md).
 */
export const EMBEDDED_MODEL: ModelSource = host.embeddedModel;
