import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine, Job } from './engine.ts';
import { dinov2ToOnnx } from './onnx/encoder.ts';

/**
 * onnxruntime-web on its CPU backend, with all graph optimisations. In Node that is always ort-wasm-simd-threaded.wasm: SIMD, but no
 * relaxed SIMD, for Node 20 runs it, which has none. Its number of threads holds for the whole process.
 */
export const onnxruntimeWeb: Engine = {
  name: 'onnxruntime-web',
  dtypes: ['f32', 'int8'],
  maxThreads: Number.POSITIVE_INFINITY,

  async prepare(model, folder, { dtype, size }) {
    const path = join(folder, `${dtype}-${size}.onnx`);
    if (!existsSync(path)) {
      const kind = dtype === 'int8' ? 'int8' : 'f32';
      await writeFile(path, dinov2ToOnnx(Object.fromEntries(model.weights()), model.config, { height: size, width: size, dtype: kind }));
    }
    return path;
  },

  async load(path, { threads, size }: Job) {
    const { env, InferenceSession, Tensor } = await import('onnxruntime-web');
    env.wasm.numThreads = threads;
    const session = await InferenceSession.create(await readFile(path), { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
    return async (pixels) => {
      const { last_hidden_state } = await session.run({ pixel_values: new Tensor('float32', pixels, [1, 3, size, size]) });
      return last_hidden_state.data as Float32Array;
    };
  },
};
