/** What the benchmark uses of the peer, so that types can be checked where it is not installed. */
declare module 'onnxruntime-web' {
  export const env: { readonly wasm: { numThreads?: number } };

  export class Tensor {
    constructor(type: 'float32', data: Float32Array, dims: readonly number[]);
    readonly data: Float32Array;
  }

  export interface InferenceSession {
    run(feeds: { readonly pixel_values: Tensor }): Promise<{ readonly last_hidden_state: Tensor }>;
  }

  export const InferenceSession: {
    create(model: Uint8Array, options: { executionProviders: readonly 'wasm'[]; graphOptimizationLevel: 'all' }): Promise<InferenceSession>;
  };
}
