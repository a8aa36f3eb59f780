import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCheckpoint } from '../../src/checkpoint/shards.ts';
import { CheckpointError, Dinov2Error } from '../../src/errors.ts';
import { openSource } from '../../src/files/source.ts';
import { Dinov2Config } from '../../src/models/config.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { dinov2ToOnnx } from './onnx.ts';
import { createOnnxRuntime } from './onnxruntime.ts';

/** Of the reference's largest absolute value. */
const TOLERANCE = 1e-3;

const USAGE = `usage: node --conditions=dinov2-source --import tsx bench/peers/check.ts MODEL_FOLDER

Runs a model in onnxruntime-web and compares it with reference outputs. MODEL_FOLDER has config.json, model.safetensors, and io.safetensors
with pairs CALL.pixel_values and CALL.last_hidden_state. Exits with 1 where the two differ by more than ${TOLERANCE} of the largest value.
`;

const RUNS = 5;

type Tensors = Record<string, Tensor<'float32'>>;

async function main(folder: string): Promise<void> {
  const config = await Dinov2Config.from_pretrained(folder);
  const weights = await readAll(await openCheckpoint(folder));
  const source = await openSource(folder);
  const io = await readAll(await openSafetensors(await source.open('io.safetensors')));
  const calls = plainCalls(io);
  if (calls.length === 0) {
    throw new CheckpointError(`${folder}/io.safetensors: expected CALL.pixel_values and CALL.last_hidden_state, found no such pair`);
  }
  for (const call of calls) {
    const pixels = io[`${call}.pixel_values`];
    const [batch, , height, width] = pixels.dims;
    const runtime = await createOnnxRuntime(dinov2ToOnnx(weights, config, { batch, height, width }));
    const difference = relativeDifference(await runtime.run(pixels.data), io[`${call}.last_hidden_state`].data);
    const time = await medianTime(() => runtime.run(pixels.data));
    await runtime.dispose();
    console.log(
      `${call} [${pixels.dims}]: largest relative difference ${difference.toExponential(1)}, median of ${RUNS} runs ${time.toFixed(1)} ms`,
    );
    if (!(difference <= TOLERANCE)) process.exitCode = 1;
  }
}

/** The calls whose only input is pixel_values, as the ONNX graph has no other. */
function plainCalls(io: Tensors): string[] {
  const isPlain = (call: string): boolean => !(`${call}.bool_masked_pos` in io || `${call}.head_mask` in io);
  return Object.keys(io)
    .filter((name) => name.endsWith('.pixel_values'))
    .map((name) => name.slice(0, -'.pixel_values'.length))
    .filter((call) => `${call}.last_hidden_state` in io && isPlain(call));
}

async function readAll(checkpoint: Checkpoint): Promise<Tensors> {
  const tensors: Tensors = {};
  for (const name of checkpoint.entries.keys()) tensors[name] = (await checkpoint.read(name)).to('float32');
  await checkpoint.close();
  return tensors;
}

/** The largest absolute difference over the largest absolute value expected; NaN when anything is, and when the lengths differ. */
function relativeDifference(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Number.NaN;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(found[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return difference / largest;
}

/** In milliseconds. */
async function medianTime(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const begin = performance.now();
    await run();
    times.push(performance.now() - begin);
  }
  return times.sort((a, b) => a - b)[(RUNS - 1) / 2];
}

const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined || rest.length > 0) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  await main(folder).catch((error: unknown) => {
    if (!(error instanceof Dinov2Error)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  });
}
