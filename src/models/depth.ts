import { DepthAnythingHead, DptDepthHead } from '../heads/depthHead.ts';
import { DptNeck, type DptNeckOptions, type Stage } from '../heads/dpt.ts';
import type { Float32 } from '../tensor/place.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Dinov2Config } from './config.ts';
import { DenseModel, type Picture } from './dense.ts';
import { DepthAnythingConfig, type DepthConfigFields, DPTConfig } from './depthConfig.ts';
import type { EncoderOutput } from './outputs.ts';
import type { ModelOptions } from './pretrained.ts';

/** transformers' DepthEstimatorOutput. */
export interface DepthEstimatorOutput extends EncoderOutput {
  /** (batch, height, width) */
  predicted_depth: Tensor<'float32'>;
}

/** Tensors that are in a checkpoint without effect: the deepest level has no other to fuse with. */
const UNUSED = 'neck.fusion_stage.layers.0.residual_layer1.';

/** An encoder of which several stages go through a neck and a head to a depth for each pixel. */
abstract class DepthModel<Config extends DPTConfig | DepthAnythingConfig> extends DenseModel<Config, DepthEstimatorOutput> {
  protected wrap(predicted_depth: Float32): DepthEstimatorOutput {
    return { predicted_depth };
  }

  protected override parameterOf(tensor: string): string | undefined {
    return tensor.startsWith(UNUSED) ? undefined : tensor;
  }
}

function neckSizes(
  config: DPTConfig | DepthAnythingConfig,
): Pick<DptNeckOptions, 'hiddenSize' | 'neckSizes' | 'factors' | 'fusionSize' | 'outputLevel'> {
  return {
    hiddenSize: config.hidden_size,
    neckSizes: config.neck_hidden_sizes,
    factors: config.reassemble_factors,
    fusionSize: config.fusion_hidden_size,
    outputLevel: config.outputLevel,
  };
}

/**
 * DPT (Ranftl et al. 2021, "Vision Transformers for Dense Prediction") on a DINOv2 backbone, as transformers has it in
 * models/dpt/modeling_dpt.py. The depth is that of a grid of its own, 16 times that of the patches (a little more where their number is
 * odd); the image processor brings it to the size of the photo.
 */
export class DPTForDepthEstimation extends DepthModel<DPTConfig> {
  static override readonly Config = DPTConfig;
  readonly #neck: DptNeck;
  readonly #head: DptDepthHead;

  constructor(config: Dinov2Config | DepthConfigFields, options: ModelOptions = {}) {
    super(config, options);
    const { fusion_hidden_size, readout_type, readoutAct, use_bias_in_fusion_residual, add_projection } = this.config;
    this.#neck = new DptNeck(this.parameters.at('neck'), {
      ...neckSizes(this.config),
      readout: readout_type,
      activation: readoutAct,
      residualBias: use_bias_in_fusion_residual ?? true,
      upsample: 'double',
    });
    this.#head = new DptDepthHead(this.parameters.at('head'), fusion_hidden_size, { projection: add_projection });
    this.initialize(options);
  }

  protected decode(stages: readonly Stage[]): Float32 {
    return this.#head.forward(this.#neck.forward(stages));
  }
}

/**
 * Depth Anything (Yang et al. 2024, versions 1 and 2), as transformers has it in models/depth_anything/modeling_depth_anything.py. Relative
 * depth is larger where it is nearer; metric depth is in metres. The result has the size of the picture, without what is beyond the last
 * whole patch.
 */
export class DepthAnythingForDepthEstimation extends DepthModel<DepthAnythingConfig> {
  static override readonly Config = DepthAnythingConfig;
  readonly #neck: DptNeck;
  readonly #head: DepthAnythingHead;

  constructor(config: Dinov2Config | DepthConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    const { fusion_hidden_size, head_hidden_size, depth_estimation_type, max_depth } = this.config;
    this.#neck = new DptNeck(this.parameters.at('neck'), {
      ...neckSizes(this.config),
      readout: 'ignore',
      activation: 'none',
      residualBias: true,
      upsample: 'next',
    });
    this.#head = new DepthAnythingHead(this.parameters.at('head'), fusion_hidden_size, {
      hiddenSize: head_hidden_size,
      kind: depth_estimation_type,
      maxDepth: max_depth,
    });
    this.initialize(options);
  }

  protected decode(stages: readonly Stage[], { grid: [rows, columns] }: Picture): Float32 {
    const [patchHeight, patchWidth] = this.config.patchSize;
    return this.#head.forward(this.#neck.forward(stages), [rows * patchHeight, columns * patchWidth]);
  }
}
