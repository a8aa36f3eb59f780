import { bytes, float, integer, join, type Message, message, text } from './protobuf.ts';

/** The name of a value that a node makes or a constant holds. */
export type Value = string;

/** An integer, integers, or a float, which has to say so. */
export type Attribute = number | readonly number[] | { readonly float: number };

/** An input or output of the whole graph: float32 of fixed dimensions. */
export interface Port {
  readonly name: Value;
  readonly dims: readonly number[];
}

/** Opset 20 is the first with Gelu; version 9 of the format came with it. */
const OPSET = 20;
const IR_VERSION = 9;

/** TensorProto.DataType */
export const FLOAT = 1;
const INT8 = 3;
const INT64 = 7;

/** AttributeProto.AttributeType */
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

/** Writes an ONNX model node by node. Field numbers are those of onnx/onnx.proto3. */
export class OnnxGraph {
  readonly #nodes: Message[] = [];
  readonly #constants: Message[] = [];
  #values = 0;

  /** Appends an operator with one output, and gives that output. */
  node(type: string, inputs: readonly Value[], attributes: Readonly<Record<string, Attribute>> = {}, output = this.#newValue()): Value {
    this.#append(type, inputs, attributes, [output]);
    return output;
  }

  /** DynamicQuantizeLinear: x as unsigned 8-bit integers, one scale and zero point for all of it: x = scale * (integers - zero). */
  quantize(x: Value): { readonly integers: Value; readonly scale: Value; readonly zero: Value } {
    const [integers, scale, zero] = [this.#newValue(), this.#newValue(), this.#newValue()];
    this.#append('DynamicQuantizeLinear', [x], {}, [integers, scale, zero]);
    return { integers, scale, zero };
  }

  /** A float32 or int8 constant; `data` must not change before {@link model}. */
  constant(dims: readonly number[], data: Float32Array | Int8Array): Value {
    return this.#tensor(dims, data instanceof Int8Array ? INT8 : FLOAT, data);
  }

  /** The int64 vector that Reshape takes as its second input. */
  shape(...dims: readonly number[]): Value {
    return this.#tensor([dims.length], INT64, BigInt64Array.from(dims, BigInt));
  }

  /** The model file. Protobuf ends at 2 GiB: the encoders up to L fit in float32. */
  model(name: string, ends: { readonly input: Port; readonly output: Port }): Uint8Array<ArrayBuffer> {
    const graph = message(
      7,
      ...this.#nodes.map((node) => message(1, node)),
      text(2, name),
      ...this.#constants.map((tensor) => message(5, tensor)),
      message(11, port(ends.input)),
      message(12, port(ends.output)),
    );
    return join([...integer(1, IR_VERSION), ...graph, ...message(8, integer(2, OPSET))]);
  }

  #append(type: string, inputs: readonly Value[], attributes: Readonly<Record<string, Attribute>>, outputs: readonly Value[]): void {
    const fields = [...inputs.map((input) => text(1, input)), ...outputs.map((output) => text(2, output)), text(4, type)];
    for (const [name, attribute] of Object.entries(attributes)) fields.push(message(5, text(1, name), ...attributeFields(attribute)));
    this.#nodes.push(fields.flat());
  }

  #tensor(dims: readonly number[], type: number, data: Float32Array | Int8Array | BigInt64Array): Value {
    const name = this.#newValue();
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#constants.push([...dims.map((d) => integer(1, d)), integer(2, type), text(8, name), bytes(9, raw)].flat());
    return name;
  }

  #newValue(): Value {
    return `v${this.#values++}`;
  }
}

function attributeFields(attribute: Attribute): Message[] {
  if (typeof attribute === 'number') return [integer(3, attribute), integer(20, ATTRIBUTE_INT)];
  if ('float' in attribute) return [float(2, attribute.float), integer(20, ATTRIBUTE_FLOAT)];
  return [...attribute.map((value) => integer(8, value)), integer(20, ATTRIBUTE_INTS)];
}

/** ValueInfoProto: name and TypeProto.Tensor. */
function port({ name, dims }: Port): Message {
  const shape = message(2, ...dims.map((d) => message(1, integer(1, d))));
  return [...text(1, name), ...message(2, message(1, integer(1, FLOAT), shape))];
}
