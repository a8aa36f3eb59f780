import type { Activation } from '../runtime/kernels.ts';
import type { Operand, PackedMatrix } from '../tensor/matrix/packedMatrix.ts';
import { swiglu } from '../tensor/ops.ts';
import type { Float32 } from '../tensor/place.ts';
import { Linear } from './linear.ts';
import type { Parameters } from './parameters.ts';

/** What follows attention in a block: residual (tokens, width) += scale * feedForward(x) */
export interface FeedForward {
  /** What reads x. */
  readonly reader: PackedMatrix;
  addTo(residual: Float32, x: Operand, scale: Float32): void;
}

/** Two linear layers with an activation in between. */
export class Mlp implements FeedForward {
  readonly #fc1: Linear;
  readonly #fc2: Linear;
  readonly #activation: Activation;

  constructor(p: Parameters, width: number, hidden: number, activation: Activation) {
    this.#fc1 = new Linear(p.at('fc1'), width, hidden);
    this.#fc2 = new Linear(p.at('fc2'), hidden, width);
    this.#activation = activation;
  }

  get reader(): PackedMatrix {
    return this.#fc1.reader;
  }

  addTo(residual: Float32, x: Operand, scale: Float32): void {
    const hidden = this.#fc1.forward(x, this.#activation); // (tokens, hidden)
    this.#fc2.addTo(residual, hidden, scale);
  }
}

/** The gated feed-forward of the giant model (Shazeer 2020, "GLU variants improve transformer"). */
export class SwiGlu implements FeedForward {
  readonly #in: Linear;
  readonly #out: Linear;

  constructor(p: Parameters, width: number, hidden: number) {
    this.#in = new Linear(p.at('weights_in'), width, 2 * hidden);
    this.#out = new Linear(p.at('weights_out'), hidden, width);
  }

  get reader(): PackedMatrix {
    return this.#in.reader;
  }

  addTo(residual: Float32, x: Operand, scale: Float32): void {
    const hidden = swiglu(this.#in.forward(x)); // (tokens, hidden)
    this.#out.addTo(residual, hidden, scale);
  }
}
