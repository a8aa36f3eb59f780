import { Dinov2Model, Tensor } from '../../src/index.ts';
import { interleave, type Timing } from '../measure.ts';
import { dinov2ToOnnx } from '../peers/onnx.ts';
import { createOnnxRuntime } from '../peers/onnxruntime.ts';
import { VIT_SMALL } from './vitSmall.ts';

export interface Latency {
  readonly timings: readonly Timing[];
  /** Of the largest value of the peer's output. */
  readonly difference: number;
}

/**
 * ViT-S/14 in float32 on one thread: this engine and its traced form beside onnxruntime-web, same random weights, same pixels. The ratios
 * are to the peer.
 */
export async function latency({ rounds, size }: { rounds: number; size: number }): Promise<Latency> {
  const model = new Dinov2Model(VIT_SMALL, { seed: 1 });
  const weights = Object.fromEntries(model.weights());
  const peer = await createOnnxRuntime(dinov2ToOnnx(weights, VIT_SMALL, { height: size, width: size }));
  const pixels = new Tensor('float32', pattern(3 * size * size), [1, 3, size, size]);
  const traced = await model.trace({ height: size, width: size });
  try {
    const ours = (await model(pixels)).last_hidden_state.data;
    const theirs = await peer.run(pixels.data);
    const timings = await interleave(
      [
        { name: 'onnxruntime-web', run: () => peer.run(pixels.data) },
        { name: 'dinov2-wasm', run: () => model(pixels) },
        { name: 'dinov2-wasm, traced', run: () => traced(pixels) },
      ],
      rounds,
    );
    return { timings, difference: relativeDifference(ours, theirs) };
  } finally {
    model.dispose();
    await peer.dispose();
  }
}

/** Numbers like those of normalised pixels, the same in each run. */
function pattern(count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(i * 0.37) * Math.cos(i * 0.011));
}

function relativeDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  let difference = 0;
  for (const [i, value] of b.entries()) {
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(value - (a[i] as number)));
  }
  return difference / largest;
}
