import { ArgumentError, NotFoundError } from '../../src/errors.ts';

export interface OnnxRuntimeOptions {
  /** Threads, the calling one included; the first value given holds for the whole process. Default 1: no workers. */
  readonly threads?: number;
}

export interface OnnxRuntime {
  /** `pixel_values` to `last_hidden_state`, both row-major. */
  run(pixels: Float32Array): Promise<Float32Array>;
  /** Gives back the session's memory; the WebAssembly instance stays. */
  dispose(): Promise<void>;
}

/**
 * A model that dinov2ToOnnx made, in onnxruntime-web on its CPU backend, with all graph optimisations. In Node that is always
 * ort-wasm-simd-threaded.wasm: SIMD, but no relaxed SIMD, for Node 20 runs it, which has none.
 * @throws {NotFoundError} when onnxruntime-web is not installed
 * @throws {ArgumentError} on another number of threads than this process began with
 */
export async function createOnnxRuntime(model: Uint8Array, { threads = 1 }: OnnxRuntimeOptions = {}): Promise<OnnxRuntime> {
  const { env, InferenceSession, Tensor } = await load();
  const { numThreads = threads } = env.wasm;
  if (numThreads !== threads) throw new ArgumentError(`threads: expected ${numThreads}, with which this process began, found ${threads}`);
  env.wasm.numThreads = threads;
  const session = await InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  const [input] = session.inputMetadata;
  return {
    async run(pixels) {
      const outputs = await session.run({ pixel_values: new Tensor('float32', pixels, input.shape) });
      return outputs.last_hidden_state.data;
    },
    dispose: () => session.release(),
  };
}

/** Loaded on demand: the benchmark can name what is missing, and go on without this peer. */
async function load(): Promise<typeof import('onnxruntime-web')> {
  try {
    return await import('onnxruntime-web');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new NotFoundError('onnxruntime-web: expected in bench/node_modules, found none: run `npm install --prefix bench`', { cause });
  }
}
