export type { Activation } from '../runtime/kernels.ts';
export { type ConvolutionOptions, concatChannels, conv2d, convTranspose2d } from './conv.ts';
export type { DataOf, DType } from './dtype.ts';
export { linear } from './linear.ts';
export {
  type AttentionOptions,
  activate,
  add,
  argmax,
  attention,
  concat,
  gelu,
  layerNorm,
  matmul,
  mean,
  multiply,
  patchify,
  relu,
  silu,
  softmax,
  swiglu,
  transpose,
} from './ops.ts';
export type { Float32 } from './place.ts';
export { type ResampleOptions, resample } from './resample.ts';
export { Tensor } from './tensor.ts';
