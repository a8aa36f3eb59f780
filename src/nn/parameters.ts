import { ArgumentError } from '../errors.ts';
import type { Engine } from '../runtime/engine.ts';
import { PANEL } from '../runtime/kernels.ts';
import { repeat, type WeightOrder } from '../tensor/conv.ts';
import { biasCorrection, type InputStatistics } from '../tensor/matrix/calibration.ts';
import { createMatrix } from '../tensor/matrix/createMatrix.ts';
import type { PackedMatrix, QuantizedWeight, WeightDType } from '../tensor/matrix/packedMatrix.ts';
import { addressOf, checkDims, type Float32, place, placed } from '../tensor/place.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';

/** How a parameter starts when no checkpoint gives it: from the truncated normal distribution of the configuration, or as one value. */
export type Initial = 'normal' | number;

/** One tensor of a checkpoint, and its place in the engine once it is loaded. */
export interface Parameter {
  /** As in the checkpoint, without the model's prefix: "encoder.layer.0.norm1.bias". */
  readonly name: string;
  readonly dims: readonly number[];
  readonly initial: Initial;
  /** The kind of number that it is kept in. */
  readonly dtype: WeightDType;
  /** About the memory that it takes. */
  readonly bytes: number;
  /** Takes engine memory for it, once. */
  allocate(): void;
  /** Copies the elements, of `dims`, to where the layer reads them; what is known of its inputs lets them become better integers. */
  load(value: Float32, inputs?: InputStatistics): void;
  /** The same from integers, for a weight that is a matrix. */
  loadQuantized?(weight: QuantizedWeight): void;
  /** The elements as they were loaded, in memory of their own. */
  read(): Float32;
  /** The integers, where that is how the layer keeps it. */
  readQuantized?(): QuantizedWeight | undefined;
  /** Shows `observe` the inputs (..., columns) of the matrix that this is the weight of, until the function that it returns is called. */
  watch?(observe: (x: Float32) => void): () => void;
}

/** Bytes of a weight. */
const BYTES: Readonly<Record<WeightDType, number>> = { float32: 4, float16: 2, int8: 1 };

export interface MatrixOptions {
  /** Another kind of number than that of the model. */
  dtype?: WeightDType;
  /** For a matrix that is part of another. */
  allocate?: () => PackedMatrix;
}

/** How a layer keeps a parameter. */
interface Keeping<Form> {
  /** Default float32. */
  dtype?: WeightDType;
  allocate(): Form;
  load(form: Form, value: Float32, inputs?: InputStatistics): void;
  loadQuantized?(form: Form, weight: QuantizedWeight): void;
  read(form: Form): Float32;
  readQuantized?(form: Form): QuantizedWeight | undefined;
  watch?(form: Form, observe: (x: Float32) => void): () => void;
}

/**
 * Where the layers of a model declare their parameters. Declaring takes no memory, so that a checkpoint can be checked against them first.
 */
export class Parameters {
  readonly engine: Engine;
  /** The kind of number in which matrices are kept; everything else is in float32. */
  readonly dtype: WeightDType;
  readonly #prefix: string;
  readonly #list: Parameter[];

  constructor(engine: Engine, dtype: WeightDType = 'float32', prefix = '', list: Parameter[] = []) {
    this.engine = engine;
    this.dtype = dtype;
    this.#prefix = prefix;
    this.#list = list;
  }

  /** All that were declared here or below, in the order of the layers. */
  get all(): readonly Parameter[] {
    return this.#list;
  }

  /** Those of {@link all} that were declared here or below this name. */
  get own(): readonly Parameter[] {
    return this.#list.filter(({ name }) => name.startsWith(this.#prefix));
  }

