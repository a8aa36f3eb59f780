import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { IntegerRoom, isScale, quantizedTensors, readQuantized, readScales, scalesOf } from '../checkpoint/quantized.ts';
import type { NamedTensor } from '../checkpoint/safetensors.ts';
import { ArgumentError, CheckpointError } from '../errors.ts';
import type { ProgressCallback } from '../hub/progress.ts';
import type { Parameter, Parameters } from '../nn/parameters.ts';
import { truncatedNormal } from '../nn/random.ts';
import type { Engine } from '../runtime/engine.ts';
import type { InputStatistics } from '../tensor/matrix/calibration.ts';
import { addressOf, type Float32, place } from '../tensor/place.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import { allocateBlocks, residentBlocks, type StreamedBlocks } from './residency.ts';

export interface LoadOptions {
  progress_callback?: ProgressCallback;
  /** Stops loading between two tensors. */
  signal?: AbortSignal;
  /** For dtype `int8`: what is known of the inputs of the layers, from {@link calibrate}. Without it the weights alone decide. */
  calibration?: Calibration;
}

/** What is known of the inputs of layers, by the names of their weights in the model. */
export type Calibration = ReadonlyMap<string, InputStatistics>;

/** Which tensors of a checkpoint belong to a model: `rename` gives the parameter's name, or undefined for what the model passes over. */
export type Rename = (tensor: string) => string | undefined;

/** Whether a tensor belongs to a head: a model without that head passes over it in a checkpoint. */
export function isOfHead(name: string): boolean {
  return /^(classifier|dino_head|ibot_head)\./.test(name);
}

/** Problems that one message names. */
const NAMED_PROBLEMS = 5;

/**
 * Fills the parameters from a checkpoint, tensor by tensor. That it fits is checked before memory is taken. Blocks that do not fit into the memory of
 * the engine stay in their file: what is returned brings them in, and closes the checkpoint in the end.
 * @param blocks the parameters of each block
 * @param width of the model
 * @throws {CheckpointError} naming tensors that are missing, left over, or of other dimensions
 */
export async function loadCheckpoint(
  parameters: Parameters,
  checkpoint: Checkpoint,
  rename: Rename,
  { blocks, width }: { blocks: readonly (readonly Parameter[])[]; width: number },
  { progress_callback, signal, calibration }: LoadOptions = {},
): Promise<StreamedBlocks | undefined> {
  const { engine } = parameters;
  const sources = match(parameters, checkpoint, rename);
  const block = new Map(blocks.flatMap((own, n) => own.map((parameter) => [parameter, n])));
  const rest = parameters.all.filter((parameter) => !block.has(parameter));
  const resident = residentBlocks(rest, blocks, { limit: engine.limit, width });
  const isResident = (parameter: Parameter): boolean => (block.get(parameter) ?? 0) < Math.max(1, resident) || !block.has(parameter);

  const scales = new Map<string, Float32Array>();
  const room = new IntegerRoom();
  for (const parameter of rest) parameter.allocate();
  allocateBlocks(engine, blocks, resident);
  const fill = async (parameter: Parameter): Promise<void> => {
    const inputs = parameters.dtype === 'int8' ? calibration?.get(parameter.name) : undefined;
    const name = sources.get(parameter) as string;
    try {
      await loadParameter(engine, parameter, { checkpoint, name, scales, room }, inputs);
    } catch (cause) {
      if (!(cause instanceof ArgumentError)) throw cause;
      throw new CheckpointError(`${checkpoint.name}: "${name}": ${cause.message}`, { cause }); // what a layer has against it
    }
  };
  const first = new Map([...sources].filter(([parameter]) => isResident(parameter)));
  const report = progressOf(checkpoint, first, progress_callback);
  for (const { name, parameter } of inOrder(checkpoint, first)) {
    signal?.throwIfAborted();
    if (parameter) {
      await fill(parameter);
      report(name);
    } else scales.set(name, await readScales(checkpoint, name));
  }
  scales.clear();
  report(checkpoint.name);
  if (resident === blocks.length) return undefined;

  let inSlot = -1;
  return {
    async bring(n) {
      if (n < resident || n === inSlot) return;
      inSlot = -1; // should the file fail half-way
      for (const parameter of blocks[n] ?? []) await fill(parameter);
      inSlot = n;
    },
    close: () => checkpoint.close(),
  };
}

/** The tensors to be read, those of parameters and the scales of integers, as they lie in the files: a file that comes as a stream is asked for once. */
function inOrder(checkpoint: Checkpoint, sources: ReadonlyMap<Parameter, string>): { name: string; parameter?: Parameter }[] {
  const wanted = [...sources].flatMap(([parameter, name]) => {
    const scales = scalesOf(checkpoint, name);
    return [{ name, parameter }, ...(scales ? [{ name: scales }] : [])];
  });
  const places = new Map([...checkpoint.entries.keys()].map((name, place) => [name, place]));
  return wanted.sort((a, b) => (places.get(a.name) as number) - (places.get(b.name) as number));
}

/** Reports the tensors of a checkpoint one by one, by their names, and the end by that of the checkpoint. */
export function progressOf(
  checkpoint: Checkpoint,
  sources: ReadonlyMap<Parameter, string>,
  callback: LoadOptions['progress_callback'],
): (file: string) => void {
  const sizes = new Map([...sources.values()].map((name) => [name, bytesOf(checkpoint, name)]));
  const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  let loaded = 0;
  return (file) => {
    loaded += sizes.get(file) ?? 0;
    const status = sizes.has(file) ? 'progress' : 'done';
    callback?.({ status, name: checkpoint.name, file, progress: total ? (loaded / total) * 100 : 100, loaded, total });
  };
}

