import { CheckpointError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { QuantizedWeight } from '../tensor/matrix/packedMatrix.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { NamedTensor } from './safetensors.ts';

/**
 * How weights of 8 bits stand in a checkpoint: `X.weight` as int8 (outputs, inputs, ...), beside it `X.weight_scale`, float32 (outputs), and, where
 * inputs are to be divided before they are quantised, `X.input_scale`, float32 (inputs). The weight is
 *
 *   weight[o, i] = weight_scale[o] * integer[o, i] / input_scale[i]
 *
 * Weights of more than two dimensions, those of convolutions, have no input scales. All other tensors are floats as ever.
 */
const SCALE = /\.(weight|input)_scale$/;

/** Whether there are weights of 8 bits in a checkpoint. */
export function isQuantized(checkpoint: Checkpoint): boolean {
  return [...checkpoint.entries].some(([name, { dtype }]) => dtype === 'int8' && checkpoint.entries.has(scaleName(name)));
}

/** Whether a tensor only says what the integers of another mean. */
export function isScale(checkpoint: Checkpoint, name: string): boolean {
  return SCALE.test(name) && checkpoint.entries.get(name.replace(SCALE, '.weight'))?.dtype === 'int8';
}

/** Names of the scales that there are of a weight. */
export function scalesOf(checkpoint: Checkpoint, name: string): string[] {
  return [scaleName(name), inputScaleName(name)].filter((scale) => checkpoint.entries.has(scale) && isScale(checkpoint, scale));
}

/**
 * Reads a weight of 8 bits.
 * @param read scales by name that have been read already, as {@link readScales} gives them: in a file they may lie far in front of the integers
 * @throws {CheckpointError} naming scales that are missing, of another number, not finite or not above 0
 */
export async function readQuantized(
  checkpoint: Checkpoint,
  name: string,
  read: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<QuantizedWeight> {
  const { dims } = checkpoint.get(name);
  const inputs = inputScaleName(name);
  if (!checkpoint.entries.has(scaleName(name))) {
    throw new CheckpointError(
      `${checkpoint.name}: ${describe(name)}: expected float32, float16 or bfloat16, or int8 with scales, found int8 without ${describe(scaleName(name))}`,
    );
  }
  if (checkpoint.entries.has(inputs) && dims.length !== 2) {
    throw new CheckpointError(`${checkpoint.name}: ${describe(inputs)}: expected none for a weight [${dims}], found one`);
  }
  const scalesAt = async (scale: string): Promise<Float32Array> => read.get(scale) ?? readScales(checkpoint, scale);
  const scales = await scalesAt(scaleName(name));
  const inputScales = checkpoint.entries.has(inputs) ? await scalesAt(inputs) : undefined;
  return { integers: (await checkpoint.read(name)).data as Int8Array, scales, inputScales };
}

/** The tensors that stand for a weight of `dims`. */
export function quantizedTensors(name: string, dims: readonly number[], { integers, scales, inputScales }: QuantizedWeight): NamedTensor[] {
  const floats = (of: string, data: Float32Array): NamedTensor => ({
    name: of,
    dtype: 'float32',
    dims: [data.length],
    data: Float32Array.from(data),
  });
  return [
    { name, dtype: 'int8', dims, data: integers.slice() },
    floats(scaleName(name), scales),
    ...(inputScales ? [floats(inputScaleName(name), inputScales)] : []),
  ];
}

/** Scales of a weight, the one for each output or each input that their name says. Throws as {@link readQuantized}. */
export async function readScales(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const [outputs, inputs] = checkpoint.get(name.replace(SCALE, '.weight')).dims;
  const count = name.endsWith('input_scale') ? inputs : outputs;
  const place = `${checkpoint.name}: ${describe(name)}`;
  const { dtype, dims } = checkpoint.get(name);
  if (dtype !== 'float32' || dims.join() !== String(count)) {
    throw new CheckpointError(`${place}: expected float32 [${count}], one scale each, found ${dtype} [${dims}]`);
  }
  const { data } = (await checkpoint.read(name)) as Tensor<'float32'>;
  const wrong = data.findIndex((scale) => !(scale > 0 && scale < Number.POSITIVE_INFINITY));
  if (wrong !== -1)
    throw new CheckpointError(`${place}: expected finite scales above 0, found ${data[wrong]} at ${wrong}: quantise the model anew`);
  return data;
}

function scaleName(weight: string): string {
  return `${weight}_scale`;
}

function inputScaleName(weight: string): string {
  return weight.replace(/weight$/, 'input_scale');
}
