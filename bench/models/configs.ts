import { Dinov2Config, Dinov2Model } from '../../src/index.ts';

/** The shapes of facebook/dinov2-small, -base and -large. */
export const MODELS = {
  S: new Dinov2Config({ hidden_size: 384, num_attention_heads: 6, image_size: 518, patch_size: 14 }),
  B: new Dinov2Config({ hidden_size: 768, num_attention_heads: 12, image_size: 518, patch_size: 14 }),
  L: new Dinov2Config({ hidden_size: 1024, num_attention_heads: 16, num_hidden_layers: 24, image_size: 518, patch_size: 14 }),
} as const;

export type ModelName = keyof typeof MODELS;

/** Channels of the levels and of the fusion of Depth Anything on each. */
export const DEPTH_ANYTHING: Readonly<
  Record<ModelName, { readonly neck_hidden_sizes: readonly number[]; readonly fusion_hidden_size: number }>
> = {
  S: { neck_hidden_sizes: [48, 96, 192, 384], fusion_hidden_size: 64 },
  B: { neck_hidden_sizes: [96, 192, 384, 768], fusion_hidden_size: 128 },
  L: { neck_hidden_sizes: [256, 512, 1024, 1024], fusion_hidden_size: 256 },
};

/** With random weights, the same each time. */
export function randomModel(name: ModelName): Dinov2Model {
  return new Dinov2Model(MODELS[name], { seed: 1 });
}
