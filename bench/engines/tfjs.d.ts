/** What the benchmark uses of the peer, so that types can be checked where it is not installed. */
declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    readonly shape: readonly number[];
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  type Operand = Tensor | number;

  export function setBackend(name: 'wasm'): Promise<boolean>;
  export function tidy<T>(body: () => T): T;
  export function tensor(data: Float32Array, shape: readonly number[]): Tensor;
  export function matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  export function conv2d(x: Tensor, filter: Tensor, strides: readonly [number, number], pad: 'valid'): Tensor;
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
