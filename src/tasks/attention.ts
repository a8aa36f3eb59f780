import { ShapeError } from '../errors.ts';
import { type Float32, matmul, Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import type { Grid } from './features.ts';
import type { Patch } from './frame.ts';

/**
 * Where a token looks: attention (heads, tokens, tokens), whose rows are queries -> (heads, rows, columns), the probability of each patch.
 * The tokens before the patches, of the class and the registers, are left out, so that the sum may be less than 1.
 * @param grid see `patchGrid`
 * @param options `from`: the patch whose attention it is; without one that of the class token
 * @throws {ShapeError} {DTypeError}
 */
export function attentionMaps(attention: Tensor, [rows, columns]: Grid, { from }: { from?: Patch | undefined } = {}): Float32 {
  const [heads = 0, tokens = 0] = attention.dims;
  checkDims('attention', [-1, tokens, tokens], attention.dims);
  const before = tokens - rows * columns;
  if (before < 1) throw new ShapeError(`attention: expected 1 + ${rows * columns} tokens, found [${attention.dims}]`);
  const isInside = !from || (from.row >= 0 && from.row < rows && from.column >= 0 && from.column < columns);
  if (!isInside) throw new ShapeError(`from: expected a patch of ${rows} rows and ${columns} columns, found ${from.row}, ${from.column}`);
  const query = from ? before + from.row * columns + from.column : 0;
  const maps = new Tensor('float32', new Float32Array(heads * rows * columns), [heads, rows, columns]);
  for (let head = 0; head < heads; head++) maps.at(head).data.set(attention.at(head).at(query).to('float32').data.subarray(before));
  return maps;
}

/**
 * Attention through all blocks (Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", attention rollout): each block passes
 * on half of what a token is and half of what its heads, on average, look at. Give it the attentions of the blocks from the first on, for
 * instance as `attention_callback` of a model: no more than two matrices are kept.
 */
export class Rollout {
  #product: Float32 | undefined;

  /** attention (heads, tokens, tokens), after the softmax. @throws {ShapeError} {DTypeError} */
  add(attention: Tensor): void {
    const [heads = 0, tokens = 0] = attention.dims;
    checkDims('attention', [-1, this.#product?.dims[0] ?? tokens, this.#product?.dims[0] ?? tokens], attention.dims);
    if (heads === 0) throw new ShapeError(`attention: expected one head or more, found [${attention.dims}]`);
    const flow = new Tensor('float32', new Float32Array(tokens * tokens), [tokens, tokens]);
    for (let head = 0; head < heads; head++) {
      const { data } = attention.at(head).to('float32');
      for (let i = 0; i < data.length; i++) flow.data[i] = (flow.data[i] as number) + (data[i] as number) / (2 * heads);
    }
    for (let i = 0; i < tokens; i++) flow.data[i * (tokens + 1)] = (flow.data[i * (tokens + 1)] as number) + 0.5;
    this.#product = this.#product ? matmul(flow, this.#product) : flow;
  }

  /** (1, tokens, tokens), as of a block with one head: how much each token, a row, has of each token of the beginning. @throws {ShapeError} */
  get attention(): Float32 {
    if (!this.#product) throw new ShapeError('rollout: expected the attention of one block or more, found none');
    return this.#product.reshape(1, ...this.#product.dims);
  }
}
