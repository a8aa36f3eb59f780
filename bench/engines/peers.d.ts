/** What the benchmark uses of the peers, so that types can be checked where they are not installed. */
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

declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    readonly shape: readonly number[];
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  export type Tensor4D = Tensor;
  type Operand = Tensor | number;

  export function setBackend(name: 'wasm'): Promise<boolean>;
  export function tidy<T>(body: () => T): T;
  export function tensor(data: Float32Array, shape: readonly number[]): Tensor;
  export function matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  export function conv2d(x: Tensor4D, filter: Tensor4D, strides: readonly [number, number], pad: 'valid'): Tensor;
  export function add(a: Operand, b: Operand): Tensor;
  export function sub(a: Operand, b: Operand): Tensor;
  export function mul(a: Operand, b: Operand): Tensor;
  export function mean(x: Tensor, axis: number, keepDims: boolean): Tensor;
  export function squaredDifference(a: Tensor, b: Tensor): Tensor;
  export function rsqrt(x: Tensor): Tensor;
  export function erf(x: Tensor): Tensor;
  export function softmax(x: Tensor): Tensor;
  export function transpose(x: Tensor, perm: readonly number[]): Tensor;
  export function reshape(x: Tensor, shape: readonly number[]): Tensor;
  export function slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  export function concat(tensors: readonly Tensor[], axis: number): Tensor;
  export const fused: {
    matMul(options: { a: Tensor; b: Tensor; transposeB?: boolean; bias?: Tensor | undefined }): Tensor;
  };
}

declare module '@tensorflow/tfjs-backend-wasm' {
  export function setWasmPaths(folder: string): void;
}
