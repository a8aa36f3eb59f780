import { BatchNormConv2d } from '../nn/batchNorm.ts';
import type { Parameters } from '../nn/parameters.ts';
import { concatChannels } from '../tensor/conv.ts';
import type { Float32 } from '../tensor/place.ts';

/**
 * The segmentation heads of facebookresearch/dinov2 (dinov2/eval/segmentation/models/decode_heads/linear_head.py, `BNHead`), linear on one
 * stage and multi-scale on four: batch norm, folded, and a 1x1 convolution on the patches of all stages side by side.
 */
export class SegmentationHead {
  readonly #classify: BatchNormConv2d;

  constructor(p: Parameters, { width, layers, labels }: { width: number; layers: number; labels: number }) {
    this.#classify = new BatchNormConv2d(p.at('bn'), p.at('conv_seg'), layers * width, labels);
  }

  /** patches (rows, columns, width) of each stage, after the final layer norm, the shallowest first -> (rows, columns, labels) */
  forward(patches: readonly [Float32, ...Float32[]]): Float32 {
    return this.#classify.forward(concatChannels(...patches));
  }
}
