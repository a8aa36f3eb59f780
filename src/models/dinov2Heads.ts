import { ArgumentError } from '../errors.ts';
import type { ModelSource } from '../files/source.ts';
import { DptDepthHead } from '../heads/depthHead.ts';
import { DinoHead } from '../heads/dinoHead.ts';
import { DptNeck, type Stage } from '../heads/dpt.ts';
import { LinearDepthHead } from '../heads/linearDepthHead.ts';
import { SegmentationHead } from '../heads/segmentationHead.ts';
import { add, clamp, transpose } from '../tensor/ops.ts';
import { padAround } from '../tensor/pad.ts';
import { type Float32, fetch, owned, placed } from '../tensor/place.ts';
import { resample } from '../tensor/resample.ts';
import { Tensor } from '../tensor/tensor.ts';
import { AutoConfig, type Dinov2Config, type Dinov2ConfigFields, readConfig } from './config.ts';
import { DenseModel, type Picture } from './dense.ts';
import type { DepthEstimatorOutput } from './depth.ts';
import { Dinov2DepthConfig, Dinov2PreTrainingConfig, Dinov2SegmentationConfig } from './headConfig.ts';
import { depthRangeOf, openWithHead, type WithHead } from './heads.ts';
import { type CallOptions, type MaskedOption, type Request, resolveRequest } from './inputs.ts';
import type { EncoderOutput } from './outputs.ts';
import {
  Dinov2PreTrainedModel,
  type FromPretrainedOptions,
  type Loading,
  type ModelInputs,
  type ModelOptions,
  type Opened,
  observe,
} from './pretrained.ts';
import { type Protocol, type Segmentation, type SegmentOptions, segment } from './segmenting.ts';

/** The name of the encoder among the parts of these models. */
const ENCODER = 'backbone';

/** Opens a model that was saved whole, or an encoder and the head of the option `head`. */
async function openHeaded(
  loading: Loading,
  source: ModelSource,
  options: FromPretrainedOptions,
  { accepts, more }: Pick<WithHead, 'accepts' | 'more'>,
): Promise<Opened> {
  const { head, config: overrides = {} } = options;
  const { name, fields } = await readConfig(source, overrides);
  if (head === undefined && fields.model_type === new loading.Config().model_type)
    return Dinov2PreTrainedModel.open.call(loading, source, options);
  const encoder = await AutoConfig.from_pretrained(source, overrides);
  if (head === undefined && !accepts.includes('projection head')) {
    throw new ArgumentError(
      `${name}: expected a model with a ${accepts.join(' or ')}, found an encoder: give the file of its head in the option head`,
    );
  }
  return openWithHead(source, { head, encoder, overrides, Config: loading.Config, accepts, prefix: `${ENCODER}.`, more });
}

/** Models of facebookresearch/dinov2 pad pictures with zeros on all sides to whole patches (dinov2/hub/utils.py, `CenterPadding`). */
abstract class PaddingModel<Config extends Dinov2Config, Output extends EncoderOutput> extends DenseModel<Config, Output> {
  static override readonly encoderName = ENCODER;
  static override readonly loadingOptions: readonly (keyof FromPretrainedOptions)[] = ['head'];

  protected override prepare(pixels: Float32): Float32 {
    const [, , height, width] = pixels.dims as [number, number, number, number];
    const [patchHeight, patchWidth] = this.config.patchSize;
    const rows = Math.ceil(height / patchHeight) * patchHeight;
    const columns = Math.ceil(width / patchWidth) * patchWidth;
    return rows === height && columns === width ? pixels : padAround(pixels, [rows, columns]);
  }
}

/**
 * Depth in metres by the heads of facebookresearch/dinov2 (dinov2/hub/depthers.py): linear on 1 or 4 layers, and DPT. The result has the size
 * of the pixels given, whatever that is: the original takes photographs as large as they are.
 *
 * `from_pretrained(encoder, { head })`, or a folder that save_pretrained wrote. Which head it is its tensors tell, its range of depth its
 * name, `nyu` or `kitti`, or the option `depthRange`. `depthRange: 'upstream'` does as the original: it gives every linear head the range of
 * KITTI, although `_get_depth_range` in the same file says that of NYU ends at 10 m.
 */
