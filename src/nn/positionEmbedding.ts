import type { Float32 } from '../tensor/place.ts';
import { resample } from '../tensor/resample.ts';

/**
 * How position embeddings are brought to another grid, all of them bicubic:
 * - `offset`: by the scale factor (n + 0.1) / N, as facebookresearch/dinov2 without registers and transformers v4.37.2 do
 * - `size`: to the size, as transformers does since August 2024 (PR 33226)
 * - `antialias`: to the size with antialiasing, as facebookresearch/dinov2 with registers, transformers' dinov2_with_registers and timm do
 */
export type PosEmbed = 'offset' | 'size' | 'antialias';

export const POS_EMBEDS: readonly PosEmbed[] = ['offset', 'size', 'antialias'];

/** The embeddings (rows * columns, width) of a grid at another size: -> (height * width, width) */
export function interpolatePositions(
  positions: Float32,
  [rows, columns]: readonly [number, number],
  [height, width]: readonly [number, number],
  rule: PosEmbed,
): Float32 {
  const resized = resample(positions.reshape(rows, columns, -1), {
    height,
    width,
    filter: 'bicubic',
    antialias: rule === 'antialias',
    ...(rule === 'offset' && { scaleFactor: [(height + 0.1) / rows, (width + 0.1) / columns] as const }),
  });
  return resized.reshape(height * width, -1);
}
