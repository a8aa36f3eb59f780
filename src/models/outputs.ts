import { Tensor } from '../tensor/tensor.ts';

/** What every model gives on request. */
export interface EncoderOutput {
  /** The output of the embeddings and of each block, before the final layer norm: layers + 1 tensors (batch, tokens, hidden). */
  hidden_states?: Tensor<'float32'>[];
  /** One tensor (batch, heads, tokens, tokens) a block, after the softmax and the head mask. */
  attentions?: Tensor<'float32'>[];
}

/** transformers' BaseModelOutputWithPooling. */
export interface Dinov2ModelOutput extends EncoderOutput {
  /** (batch, tokens, hidden), after the final layer norm; the first token is the class token */
  last_hidden_state: Tensor<'float32'>;
  /** (batch, hidden): the class token of last_hidden_state */
  pooler_output: Tensor<'float32'>;
}

/** transformers' ImageClassifierOutput. */
export interface ImageClassifierOutput extends EncoderOutput {
  /** A scalar, where labels were given. */
  loss?: Tensor<'float32'>;
  /** (batch, num_labels) */
  logits: Tensor<'float32'>;
  /** On request: (batch, tokens, hidden), as of the model without a classifier. */
  last_hidden_state?: Tensor<'float32'>;
}

/** transformers' BackboneOutput. */
export interface BackboneOutput extends EncoderOutput {
  /**
   * One map a requested stage, in the order of the stages: (batch, hidden, rows, columns), or (batch, tokens, hidden) without
   * reshape_hidden_states.
   */
  feature_maps: Tensor<'float32'>[];
}

/** The output with every tensor copied, so that it outlives the next run of a trace. */
export function cloneOutput<T extends object>(output: T): T {
  const clone = (value: unknown): unknown => (value instanceof Tensor ? value.clone() : Array.isArray(value) ? value.map(clone) : value);
  return Object.fromEntries(Object.entries(output).map(([key, value]) => [key, clone(value)])) as T;
}

/** Bytes of all its tensors. */
export function bytesOfOutput(output: object): number {
  return Object.values(output)
    .flat()
    .reduce((bytes: number, value) => bytes + (value instanceof Tensor ? value.bytes : 0), 0);
}
