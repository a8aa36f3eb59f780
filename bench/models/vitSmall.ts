import { Dinov2Config } from '../../src/index.ts';

/** The configuration of facebook/dinov2-small: 22.06 M parameters, 12.2 GFLOP for a picture of 224 x 224. */
export const VIT_SMALL = new Dinov2Config({ hidden_size: 384, num_attention_heads: 6, image_size: 518, patch_size: 14 });
