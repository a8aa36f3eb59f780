import { DPTImageProcessor } from '../image/dptProcessor.ts';
import { BitImageProcessor } from '../image/processor.ts';
import type { ReadOptions } from '../image/rawImage.ts';
import type { Dinov2Config } from './config.ts';
import { DepthAnythingConfig, DPTConfig } from './depthConfig.ts';
import { Dinov2DepthConfig, Dinov2SegmentationConfig } from './headConfig.ts';

const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] } as const;

/**
 * The image processor with which models of a kind were released, for checkpoints that come without preprocessor_config.json: `processorFor(
 * model.config)`. Encoders and classifiers see the middle of a picture, 224 of 256 pixels; Depth Anything about 518 x 518 of all of it; the heads
 * of facebookresearch/dinov2 for depth and segmentation, and DPT, all of it as large as it is.
 * @param reading `limits` of the pictures that it takes
 */
export function processorFor(config: Dinov2Config, reading: Pick<ReadOptions, 'limits'> = {}): BitImageProcessor | DPTImageProcessor {
  if (config instanceof Dinov2DepthConfig || config instanceof Dinov2SegmentationConfig) {
    return new BitImageProcessor({ ...IMAGENET, do_resize: false, do_center_crop: false }, reading); // the model pads to whole patches itself
  }
  if (config instanceof DepthAnythingConfig) {
    return new DPTImageProcessor({ ...IMAGENET, size: 518, keep_aspect_ratio: true, ensure_multiple_of: 14 }, reading);
  }
  if (config instanceof DPTConfig) return new DPTImageProcessor({ ...IMAGENET, do_resize: false, do_pad: true, size_divisor: 14 }, reading);
  return new BitImageProcessor({ ...IMAGENET, size: { shortest_edge: 256 }, crop_size: 224 }, reading);
}