export class Dinov2ForDepthEstimation extends PaddingModel<Dinov2DepthConfig, DepthEstimatorOutput> {
  static override readonly Config = Dinov2DepthConfig;
  static override readonly loadingOptions: readonly (keyof FromPretrainedOptions)[] = ['head', 'depthRange'];
  readonly #head: (stages: readonly Stage[]) => Float32;

  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    this.#head = this.config.head_type === 'linear' ? this.#linear() : this.#dpt();
    this.initialize(options);
  }

  static override open(this: Loading, source: ModelSource, options: FromPretrainedOptions): Promise<Opened> {
    return openHeaded(this, source, options, {
      accepts: ['linear depth head', 'DPT depth head'],
      more: (kind, file) => {
        const [min_depth, max_depth] = depthRangeOf(file, kind, options.depthRange);
        return { min_depth, max_depth };
      },
    });
  }

  protected decode(stages: readonly Stage[], { size: [height, width] }: Picture): Float32 {
    const depth = clamp(this.#head(stages), this.config.min_depth, this.config.max_depth); // (rows, columns) of the head
    return resample(depth.reshape(...depth.dims, 1), { height, width, filter: 'bilinear' }).reshape(height, width);
  }

  protected wrap(predicted_depth: Float32): DepthEstimatorOutput {
    return { predicted_depth };
  }

  #linear(): (stages: readonly Stage[]) => Float32 {
    const { hidden_size: width, out_features, num_bins: bins, min_depth, max_depth } = this.config;
    const p = this.parameters.at('decode_head');
    const head = new LinearDepthHead(p, { width, layers: out_features.length, bins, range: [min_depth, max_depth] });
    return (stages) => head.forward(stages);
  }

  #dpt(): (stages: readonly Stage[]) => Float32 {
    const { hidden_size, neck_hidden_sizes, fusion_hidden_size, min_depth } = this.config;
    const neck = new DptNeck(this.parameters.at('neck'), {
      hiddenSize: hidden_size,
      neckSizes: neck_hidden_sizes,
      factors: [4, 2, 1, 0.5],
      fusionSize: fusion_hidden_size,
      outputLevel: 3,
      readout: 'project',
      activation: 'gelu',
      residualBias: false,
      upsample: 'double',
    });
    const head = new DptDepthHead(this.parameters.at('head'), fusion_hidden_size, { projection: true });
    return (stages) => {
      const depth = head.forward(neck.forward(stages)); // (16 rows, 16 columns), from 0
      const least = placed(this.engine, new Tensor('float32', [min_depth], [1]));
      return add(depth.reshape(-1, 1), least).reshape(...depth.dims);
    };
  }
}

/** Pixels: `test_cfg` of dinov2_vits14_voc2012_ms_config.py and of dinov2_vits14_ade20k_linear_config.py, which are published beside the heads. */
const MULTI_SCALE: Protocol = { window: 640, stride: 320 };
const LINEAR: Protocol = { window: 512, stride: 341 };

/** transformers' SemanticSegmenterOutput. */
export interface SemanticSegmenterOutput extends EncoderOutput {
  /** (batch, num_labels, rows, columns): of each patch, those of the padding included */
  logits: Tensor<'float32'>;
}

/**
 * The segmentation heads of facebookresearch/dinov2, linear on the last layer and multi-scale on the last four, for ADE20K (150 labels) and
 * PASCAL VOC (21). A call gives the logits of the patches; {@link segment} the label of each pixel, as the original is evaluated.
 */
