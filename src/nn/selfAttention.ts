import { type AttentionOptions, attention } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import { Linear } from './linear.ts';
import type { Parameters } from './parameters.ts';

/** Multi-head self-attention (Vaswani et al. 2017). */
export class SelfAttention {
  readonly #heads: number;
  readonly #query: Linear;
  readonly #key: Linear;
  readonly #value: Linear;
  readonly #output: Linear;

  constructor(p: Parameters, width: number, heads: number, { bias }: { bias: boolean }) {
    this.#heads = heads;
    this.#query = new Linear(p.at('attention.query'), width, width, { bias });
    this.#key = new Linear(p.at('attention.key'), width, width, { bias });
    this.#value = new Linear(p.at('attention.value'), width, width, { bias });
    this.#output = new Linear(p.at('output.dense'), width, width);
  }

  /** residual (tokens, width) += scale * attention(x), x (tokens, width) */
  addTo(residual: Float32, x: Float32, scale: Float32, options: Omit<AttentionOptions, 'heads'> = {}): void {
    const query = this.#query.forward(x); // (tokens, width)
    const key = this.#key.forward(x); // (tokens, width)
    const value = this.#value.forward(x); // (tokens, width)
    const context = attention(query, key, value, { heads: this.#heads, ...options }); // (tokens, width)
    this.#output.addTo(residual, context, scale);
  }
}
