import { Dinov2Config, Dinov2Model } from '../../src/index.ts';

/** The shapes of facebook/dinov2-small, -base and -large. */
export const MODELS = {
  S: new Dinov2Config({ hidden_size: 384, num_attention_heads: 6, image_size: 518, patch_size: 14 }),
  B: new Dinov2Config({ hidden_size: 768, num_attention_heads: 12, image_size: 518, patch_size: 14 }),
  L: new Dinov2Config({ hidden_size: 1024, num_attention_heads: 16, num_hidden_layers: 24, image_size: 518, patch_size: 14 }),
} as const;

export type ModelName = keyof typeof MODELS;

/** With random weights, the same each time. */
export function randomModel(name: ModelName): Dinov2Model {
  return new Dinov2Model(MODELS[name], { seed: 1 });
}
