import type { Operand, PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { type AttentionOptions, selfAttention } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import { Linear } from './linear.ts';
import type { Parameters } from './parameters.ts';

/** Multi-head self-attention (Vaswani et al. 2017). */
export class SelfAttention {
  readonly #heads: number;
  readonly #integers: boolean;
  readonly #width: number;
  readonly #qkv: () => PackedMatrix;
  readonly #output: Linear;

  constructor(p: Parameters, width: number, heads: number, { bias }: { bias: boolean }) {
    this.#heads = heads;
    this.#integers = p.dtype === 'int8';
    this.#width = width;
    this.#qkv = p.at('attention').stackedMatrix(['query', 'key', 'value'], width, width, { bias });
    this.#output = new Linear(p.at('output.dense'), width, width);
  }

  /** What reads x. */
  get reader(): PackedMatrix {
    return this.#qkv();
  }

  /** residual (tokens, width) += scale * attention(x), x (tokens, width) */
  addTo(residual: Float32, x: Operand, scale: Float32, options: Omit<AttentionOptions, 'heads'> = {}): void {
    const qkv = this.#qkv().multiply(x); // (tokens, 3 width): query, key, value, each padded to whole panels
    const context = selfAttention(qkv, this.#width, { heads: this.#heads, integers: this.#integers, ...options }); // (tokens, width)
    this.#output.addTo(residual, context, scale);
  }
}