/** Fills the parameters as `Dinov2PreTrainedModel._init_weights` of transformers does. */
export function randomize(parameters: Parameters, { deviation, seed }: { deviation: number; seed: number }): void {
  for (const { allocate } of parameters.all) allocate();
  for (const { name, dims, initial, load } of parameters.all) {
    const size = sizeOf(dims);
    const data = initial === 'normal' ? truncatedNormal(size, deviation, seed, name) : new Float32Array(size).fill(initial);
    load(new Tensor('float32', data, dims));
  }
}

/**
 * The tensors of a checkpoint that keep a parameter, read when their turn comes: with `int8` integers where the layer has them, else floats of the
 * kind that the layer has.
 */
export function savedTensors(parameter: Parameter, name: string, dtype: 'float32' | 'float16' | 'bfloat16' | 'int8'): NamedTensor[] {
  const weight = dtype === 'int8' ? parameter.readQuantized?.() : undefined;
  if (weight) return quantizedTensors(name, parameter.dims, weight);
  const kind = dtype !== 'int8' ? dtype : parameter.dtype === 'float16' ? 'float16' : 'float32';
  return [
    {
      name,
      dtype: kind,
      dims: parameter.dims,
      get data() {
        return parameter.read().to(kind).data;
      },
    },
  ];
}

/**
 * The same for a parameter whose weight is still in another checkpoint, under the name `from`, and goes from there to the file.
 * @throws {CheckpointError} when it is there as integers
 */
export function copiedTensor(
  { dims }: Parameter,
  name: string,
  dtype: 'float32' | 'float16' | 'bfloat16',
  { checkpoint, from, report }: { checkpoint: Checkpoint; from: string; report: (file: string) => void },
): NamedTensor {
  const { dtype: found } = checkpoint.get(from);
  if (found !== 'float32' && found !== 'float16' && found !== 'bfloat16') {
    throw new CheckpointError(`${checkpoint.name}: "${from}": expected float32, float16 or bfloat16, found ${found}`);
  }
  return {
    name,
    dtype,
    dims,
    get data() {
      return checkpoint.read(from).then((weight) => {
        report(from);
        return weight.to(dtype).data;
      });
    },
  };
}

/** The name in the checkpoint of each parameter. @throws as {@link loadCheckpoint} */
export function match(parameters: Parameters, checkpoint: Checkpoint, rename: Rename): Map<Parameter, string> {
  const wanted = new Map(parameters.all.map((parameter) => [parameter.name, parameter]));
  const found = new Map<Parameter, string>();
  const problems: string[] = [];
  for (const [name, { dims }] of checkpoint.entries) {
    const renamed = isScale(checkpoint, name) ? undefined : rename(name);
    if (renamed === undefined) continue;
    const parameter = wanted.get(renamed);
    if (!parameter) problems.push(`"${name}": expected no such tensor, found [${dims}]`);
    else if (found.has(parameter)) problems.push(`"${name}": expected it once, found it as "${found.get(parameter)}" too`);
    else if (dims.join() !== parameter.dims.join()) problems.push(`"${name}": expected [${parameter.dims}], found [${dims}]`);
    if (parameter) found.set(parameter, name);
  }
  for (const parameter of parameters.all) {
    if (found.has(parameter)) continue;
    const advice = isOfHead(parameter.name) ? ' (AutoModel loads a checkpoint without this head)' : '';
    problems.push(`"${parameter.name}": expected [${parameter.dims}], found none${advice}`);
  }
  if (problems.length > 0) {
    const more = problems.length > NAMED_PROBLEMS ? `; and ${problems.length - NAMED_PROBLEMS} more` : '';
    throw new CheckpointError(`${checkpoint.name}: does not fit its configuration: ${problems.slice(0, NAMED_PROBLEMS).join('; ')}${more}`);
  }
  return found;
}

function bytesOf(checkpoint: Checkpoint, name: string): number {
  return checkpoint.get(name).extents.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Streams one tensor into the engine, widens it there and hands it to its parameter: no copy of the file is held. */
async function loadParameter(
  engine: Engine,
  parameter: Parameter,
  { checkpoint, name, ...kept }: { checkpoint: Checkpoint; name: string; scales: ReadonlyMap<string, Float32Array>; room: IntegerRoom },
  inputs: InputStatistics | undefined,
): Promise<void> {
  const { dtype } = checkpoint.get(name);
  if (dtype === 'int8' && parameter.loadQuantized) return parameter.loadQuantized(await readQuantized(checkpoint, name, kept));
  await engine.scopeAsync(async () => {
    const value: Float32 = place(engine, 'float32', parameter.dims);
    const target = addressOf(value);
    if (dtype === 'float16' || dtype === 'bfloat16') {
      const halves = target + value.bytes / 2; // the kernels widen from the front and never overtake themselves
      await checkpoint.stream(name, (bytes, offset) => engine.write(halves + offset, bytes));
      engine.call(dtype === 'float16' ? 'f16_to_f32' : 'bf16_to_f32', value.size, halves, target);
    } else if (dtype === 'float32') {
      await checkpoint.stream(name, (bytes, offset) => engine.write(target + offset, bytes));
    } else {
      throw new CheckpointError(
        `${checkpoint.name}: "${name}": expected float32, float16 or bfloat16${parameter.loadQuantized ? ', or int8 with scales' : ''}, found ${dtype}`,
      );
    }
    parameter.load(value, inputs);
  });
}
