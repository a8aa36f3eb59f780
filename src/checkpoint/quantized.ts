import { CheckpointError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { GROUP, groupsOf } from '../tensor/matrix/int8Layout.ts';
import type { QuantizedWeight } from '../tensor/matrix/packedMatrix.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { NamedTensor } from './safetensors.ts';

/**
 * How weights of 8 bits stand in a checkpoint: `X.weight` as int8 (outputs, inputs, ...) and beside it `X.weight_scale`, float32 (outputs, groups), a
 * scale for every 128 inputs:
 *
 *   weight[o, i] = weight_scale[o, floor(i / 128)] * integer[o, i]
 *
 * The inputs of a convolution, (outputs, channels, height, width), count in the order height, width, channel. All other tensors are floats as ever.
 */
const SCALE = /\.weight_scale$/;

/** Whether there are weights of 8 bits in a checkpoint. */
export function isQuantized(checkpoint: Checkpoint): boolean {
  return [...checkpoint.entries].some(([name, { dtype }]) => dtype === 'int8' && checkpoint.entries.has(scaleName(name)));
}

/** Whether a tensor only says what the integers of another mean. */
export function isScale(checkpoint: Checkpoint, name: string): boolean {
  return SCALE.test(name) && checkpoint.entries.get(name.replace(SCALE, '.weight'))?.dtype === 'int8';
}

/** The name of the scales of a weight, if there are any. */
export function scalesOf(checkpoint: Checkpoint, name: string): string | undefined {
  return isScale(checkpoint, scaleName(name)) && checkpoint.entries.has(scaleName(name)) ? scaleName(name) : undefined;
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
  if (!checkpoint.entries.has(scaleName(name))) {
    throw new CheckpointError(
      `${checkpoint.name}: ${describe(name)}: expected float32, float16 or bfloat16, or int8 with scales, found int8 without ${describe(scaleName(name))}`,
    );
  }
  const scales = known.get(scaleName(name)) ?? (await readScales(checkpoint, scaleName(name)));
  const integers = room.take(sizeOf(checkpoint.get(name).dims));
  const bytes = new Uint8Array(integers.buffer, 0, integers.length);
  await checkpoint.stream(name, (piece, offset) => bytes.set(piece, offset));
  return { integers, scales };
}

/** The tensors that stand for a weight of `dims`. */
export function quantizedTensors(name: string, dims: readonly number[], { integers, scales }: QuantizedWeight): NamedTensor[] {
  const [outputs = 0] = dims;
  return [
    { name, dtype: 'int8', dims, data: integers.slice() },
    {
      name: scaleName(name),
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

function scaleName(weight: string): string {
  return `${weight}_scale`;
}
