import { instantiateSync } from '@assemblyscript/loader';
import { ArgumentError } from '../errors.ts';
import type { Address } from './memory.ts';

/** Bytes of the room that convolutions need for the places of their patches (`assembly/conv/places.ts`). */
export const PLACES_BYTES = 1020 * 4;

/** Of a convolution: its sizes, and which of its outputs. */
export type Window = [
  n: number,
  channels: number,
  kernelHeight: number,
  kernelWidth: number,
  stride: number,
  width: number,
  outWidth: number,
  first: number,
  count: number,
];

/** What the kernels compute stands above each in `assembly/`. Sizes count elements, places are byte addresses. */
export interface Kernels {
  f32_gemm(m: number, n: number, k: number, a: Address, lda: number, w: Address, c: Address, ldc: number, activation: number): void;
  f32_gemm_add(m: number, n: number, k: number, a: Address, lda: number, w: Address, c: Address, ldc: number, scale: Address): void;
  f16_gemm(
    m: number,
    n: number,
    k: number,
    a: Address,
    lda: number,
    w: Address,
    c: Address,
    ldc: number,
    activation: number,
    room: Address,
    panels: number,
  ): void;
  f16_gemm_add(
    m: number,
    n: number,
    k: number,
    a: Address,
    lda: number,
    w: Address,
    c: Address,
    ldc: number,
    scale: Address,
    room: Address,
    panels: number,
  ): void;
  f16_narrow(panels: number, k: number, source: Address, target: Address): void;
  f16_widen(panels: number, k: number, source: Address, target: Address): void;
  i8_gemm(
    form: number,
    m: number,
    n: number,
    k: number,
    heads: Address,
    a: Address,
    w: Address,
    c: Address,
    ldc: number,
    activation: number,
    room: Address,
    panels: number,
  ): void;
  i8_gemm_add(
    form: number,
    m: number,
    n: number,
    k: number,
    heads: Address,
    a: Address,
    w: Address,
    c: Address,
    ldc: number,
    scale: Address,
    room: Address,
    panels: number,
  ): void;
  i8_pack(n: number, k: number, width: number, q: Address, scales: Address, bias: Address, target: Address): void;
  i8_quantize_pack_rows(n: number, k: number, x: Address, ldx: number, target: Address): void;
  i8_unpack(n: number, k: number, width: number, source: Address, q: Address, scales: Address, bias: Address): void;
  i8_quantize_weights(n: number, k: number, group: number, x: Address, q: Address, scales: Address): void;
  i8_probe(w: number, x: number): number;
  i8_quantize(form: number, rows: number, columns: number, x: Address, ldx: number, room: Address, heads: Address, y: Address): void;
  f32_rotate(rows: number, columns: number, x: Address, y: Address): void;
  f32_pack(n: number, k: number, source: Address, stride: number, bias: Address, target: Address): void;
  f32_pack_rows(n: number, k: number, source: Address, stride: number, target: Address): void;
  f32_unpack(n: number, k: number, source: Address, target: Address, bias: Address): void;
  f32_attention(
    queries: number,
    keys: number,
    width: number,
    q: Address,
    ldq: number,
    k: Address,
    v: Address,
    out: Address,
    ldo: number,
    scale: number,
    weight: number,
    strip: Address,
    probabilities: Address,
  ): void;
  i8_pack_keys(keys: number, width: number, x: Address, ldx: number, room: Address, target: Address): void;
  i8_attention(
    form: number,
    queries: number,
    keys: number,
    width: number,
    q: Address,
    ldq: number,
    k: Address,
    v: Address,
    out: Address,
    ldo: number,
    scale: number,
    weight: number,
    room: Address,
    probabilities: Address,
  ): void;
  i8_layer_norm(
    form: number,
    rows: number,
    columns: number,
    x: Address,
    weight: Address,
    bias: Address,
    epsilon: number,
    room: Address,
    heads: Address,
    y: Address,
  ): void;
  i8_dot_rows(
    bytes: number,
    n: number,
    k: number,
    x: Address,
    heads: Address,
    query: Address,
    sum: number,
    scale: number,
    error: number,
    y: Address,
    peaks: Address,
  ): void;
  i8_quantize_rows(n: number, k: number, x: Address, q: Address, heads: Address): void;
  f32_softmax(rows: number, columns: number, x: Address, y: Address): void;
  f32_layer_norm(rows: number, columns: number, x: Address, weight: Address, bias: Address, epsilon: number, y: Address): void;
  f32_l2_norm(rows: number, columns: number, epsilon: number, x: Address, y: Address): void;
  f32_bin_mean(rows: number, columns: number, x: Address, values: Address, y: Address): void;
  f32_activation(count: number, kind: number, x: Address, y: Address): void;
  f32_rough_gelu(count: number, x: Address, y: Address): void;
  f32_swiglu(rows: number, width: number, x: Address, y: Address): void;
  f32_add(rows: number, columns: number, x: Address, y: Address, ldy: number, z: Address): void;
  f32_mul(rows: number, columns: number, x: Address, y: Address, ldy: number, z: Address): void;
  f32_clamp(count: number, least: number, most: number, x: Address, y: Address): void;
  f32_mean(rows: number, columns: number, x: Address, ldx: number, y: Address): void;
  f32_transpose(rows: number, columns: number, x: Address, y: Address): void;
  f32_patchify(
    channels: number,
    width: number,
    patchHeight: number,
    patchWidth: number,
    gridHeight: number,
    gridWidth: number,
    plane: number,
    x: Address,
    y: Address,
  ): void;
  f32_pad(
    height: number,
    width: number,
    channels: number,
    padding: number,
    first: number,
    count: number,
    least: number,
    x: Address,
    y: Address,
  ): void;
  f32_conv(...args: [...window: Window, x: Address, w: Address, c: Address, ldc: number, activation: number, places: Address]): void;
  f32_conv_add(...args: [...window: Window, x: Address, w: Address, c: Address, ldc: number, places: Address]): void;
  i8_pad(
    form: number,
    height: number,
    width: number,
    channels: number,
    padding: number,
    first: number,
    count: number,
    relu: number,
    x: Address,
    y: Address,
  ): void;
  i8_conv(
    ...args: [
      form: number,
      ...window: Window,
      x: Address,
      w: Address,
      c: Address,
      ldc: number,
      activation: number,
      room: Address,
      panels: number,
    ]
  ): void;
  i8_conv_add(
    ...args: [form: number, ...window: Window, x: Address, w: Address, c: Address, ldc: number, room: Address, panels: number]
  ): void;
  f32_im2col(
    height: number,
    width: number,
    channels: number,
    kernelHeight: number,
    kernelWidth: number,
    stride: number,
    padding: number,
    outWidth: number,
    first: number,
    count: number,
    least: number,
    x: Address,
    y: Address,
  ): void;
  f32_swap_axes(outer: number, rows: number, columns: number, run: number, x: Address, y: Address): void;
  f32_copy_rows(rows: number, columns: number, x: Address, ldx: number, y: Address, ldy: number): void;
  f16_to_f32(count: number, source: Address, target: Address): void;
  bf16_to_f32(count: number, source: Address, target: Address): void;
  f32_to_f16(count: number, source: Address, target: Address): void;
  f32_to_bf16(count: number, source: Address, target: Address): void;
  f32_resample(
    outer: number,
    size: number,
    to: number,
    inner: number,
    taps: number,
    x: Address,
    indices: Address,
    weights: Address,
    y: Address,
  ): void;
  i16_jpeg_scan(scan: Address, across: number, rows: number): void;
  u8_jpeg_idct(blocks: number, coefficients: Address, quantization: Address, output: Address, stride: number, room: Address): void;
  u8_jpeg_rows(planes: Address, color: number, width: number, first: number, count: number, output: Address): void;
  u8_planes(count: number, channels: number, input: Address, tables: Address, output: Address): void;
  u8_resample_horizontal(
    rows: number,
    width: number,
    outWidth: number,
    channels: number,
    pairs: number,
    input: Address,
    table: Address,
    output: Address,
  ): void;
  u8_resample_vertical(
    outRows: number,
    rowBytes: number,
    pairs: number,
    firstRow: number,
    input: Address,
    table: Address,
    output: Address,
  ): void;
}

