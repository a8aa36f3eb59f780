import { openCanonical } from '../checkpoint/shards.ts';
import type { ModelSource } from '../files/source.ts';
import { ImageClassifier } from '../heads/imageClassifier.ts';
import { classificationLoss } from '../heads/loss.ts';
import { concat, transpose } from '../tensor/ops.ts';
import { copyTo, type Float32, fetch, owned, place } from '../tensor/place.ts';
import type { Dinov2Config, Dinov2ConfigFields } from './config.ts';
import { openWithHead } from './heads.ts';
import {
  type CallOptions,
  gridOf,
  type HeadMaskOption,
  type LabelsOption,
  type LastHiddenStateOption,
  type MaskedOption,
  type Request,
} from './inputs.ts';
import type { BackboneOutput, Dinov2ModelOutput, ImageClassifierOutput } from './outputs.ts';
import { Dinov2PreTrainedModel, type FromPretrainedOptions, type Loading, type ModelOptions, type Opened, observe } from './pretrained.ts';

/**
 * DINOv2 (Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without Supervision") without a head, as transformers v4.37.2 has it
 * in models/dinov2/modeling_dinov2.py: embeddings, blocks, final layer norm.
 */
export class Dinov2Model extends Dinov2PreTrainedModel<Dinov2ModelOutput, CallOptions & HeadMaskOption & MaskedOption> {
  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    this.initialize(options);
  }

  protected get accepts(): readonly string[] {
    return ['head_mask', 'bool_masked_pos'];
  }

  protected async run(pixels: Float32, request: Request): Promise<Dinov2ModelOutput> {
    const { observer, output } = observe(request);
    const x = await this.encoder.forward(pixels, request, observer); // (batch, tokens, hidden)
    const [batch, , hidden] = x.dims as [number, number, number];
    const last_hidden_state = owned(x.dims);
    const pooler_output = owned([batch, hidden]);
    for (let i = 0; i < batch; i++) {
      this.engine.scope(() => {
        const normed = this.encoder.layernorm.forward(x.at(i)); // (tokens, hidden)
        fetch(normed, last_hidden_state.at(i));
        fetch(normed.at(0), pooler_output.at(i));
      });
    }
    return { last_hidden_state, pooler_output, ...output };
  }
}

/**
 * A linear classifier on the class token and the mean of the patch tokens, as transformers v4.37.2 has it. With the option `head` of
 * from_pretrained also the heads of facebookresearch/dinov2 on 1 or 4 layers, on an encoder from elsewhere:
 * `from_pretrained('dinov2_vits14_pretrain.pth', { head: 'dinov2_vits14_linear4_head.pth' })`.
 */
export class Dinov2ForImageClassification extends Dinov2PreTrainedModel<
  ImageClassifierOutput,
  CallOptions & HeadMaskOption & LabelsOption & LastHiddenStateOption
