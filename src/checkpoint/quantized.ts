import { CheckpointError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { GROUP, groupsOf } from '../tensor/matrix/int8Layout.ts';
import type { QuantizedWeight } from '../tensor/matrix/packedMatrix.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { NamedTensor } from './safetensors.ts';

/**
 * How weights of 8 bits stand in a checkpoint. A convolution: `X.weight` as int8 (outputs, channels, height, width) and beside it `X.weight_scale`,
 * float32 (outputs, groups), a scale for every 128 inputs, which count in the order height, width, channel (of the patch embedding in that of the file:
 * channel, height, width):
 *
 *   weight[o, i] = weight_scale[o, floor(i / 128)] * integer[o, i]
 *
 * A linear layer: `X.weight` as int8 (outputs, inputs) and beside it `X.weight_rotated_scale`, whose products stand for rotated weights: of each whole
 * group of 128 the weights are the product with H, a symmetric matrix of 1, -1 and 0, what is left over is as above.
 *
 *   weight[o, 128 g + i] = sum over j of H[i, j] * weight_rotated_scale[o, g] * integer[o, 128 g + j]
 *   H = R (x) [1 1; 1 -1] (x) R (x) I_4 (Kronecker products), R = [1 1 1 -1; 1 -1 1 1; 1 1 -1 1; -1 1 1 1]
 *
 * All other tensors are floats as ever.
 */
const SCALE = /\.weight(_rotated)?_scale$/;

/** Whether there are weights of 8 bits in a checkpoint. */
export function isQuantized(checkpoint: Checkpoint): boolean {
  return [...checkpoint.entries.keys()].some((name) => scalesOf(checkpoint, name) !== undefined);
}

/** Whether a tensor only says what the integers of another mean. */
export function isScale(checkpoint: Checkpoint, name: string): boolean {
  const weight = checkpoint.entries.get(name.replace(SCALE, '.weight'));
  return SCALE.test(name) && weight?.dtype === 'int8' && scaleName(name.replace(SCALE, '.weight'), weight.dims) === name;
}

/** The name of the scales of a weight, if there are any. */
export function scalesOf(checkpoint: Checkpoint, name: string): string | undefined {
  const weight = checkpoint.entries.get(name);
  if (weight?.dtype !== 'int8') return undefined;
  const scales = scaleName(name, weight.dims);
  return isScale(checkpoint, scales) && checkpoint.entries.has(scales) ? scales : undefined;
}

/** Memory for the integers of one weight after the other: of their own they stay until the garbage collector looks, which is after the last. */
export class IntegerRoom {
  #integers = new Int8Array(0);

  take(count: number): Int8Array {
    if (this.#integers.length < count) this.#integers = new Int8Array(count);
    return this.#integers.subarray(0, count);
  }
}

/**
 * Reads a weight of 8 bits.
 * @param options `scales`: by name, those that have been read already, as {@link readScales} gives them: in a file they may lie far in front of the
 * integers; `room`: where the integers are put, valid until the next weight is read
 * @throws {CheckpointError} naming scales that are missing, of another number, not finite or not above 0
 */
export async function readQuantized(
  checkpoint: Checkpoint,
  name: string,
  { scales: known = new Map(), room = new IntegerRoom() }: { scales?: ReadonlyMap<string, Float32Array>; room?: IntegerRoom } = {},
): Promise<QuantizedWeight> {
  const { dims } = checkpoint.get(name);
  const scale = scaleName(name, dims);
  if (!checkpoint.entries.has(scale)) {
    throw new CheckpointError(
      `${checkpoint.name}: ${describe(name)}: expected float32, float16 or bfloat16, or int8 with scales, found int8 without ${describe(scale)}`,
    );
  }
  const scales = known.get(scale) ?? (await readScales(checkpoint, scale));
  const integers = room.take(sizeOf(dims));
  const bytes = new Uint8Array(integers.buffer, 0, integers.length);
  await checkpoint.stream(name, (piece, offset) => bytes.set(piece, offset));
  return { integers, scales, rotated: isRotated(dims) };
}

/** The tensors that stand for a weight of `dims`. */
export function quantizedTensors(name: string, dims: readonly number[], { integers, scales }: QuantizedWeight): NamedTensor[] {
  const [outputs = 0] = dims;
  return [
    { name, dtype: 'int8', dims, data: integers.slice() },
    {
      name: scaleName(name, dims),
      dtype: 'float32',
      dims: [outputs, scales.length / outputs],
      data: scales.slice(),
    },
  ];
}

/** The scales of a weight. Throws as {@link readQuantized}. */
export async function readScales(checkpoint: Checkpoint, name: string): Promise<Float32Array> {
  const [outputs = 0, ...inputs] = checkpoint.get(name.replace(SCALE, '.weight')).dims;
  const wanted = [outputs, groupsOf(sizeOf(inputs))];
  const place = `${checkpoint.name}: ${describe(name)}`;
  const { dtype, dims } = checkpoint.get(name);
  if (dtype !== 'float32' || dims.join() !== wanted.join()) {
    throw new CheckpointError(`${place}: expected float32 [${wanted}], a scale for every ${GROUP} inputs, found ${dtype} [${dims}]`);
  }
  const { data } = (await checkpoint.read(name)) as Tensor<'float32'>;
  for (let i = 0; i < data.length; i++) {
    const scale = data[i] as number;
    if (scale > 0 && scale < Number.POSITIVE_INFINITY) continue;
    throw new CheckpointError(`${place}: expected finite scales above 0, found ${scale} at ${i}: quantise the model anew`);
  }
  return data;
}

function isRotated(dims: readonly number[]): boolean {
  return dims.length === 2;
}

function scaleName(weight: string, dims: readonly number[]): string {
  return `${weight}${isRotated(dims) ? '_rotated' : ''}_scale`;
}
