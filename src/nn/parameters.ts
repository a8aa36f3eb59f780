import { ArgumentError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import { repeat, type WeightOrder } from '../tensor/conv.ts';
import { PackedMatrix } from '../tensor/linear.ts';
import { addressOf, checkDims, type Float32, place, placed } from '../tensor/place.ts';

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

/** How a layer keeps a parameter. */
interface Keeping<Form> {
  allocate(): Form;
  load(form: Form, value: Float32): void;
  read(form: Form): Float32;
}

/**
 * Where the layers of a model declare their parameters. Declaring takes no memory, so that a checkpoint can be checked against them first.
 */
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
    return this.declare(name, dims, initial, {
      allocate: () => place(this.engine, 'float32', dims),
      load: (tensor, value) => copy(this.engine, value, tensor),
      read: (tensor) => tensor.clone(),
    });
  }

  /** Declares the weight (outputs, ...inputs) and the bias (outputs), if it has one, of a linear layer or of a convolution that is one. */
  matrix(outputs: number, inputs: readonly number[], { bias }: { bias: boolean }): () => PackedMatrix {
    const columns = inputs.reduce((product, d) => product * d, 1);
    return this.orderedMatrix([outputs, ...inputs], bias ? outputs : 0, {
      outputs,
      inputs: columns,
      toMatrix: (weight) => weight.reshape(outputs, columns),
      toWeight: (matrix) => matrix.reshape(outputs, ...inputs),
    });
  }

  /**
   * Declares a weight of `dims` that is kept as a matrix in another order, and a bias of as many numbers as `biases`, 0 for none, which is
   * repeated over the outputs of the matrix.
   */
  orderedMatrix(dims: readonly number[], biases: number, order: WeightOrder): () => PackedMatrix {
    let lastBias: Float32 | undefined; // packing writes the bias too, and a checkpoint may give it first
    const matrix = this.declare('weight', dims, 'normal', {
      allocate: () => new PackedMatrix(this.engine, order.outputs, order.inputs),
      load: (packed, value) => this.engine.scope(() => packed.pack(order.toMatrix(placed(this.engine, value)), lastBias)),
      read: (packed) => order.toWeight(packed.unpack().weight),
    });
    if (biases > 0) {
      this.declare('bias', [biases], 0, {
        allocate: matrix,
        load: (packed, value) => {
          lastBias = this.engine.scope(() => repeat(placed(this.engine, value), order.outputs / biases).clone());
          packed.setBias(lastBias);
        },
        read: (packed) => packed.unpack().bias.slice(0, biases),
      });
    }
    return matrix;
  }

  /**
   * Declares a tensor that its layer keeps in a form of its own: `allocate` makes the form, once, `load` fills it and `read` gives back
   * what was loaded. Returns what gets the form.
   */
  declare<Form>(name: string, dims: readonly number[], initial: Initial, { allocate, load, read }: Keeping<Form>): () => Form {
    const full = this.#prefix + name;
    let form: Form | undefined;
    const get = (): Form => {
      if (form === undefined) throw new ArgumentError(`weight "${full}": used before memory was taken for it`);
      return form;
    };
    this.#list.push({
      name: full,
      dims,
      initial,
      allocate: () => {
        form ??= allocate();
      },
      load: (value) => {
        checkDims(`weight "${full}"`, dims, value.dims);
        load(get(), value);
      },
      read: () => read(get()),
    });
    return get;
  }
}

function copy(engine: Engine, from: Float32, to: Float32): void {
  if (from.place) engine.copy(addressOf(to), addressOf(from), to.bytes);
  else engine.write(addressOf(to), from.data);
}