> {
  static override readonly loadingOptions: readonly (keyof FromPretrainedOptions)[] = ['head'];
  readonly #classifier: ImageClassifier;

  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    const { hidden_size: width, num_labels: labels, classifier_layers: layers } = this.config;
    this.#classifier = new ImageClassifier(this.parameters, { width, labels, layers });
    this.initialize(options);
  }

  static override async open(this: Loading, source: ModelSource, options: FromPretrainedOptions): Promise<Opened> {
    const { head, config: overrides = {} } = options;
    const encoder = await this.Config.from_pretrained(source, overrides);
    if (head === undefined) return { config: encoder, checkpoint: await openCanonical(source) };
    return openWithHead(source, { head, encoder, overrides, Config: this.Config, accepts: ['classifier'], prefix: '' });
  }

  protected get accepts(): readonly string[] {
    return ['head_mask', 'labels', 'output_last_hidden_state'];
  }

  protected override get prefix(): string {
    return this.basePrefix;
  }

  protected async run(pixels: Float32, request: Request): Promise<ImageClassifierOutput> {
    const { observer, output } = observe(request);
    const { num_hidden_layers, classifier_layers, registers } = this.config;
    const earlier: Float32[] = []; // (batch, hidden): the class tokens of the blocks before the last
    const x = await this.encoder.forward(pixels, request, {
      ...observer,
      hidden: (layer, state) => {
        observer.hidden?.(layer, state);
        if (layer > num_hidden_layers - classifier_layers && layer < num_hidden_layers) earlier.push(this.#classTokens(state));
      },
    }); // (batch, tokens, hidden)
    const [batch] = x.dims as [number];
    const logits = owned([batch, this.#classifier.outputs]);
    const last_hidden_state = request.lastHiddenState ? owned(x.dims) : undefined;
    for (let i = 0; i < batch; i++) {
      this.engine.scope(() => {
        const normed = this.encoder.layernorm.forward(x.at(i)); // (tokens, hidden)
        const classTokens = earlier.map((tokens) => tokens.at(i)).reduceRight((after, before) => concat(before, after), normed.at(0));
        fetch(this.#classifier.forward(classTokens, normed.slice(1 + registers)), logits.at(i));
        if (last_hidden_state) fetch(normed, last_hidden_state.at(i));
      });
    }
    return { logits, ...(last_hidden_state && { last_hidden_state }), ...output };
  }

  /** state (batch, tokens, hidden) -> (batch, hidden), through the final layer norm */
  #classTokens(state: Float32): Float32 {
    const [batch, , hidden] = state.dims as [number, number, number];
    const tokens = place(this.engine, 'float32', [batch, hidden]);
    for (let i = 0; i < batch; i++) copyTo(tokens.at(i), state.at(i).at(0));
    return this.encoder.layernorm.forward(tokens);
  }

  protected override complete(output: ImageClassifierOutput, { labels }: Request): ImageClassifierOutput {
    return labels === undefined ? output : { loss: classificationLoss(output.logits, labels, this.config.problem_type), ...output };
  }
}

/** The feature maps of chosen stages, for heads of dense prediction, as transformers v4.37.2 has it. */
export class Dinov2Backbone extends Dinov2PreTrainedModel<BackboneOutput, CallOptions> {
  constructor(config: Dinov2Config | Dinov2ConfigFields = {}, options: ModelOptions = {}) {
    super(config, options);
    this.initialize(options);
  }

  protected get accepts(): readonly string[] {
    return [];
  }

  protected async run(pixels: Float32, request: Request): Promise<BackboneOutput> {
    const { observer, output } = observe(request);
    const { stage_names, out_features } = this.config;
    const feature_maps: Float32[] = [];
    await this.encoder.forward(pixels, request, {
      ...observer,
      hidden: (layer, x) => {
        observer.hidden?.(layer, x);
        if (out_features.includes(stage_names[layer] as string)) feature_maps.push(this.#featureMap(x, pixels.dims));
      },
    });
    return { feature_maps, ...output };
  }

  /** x (batch, tokens, hidden) -> (batch, hidden, rows, columns), or as it is */
  #featureMap(x: Float32, [, , height, width]: readonly number[]): Float32 {
    const { apply_layernorm, reshape_hidden_states, hidden_size } = this.config;
    const [batch, tokens] = x.dims as [number, number];
    const [rows, columns] = gridOf(this.config, height as number, width as number);
    const map = owned(reshape_hidden_states ? [batch, hidden_size, rows, columns] : x.dims);
    for (let i = 0; i < batch; i++) {
      this.engine.scope(() => {
        const state = apply_layernorm ? this.encoder.layernorm.forward(x.at(i)) : x.at(i); // (tokens, hidden)
        fetch(
          reshape_hidden_states ? transpose(state.slice(tokens - rows * columns)).reshape(hidden_size, rows, columns) : state,
          map.at(i),
        );
      });
    }
    return map;
  }
}
