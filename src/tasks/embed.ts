import { ArgumentError, ShapeError } from '../errors.ts';
import { concat, type Float32, mean, Tensor } from '../tensor/index.ts';

/**
 * What can stand for a picture: the class token, the mean of the patch tokens, or one behind the other, as the classifiers of the paper
 * take them.
 */
export const POOLINGS = ['cls', 'mean', 'both'] as const;

export type Pooling = (typeof POOLINGS)[number];

/**
 * One vector a picture: last_hidden_state (batch, tokens, hidden), the class token first -> (batch, hidden), or (batch, 2 hidden) for both.
 * `cls` is the `pooler_output` of transformers, `both` what the head of Dinov2ForImageClassification is given.
 * @param options `registers`: tokens between the class token and the patches, which have no part in a mean: `registers` of the
 * configuration. Default 0.
 * @throws {ShapeError} {DTypeError} {ArgumentError}
 */
export function embed(
  last_hidden_state: Tensor,
  { pooling = 'cls', registers = 0 }: { pooling?: Pooling; registers?: number } = {},
): Float32 {
  if (!POOLINGS.includes(pooling))
    throw new ArgumentError(`pooling: expected one of ${POOLINGS.join(', ')}, found ${JSON.stringify(pooling)}`);
  const [batch = 0, tokens = 0, hidden = 0] = last_hidden_state.dims;
  if (last_hidden_state.dims.length !== 3 || tokens < 2 + registers) {
    throw new ShapeError(`last_hidden_state: expected (batch, ${1 + registers} + patches, hidden), found [${last_hidden_state.dims}]`);
  }
  const width = pooling === 'both' ? 2 * hidden : hidden;
  const vectors = new Tensor('float32', new Float32Array(batch * width), [batch, width]);
  for (let i = 0; i < batch; i++) vectors.at(i).data.set(pool(last_hidden_state.at(i), pooling, registers).data);
  return vectors;
}

/** tokens (1 + registers + patches, hidden) -> (hidden), or (2 hidden) for both */
function pool(tokens: Tensor, pooling: Pooling, registers: number): Float32 {
  if (pooling === 'cls') return tokens.at(0).to('float32');
  const patches = mean(tokens.slice(1 + registers)); // (hidden)
  return pooling === 'mean' ? patches : concat(tokens.at(0), patches);
}