  /** The same list, for the parameters whose names begin with `name`. */
  at(name: string): Parameters {
    return new Parameters(this.engine, this.dtype, `${this.#prefix}${name}.`, this.#list);
  }

  /** The same for matrices that 8 bits would cost more than they save: a model of int8 keeps them in float16. */
  get precise(): Parameters {
    return new Parameters(this.engine, this.dtype === 'int8' ? 'float16' : this.dtype, this.#prefix, this.#list);
  }

  /** Declares a tensor that is kept as it is. */
  tensor(name: string, dims: readonly number[], initial: Initial): () => Float32 {
    return this.declare(name, dims, initial, {
      allocate: () => place(this.engine, 'float32', dims),
      load: (tensor, value) => copy(this.engine, value, tensor),
      read: (tensor) => tensor.clone(),
    });
  }

  /**
   * Declares the weight (outputs, ...inputs) and the bias (outputs), if it has one, of a linear layer or of a convolution that is one.
   */
  matrix(outputs: number, inputs: readonly number[], { bias, ...options }: { bias: boolean } & MatrixOptions): () => PackedMatrix {
    const columns = inputs.reduce((product, d) => product * d, 1);
    const order = {
      outputs,
      inputs: columns,
      toMatrix: (weight: Float32) => weight.reshape(outputs, columns),
      toWeight: (matrix: Float32) => matrix.reshape(outputs, ...inputs),
      isSame: true,
    };
    return this.orderedMatrix([outputs, ...inputs], bias ? outputs : 0, order, options);
  }

  /**
   * Declares linear layers (outputs, inputs) that read the same input as one matrix, which gives their outputs side by side. Each begins at a
   * multiple of 8 outputs.
   */
  stackedMatrix(names: readonly string[], outputs: number, inputs: number, options: { bias: boolean }): () => PackedMatrix {
    const step = Math.ceil(outputs / PANEL) * PANEL;
    let stack: PackedMatrix | undefined;
    const allocate = (): PackedMatrix => {
      stack ??= createMatrix(this.engine, this.dtype, names.length * step, inputs, { rotated: true });
      return stack;
    };
    for (const [i, name] of names.entries()) {
      this.at(name).matrix(outputs, [inputs], { ...options, allocate: () => allocate().slice(i * step, outputs) });
    }
    return allocate;
  }

  /**
   * Declares a weight of `dims` that is kept as a matrix in another order, and a bias of as many numbers as `biases`, 0 for none, which is
   * repeated over the outputs of the matrix.
   */
  orderedMatrix(dims: readonly number[], biases: number, order: WeightOrder, options: MatrixOptions = {}): () => PackedMatrix {
    const rowsAreOutputs = order.outputs === dims[0]; // so that a scale of a row belongs to an output of the checkpoint
    const isMatrix = dims.length === 2; // others are convolutions, which rotating would cost more than it gives
    const { dtype = this.dtype } = options;
    const { allocate = () => createMatrix(this.engine, dtype, order.outputs, order.inputs, { rotated: isMatrix, width: order.width }) } =
      options;
    const reorder = (integers: Int8Array, to: (x: Float32) => Float32, from: readonly number[]): Int8Array =>
      order.isSame ? integers : Int8Array.from(to(new Tensor('float32', Float32Array.from(integers), from)).data);
    let lastBias: Float32 | undefined; // packing writes the bias too, and a checkpoint may give it first
    let correction: Float32Array | undefined; // of the bias, for what rounding the weights changed
    const bias = (): Float32 | undefined =>
      lastBias && correction
        ? new Tensor(
            'float32',
            lastBias.data.map((b, o) => b + (correction?.[o] ?? 0)),
            lastBias.dims,
          )
        : lastBias;
    const matrix = this.declare<PackedMatrix>('weight', dims, 'normal', {
      dtype,
      allocate,
      load: (packed, value, inputs) =>
        this.engine.scope(() => {
          const weight = order.toMatrix(placed(this.engine, value));
          packed.pack(weight, lastBias, inputs);
          correction = inputs && dtype === 'int8' ? biasCorrection(weight, packed.unpack().weight, inputs.mean) : undefined;
          const corrected = correction && bias();
          if (corrected) packed.setBias(corrected);
        }),
      watch: (packed, observe) => packed.watch(observe),
      read: (packed) => order.toWeight(packed.unpack().weight),
      ...(rowsAreOutputs && {
        loadQuantized: (packed, weight) => {
          correction = undefined;
          packed.packQuantized({ ...weight, integers: reorder(weight.integers, order.toMatrix, dims) }, lastBias);
        },
        readQuantized: (packed) => {
          const weight = packed.quantized();
          return weight && { ...weight, integers: reorder(weight.integers, order.toWeight, [order.outputs, order.inputs]) };
        },
      }),
    });
    if (biases > 0) {
      this.declare('bias', [biases], 0, {
        allocate: matrix,
        load: (packed, value) => {
          lastBias = this.engine.scope(() => repeat(placed(this.engine, value), order.outputs / biases).clone());
          packed.setBias(bias() as Float32);
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
  declare<Form>(
    name: string,
    dims: readonly number[],
    initial: Initial,
    { dtype = 'float32', allocate, load, loadQuantized, read, readQuantized, watch }: Keeping<Form>,
  ): () => Form {
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
      dtype,
      bytes: sizeOf(dims) * BYTES[dtype],
      allocate: () => {
        form ??= allocate();
      },
      load: (value, inputs) => {
        checkDims(`weight "${full}"`, dims, value.dims);
        load(get(), value, inputs);
      },
      ...(loadQuantized && { loadQuantized: (weight) => loadQuantized(get(), weight) }),
      read: () => this.engine.apart(() => read(get())),
      ...(readQuantized && { readQuantized: () => this.engine.apart(() => readQuantized(get())) }),
      ...(watch && { watch: (observe) => watch(get(), observe) }),
    });
    return get;
  }
}

function copy(engine: Engine, from: Float32, to: Float32): void {
  if (from.place) engine.copy(addressOf(to), addressOf(from), to.bytes);
  else engine.write(addressOf(to), from.data);
}