export type KernelName = keyof Kernels;

/** Numbers of the activations, as in `assembly/activation/f32_activation.ts`. */
export const ACTIVATIONS = { none: 0, gelu: 1, geluTanh: 2, quickGelu: 3, relu: 4, silu: 5, selu: 6, sigmoid: 7 } as const;

export type Activation = keyof typeof ACTIVATIONS;

/** The number of an activation. @throws {ArgumentError} on a name that is none */
export function activationNumber(activation: Activation): number {
  if (!Object.hasOwn(ACTIVATIONS, activation)) {
    throw new ArgumentError(`activation: expected one of ${Object.keys(ACTIVATIONS).join(', ')}, found "${activation}"`);
  }
  return ACTIVATIONS[activation];
}

/** Columns of a panel of packed weights, as in `assembly/gemm/pack.ts`. */
export const PANEL = 8;

/** A multiple of the rows of all tiles of float32 products, as in `assembly/gemm/f32_tile.ts`. */
export const TILE_ROWS = 12;

/** Queries that attention takes at a time, as in `assembly/attention/f32_attention.ts`. */
export const STRIP_ROWS = 12;

/** The one seam to AssemblyScript: a build of the kernels on a memory. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  const imports = { env: { memory } };
  // one of another realm, as sandboxes of edge functions have it, which the loader would take for bytes
  if (!(module instanceof WebAssembly.Module)) return new WebAssembly.Instance(module, imports).exports as unknown as Kernels;
  return instantiateSync<Kernels & Record<string, unknown>>(module, imports).exports;
}
