import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type BitImageProcessor,
  DepthAnythingConfig,
  Dinov2Config,
  Dinov2DepthConfig,
  Dinov2SegmentationConfig,
  Dinov2WithRegistersConfig,
  DPTConfig,
  processorFor,
} from '../../src/index.ts';
import { randomPixels } from '../image/helpers.ts';

const backbone_config = { model_type: 'dinov2', patch_size: 14, out_indices: [3, 6, 9, 12] };

for (const [what, config, width, height, dims] of [
  ['an encoder', new Dinov2Config(), 640, 480, [224, 224]],
  ['an encoder with registers', new Dinov2WithRegistersConfig(), 100, 300, [224, 224]],
  ['a depth head of the authors', new Dinov2DepthConfig(), 31, 45, [45, 31]],
  ['a segmentation head', new Dinov2SegmentationConfig(), 31, 45, [45, 31]],
  ['Depth Anything', new DepthAnythingConfig(), 640, 480, [518, 686]],
  ['DPT', new DPTConfig({ backbone_config }), 640, 480, [490, 644]],
] as const) {
  test(`${what}: the processor gives the pixels that it was released for`, async () => {
    const processor = processorFor(config) as BitImageProcessor;
    assert.equal(processor.image_mean, [0.485, 0.456, 0.406]);
    assert.equal((await processor(randomPixels(width, height, 3, 1))).pixel_values.dims, [1, 3, ...dims]);
  });
}

test.run();
