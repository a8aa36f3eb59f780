import { Dinov2WithRegistersConfig } from './config.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from './dinov2.ts';

/**
 * {@link Dinov2Model} with register tokens between the class token and the patches (Darcet et al. 2023, "Vision Transformers Need
 * Registers"), as transformers has it in models/dinov2_with_registers. Position embeddings are interpolated with antialiasing, unless
 * `posEmbed` says otherwise.
 */
export class Dinov2WithRegistersModel extends Dinov2Model {
  static override readonly Config = Dinov2WithRegistersConfig;
}

/** {@link Dinov2ForImageClassification} with register tokens, which have no part in the mean of the patch tokens. */
export class Dinov2WithRegistersForImageClassification extends Dinov2ForImageClassification {
  static override readonly Config = Dinov2WithRegistersConfig;
}

/** {@link Dinov2Backbone} with register tokens, which are not in the maps; without reshape_hidden_states they are. */
export class Dinov2WithRegistersBackbone extends Dinov2Backbone {
  static override readonly Config = Dinov2WithRegistersConfig;
}
