import { ShapeError } from '../errors.ts';
import type { Dinov2Config } from '../models/config.ts';
import { gridOf } from '../models/inputs.ts';
import { type Float32, Tensor } from '../tensor/index.ts';

/** Of patches. */
export type Grid = readonly [rows: number, columns: number];

/** Rows and columns of the patches that a model makes of pixel_values (batch, channels, height, width). @throws {ShapeError} */
export function patchGrid(config: Dinov2Config, pixel_values: Tensor): Grid {
  const [, , height, width] = pixel_values.dims;
  if (!height || !width) throw new ShapeError(`pixel_values: expected (batch, channels, height, width), found [${pixel_values.dims}]`);
  return gridOf(config, height, width);
}

/**
 * The features of the patches, at their places: last_hidden_state (batch, tokens, hidden) -> (batch, rows, columns, hidden). The tokens
 * before the patches, of the class among them, are left out.
 * @param grid see {@link patchGrid}
 * @throws {ShapeError} {DTypeError}
 */
export function patchFeatures(last_hidden_state: Tensor, [rows, columns]: Grid): Float32 {
  const [batch = 0, tokens = 0, hidden = 0] = last_hidden_state.dims;
  const patches = rows * columns;
  if (last_hidden_state.dims.length !== 3 || tokens <= patches) {
    throw new ShapeError(`last_hidden_state: expected (batch, 1 + ${patches} patches, hidden), found [${last_hidden_state.dims}]`);
  }
  const features = new Tensor('float32', new Float32Array(batch * patches * hidden), [batch, rows, columns, hidden]);
  for (let i = 0; i < batch; i++)
    features.at(i).data.set(
      last_hidden_state
        .at(i)
        .slice(tokens - patches)
        .to('float32').data,
    );
  return features;
}
