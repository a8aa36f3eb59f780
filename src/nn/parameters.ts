import { ArgumentError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import { PackedMatrix } from '../tensor/linear.ts';
import { addressOf, checkDims, type Float32, place } from '../tensor/place.ts';

/** How a parameter starts when no checkpoint gives it: from the truncated normal distribution of the configuration, or as one value. */
export type Initial = 'normal' | number;

/** One tensor of a checkpoint, and its place in the engine once it is loaded. */
export interface Parameter {
  /** As in the checkpoint, without the model's prefix: "encoder.layer.0.norm1.bias". */
  readonly name: string;
  readonly dims: readonly number[];
  readonly initial: Initial;
  /** Takes engine memory for it, once. */
  allocate(): void;
  /** Copies the elements, of `dims`, to where the layer reads them. */
  load(value: Float32): void;
  /** The elements as they were loaded, in memory of their own. */
  read(): Float32;
}

/** Where the layers of a model declare their parameters. Declaring takes no memory, so that a checkpoint can be checked against them first. */
export class Parameters {
  readonly engine: Engine;
  readonly #prefix: string;
  readonly #list: Parameter[];

  constructor(engine: Engine, prefix = '', list: Parameter[] = []) {
    this.engine = engine;
    this.#prefix = prefix;
    this.#list = list;
  }

  /** All that were declared here or below, in the order of the layers. */
  get all(): readonly Parameter[] {
    return this.#list;
  }

  /** The same list, for the parameters whose names begin with `name`. */
  at(name: string): Parameters {
    return new Parameters(this.engine, `${this.#prefix}${name}.`, this.#list);
  }

  /** Declares a tensor that is kept as it is. */
  tensor(name: string, dims: readonly number[], initial: Initial): () => Float32 {
    const full = this.#prefix + name;
    let tensor: Float32 | undefined;
    const get = (): Float32 => tensor ?? missing(full);
    this.#list.push({
      name: full,
      dims,
      initial,
      allocate: () => {
        tensor ??= place(this.engine, 'float32', dims);
      },
      load: (value) => {
        checkDims(`weight "${full}"`, dims, value.dims);
        copy(this.engine, value, get());
      },
      read: () => get().clone(),
    });
    return get;
  }

  /** Declares the weight (outputs, ...inputs) and the bias (outputs), if it has one, of a linear layer or of a convolution that is one. */
  matrix(outputs: number, inputs: readonly number[], { bias }: { bias: boolean }): () => PackedMatrix {
    const columns = inputs.reduce((product, d) => product * d, 1);
    const names = { weight: `${this.#prefix}weight`, bias: `${this.#prefix}bias` };
    let packed: PackedMatrix | undefined;
    let lastBias: Float32 | undefined; // packing writes the bias too, and a checkpoint may give it first
    const get = (): PackedMatrix => packed ?? missing(names.weight);
    this.#list.push({
      name: names.weight,
      dims: [outputs, ...inputs],
      initial: 'normal',
      allocate: () => {
        packed ??= new PackedMatrix(this.engine, outputs, columns);
      },
      load: (value) => {
        checkDims(`weight "${names.weight}"`, [outputs, ...inputs], value.dims);
        get().pack(value.reshape(outputs, columns), lastBias);
      },
      read: () =>
        get()
          .unpack()
          .weight.reshape(outputs, ...inputs),
    });
    if (bias) {
      this.#list.push({
        name: names.bias,
        dims: [outputs],
        initial: 0,
        allocate: () => {},
        load: (value) => {
          checkDims(`weight "${names.bias}"`, [outputs], value.dims);
          lastBias = value.clone();
          get().setBias(lastBias);
        },
        read: () => get().unpack().bias,
      });
    }
    return get;
  }
}

function copy(engine: Engine, from: Float32, to: Float32): void {
  if (from.place) engine.copy(addressOf(to), addressOf(from), to.bytes);
  else engine.write(addressOf(to), from.data);
}

function missing(name: string): never {
  throw new ArgumentError(`weight "${name}": used before memory was taken for it`);
}
