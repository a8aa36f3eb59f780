/** The kernels, by name. Their signatures in TypeScript: src/runtime/kernels.ts. */
export { f32_activation, f32_swiglu } from './activation/f32_activation';
export { f32_attention } from './attention/f32_attention';
export { f32_copy_rows } from './conv/f32_copy_rows';
export { f32_im2col } from './conv/f32_im2col';
export { f32_swap_axes } from './conv/f32_swap_axes';
export { bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16 } from './convert/convert';
export { f32_add, f32_mean, f32_mul, f32_transpose } from './elementwise/f32_elementwise';
export { f32_patchify } from './embedding/f32_patchify';
export { f32_gemm, f32_gemm_add } from './gemm/f32_gemm';
export { f32_pack, f32_pack_rows, f32_unpack } from './gemm/pack';
export { f32_layer_norm } from './norm/f32_layer_norm';
export { f32_softmax } from './norm/f32_softmax';
export { f32_resample } from './resample/f32_resample';
export { u8_resample_horizontal, u8_resample_vertical } from './resample/u8_resample';