export class Dinov2ForSemanticSegmentation extends PaddingModel<Dinov2SegmentationConfig, SemanticSegmenterOutput> {
  static override readonly Config = Dinov2SegmentationConfig;
  readonly #head: SegmentationHead;

  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    const { hidden_size: width, out_features, num_labels: labels } = this.config;
    this.#head = new SegmentationHead(this.parameters.at('decode_head'), { width, layers: out_features.length, labels });
    this.initialize(options);
  }

  static override open(this: Loading, source: ModelSource, options: FromPretrainedOptions): Promise<Opened> {
    return openHeaded(this, source, options, { accepts: ['segmentation head'] });
  }

  protected decode(stages: readonly Stage[], { grid }: Picture): Float32 {
    const [first, ...rest] = stages.map(({ patches }) => patches) as [Float32, ...Float32[]];
    const logits = this.#head.forward([first, ...rest]); // (rows, columns, labels)
    return transpose(logits.reshape(grid[0] * grid[1], -1)).reshape(-1, ...grid);
  }

  protected wrap(logits: Float32): SemanticSegmenterOutput {
    return { logits };
  }

  /**
   * The label of each pixel, by windows that slide over the picture, at one size or several and mirrored too. The defaults of size, window
   * and stride are those of the authors' configurations, at one size and without mirror image.
   * @param inputs pictures as they are, not resized or cropped, normalised as for the encoder
   * @returns one result a picture
   * @throws {ShapeError} {DTypeError} {ArgumentError} naming the argument; the signal's reason
   */
  async segment(inputs: ModelInputs, options: SegmentOptions = {}): Promise<Segmentation[]> {
    const { pixels } = resolveRequest(this.config, [], inputs);
    const run = async (window: Float32, signal: AbortSignal | undefined): Promise<Float32> => {
      const call = { output_attentions: false, output_hidden_states: false, return_dict: true, ...(signal && { signal }) };
      return (await this.forward(window, call)).logits;
    };
    const results: Segmentation[] = [];
    for (let i = 0; i < (pixels.dims[0] as number); i++) {
      results.push(await segment(run, pixels.at(i), this.config.out_features.length > 1 ? MULTI_SCALE : LINEAR, options));
    }
    return results;
  }
}

/** What the projection heads give. */
export interface Dinov2ForPreTrainingOutput extends EncoderOutput {
  /** (batch, prototypes), of the class token */
  dino_logits: Tensor<'float32'>;
  /** (batch, patches, prototypes), of the patches */
  ibot_logits: Tensor<'float32'>;
}

/**
 * The encoder with the projection heads of its training, DINO's for the class token and iBOT's for the patches, which may be the same.
 * Released checkpoints have none; those of one's own training do, as `teacher_checkpoint.pth`, or in a file of its own with the option
 * `head`. Patches can be masked by `bool_masked_pos`.
 */
export class Dinov2ForPreTraining extends Dinov2PreTrainedModel<Dinov2ForPreTrainingOutput, CallOptions & MaskedOption> {
  static override readonly Config = Dinov2PreTrainingConfig;
  static override readonly encoderName = ENCODER;
  static override readonly loadingOptions: readonly (keyof FromPretrainedOptions)[] = ['head'];
  declare readonly config: Dinov2PreTrainingConfig;
  readonly #dino: DinoHead;
  readonly #ibot: DinoHead;

  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    const { hidden_size: width, head_layers: layers, head_hidden_size: hidden, head_bottleneck_size: bottleneck } = this.config;
    const { num_prototypes, num_ibot_prototypes } = this.config;
    const make = (name: string, prototypes: number): DinoHead =>
      new DinoHead(this.parameters.at(name), { width, layers, hidden, bottleneck, prototypes });
    this.#dino = make('dino_head', num_prototypes);
    this.#ibot = num_ibot_prototypes ? make('ibot_head', num_ibot_prototypes) : this.#dino;
    this.initialize(options);
  }

  static override open(this: Loading, source: ModelSource, options: FromPretrainedOptions): Promise<Opened> {
    return openHeaded(this, source, options, { accepts: ['projection head'] });
  }

  protected get accepts(): readonly string[] {
    return ['bool_masked_pos'];
  }

  protected async run(pixels: Float32, request: Request): Promise<Dinov2ForPreTrainingOutput> {
    const { observer, output } = observe(request);
    const x = await this.encoder.forward(pixels, request, observer); // (batch, tokens, hidden)
    const [batch, tokens] = x.dims as [number, number, number];
    const { registers, num_prototypes, num_ibot_prototypes } = this.config;
    const dino_logits = owned([batch, num_prototypes]);
    const ibot_logits = owned([batch, tokens - 1 - registers, num_ibot_prototypes || num_prototypes]);
    for (let i = 0; i < batch; i++) {
      this.engine.scope(() => {
        const normed = this.encoder.layernorm.forward(x.at(i)); // (tokens, hidden)
        fetch(this.#dino.forward(normed.at(0)), dino_logits.at(i));
        fetch(this.#ibot.forward(normed.slice(1 + registers)), ibot_logits.at(i));
      });
    }
    return { dino_logits, ibot_logits, ...output };
  }

  protected override parameterOf(tensor: string): string | undefined {
    return tensor;
  }
}
