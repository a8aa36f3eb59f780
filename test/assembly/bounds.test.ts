import { test } from 'uvu';
import { type KernelName, type Kernels, PLACES_BYTES } from '../../src/runtime/kernels.ts';
import type { Address } from '../../src/runtime/memory.ts';
import { randomFloats } from '../reference/random.ts';
import { type Bench, testKernels } from './helpers.ts';

/** Sizes that have every tail of 4 and of 8. */
const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13];

type Arguments<K extends KernelName> = Parameters<Kernels[K]>;

/** One call: `input` places so many floats that the kernel only reads, `room` such that it writes. */
type Call<K extends KernelName> = (size: number, input: (count: number) => Address, room: (count: number) => Address) => Arguments<K>;

const packedFloats = (n: number, k: number): number => Math.ceil(n / 8) * 8 * (k + 1);
const packedHalves = (n: number, k: number): number => Math.ceil(n / 8) * (8 + k * 4);
const packedIntegers = (n: number, k: number): number => Math.ceil(n / 8) * (8 + Math.ceil(k / 128) * 16 + Math.ceil(k / 4) * 8);
/** Of a convolution of 2 x 2. */
const packedPatches = (n: number, channels: number): number => Math.ceil(n / 8) * (8 + 4 * (16 + Math.ceil(channels / 4) * 8));
const integerPixel = (channels: number): number => 2 + Math.ceil(channels / 4) * 2;
const PLACES = PLACES_BYTES / 4;
const pairs = (m: number, k: number): number => Math.ceil(m / 4) * 4 * Math.ceil(k / 4) * 2;
const heads = (m: number, k: number): number => Math.ceil(m / 4) * 4 * Math.ceil(k / 128) * 2;
/** For a strip of 16 queries in pairs, their scores and shares, and the products. */
const attentionRoom = (keys: number, width: number): number =>
  [width, keys].reduce((sum, k) => sum + heads(16, k) + pairs(16, k), 16 * Math.ceil(keys / 8) * 8 + 48) +
  64 * Math.ceil(Math.max(width, keys) / 4);

/** Kernels that have no inputs of their own, say how far they read beyond them, or find them by what stands in memory. */
type Other = 'i8_probe' | 'u8_resample_horizontal' | 'u8_resample_vertical' | 'u8_jpeg_rows' | 'i16_jpeg_scan';

/** Sizes of inputs as the kernels' headers give them. */
const CALLS: { readonly [K in Exclude<KernelName, Other>]: Call<K> } = {
  f32_gemm: (s, input, room) => [s, s, s, input(s * s), s, input(packedFloats(s, s)), room(s * s), s, 1],
  f32_gemm_add: (s, input, room) => [s, s, s, input(s * s), s, input(packedFloats(s, s)), room(s * s), s, input(s)],
  f16_gemm: (s, input, room) => [s, s, s, input(s * s), s, input(packedHalves(s, s)), room(s * s), s, 1, room(packedFloats(8, s)), 1],
  f16_gemm_add: (s, input, room) => [
    ...([s, s, s, input(s * s), s, input(packedHalves(s, s)), room(s * s), s, input(s)] as const),
    ...([room(packedFloats(8, s)), 1] as const),
  ],
  f16_narrow: (s, input, room) => [2, s, input(packedFloats(16, s)), room(packedHalves(16, s))],
  f16_widen: (s, input, room) => [2, s, input(packedHalves(16, s)), room(packedFloats(16, s))],
  i8_gemm: (s, input, room) => [
    ...([0, s, s, s, input(heads(s, s)), input(pairs(s, s)), input(packedIntegers(s, s)), room(s * s), s, 1] as const),
    ...([room(48 + Math.ceil(s / 4) * 16), 1] as const),
  ],
  i8_gemm_add: (s, input, room) => [
    ...([0, s, s, s, input(heads(s, s)), input(pairs(s, s)), input(packedIntegers(s, s)), room(s * s), s, input(s)] as const),
    ...([room(48 + Math.ceil(s / 4) * 16), 1] as const),
  ],
  i8_pack: (s, input, room) => [4, s, s, input(s), input(4), input(4), room(packedIntegers(4, s))],
  i8_pack_keys: (s, input, room) => [...([s, s, input(s * s), s, room(2 * s), room(packedIntegers(s, s))] as const)],
  i8_quantize_pack_rows: (s, input, room) => [s, s, input(s * s), s, room(packedIntegers(s, s))],
  i8_unpack: (s, input, room) => [s, s, s, input(packedIntegers(s, s)), room(Math.ceil((s * s) / 4)), room(s), room(s)],
  i8_quantize_weights: (s, input, room) => [3, s, 5, input(3 * s), room(3 * s), room(3 * Math.ceil(s / 5))],
  i8_quantize: (s, input, room) => [0, s, s, input(s * s), s, room(s), room(heads(s, s)), room(pairs(s, s))],
  f32_rotate: (s, input, room) => [3, s, input(3 * s), room(3 * s)],
  f32_pack: (s, input, room) => [s, s, input(s * s), s, input(s), room(packedFloats(s, s))],
  f32_pack_rows: (s, input, room) => [s, s, input(s * s), s, room(packedFloats(s, s))],
  f32_unpack: (s, input, room) => [s, s, input(packedFloats(s, s)), room(s * s), room(s)],
  f32_attention: (s, input, room) => [
    ...([s, s, s, input(s * s), s, input(packedFloats(s, s)), input(packedFloats(s, s)), room(s * s), s, 1, 1] as const),
    ...([room(12 * Math.ceil(s / 8) * 8), room(s * s)] as const),
  ],
  i8_attention: (s, input, room) => [
    ...([0, s, s, s, input(s * s), s, input(packedIntegers(s, s)), input(packedIntegers(s, s)), room(s * s), s, 1, 1] as const),
    ...([room(attentionRoom(s, s)), room(s * s)] as const),
  ],
  i8_layer_norm: (s, input, room) => [
    ...([0, s, s, input(s * s), input(s), input(s), 1e-6] as const),
    ...([room(2 * s), room(heads(s, s)), room(pairs(s, s))] as const),
  ],
  i8_dot_rows: (s, input, room) => [0, 5, 32 * s, input(40 * s), input(10), input(16 * s), 0, 1, 0, room(5), room(1)],
  i8_quantize_rows: (s, input, room) => [3, s, input(3 * s), room(3 * 8), room(6)],
  f32_softmax: (s, input, room) => [3, s, input(3 * s), room(3 * s)],
  f32_layer_norm: (s, input, room) => [3, s, input(3 * s), input(s), input(s), 1e-6, room(3 * s)],
  f32_l2_norm: (s, input, room) => [3, s, 1e-12, input(3 * s), room(3 * s)],
  f32_bin_mean: (s, input, room) => [3, s, input(3 * s), input(s), room(3)],
  f32_activation: (s, input, room) => [s, 1, input(s), room(s)],
  f32_rough_gelu: (s, input, room) => [s, input(s), room(s)],
  f32_swiglu: (s, input, room) => [3, s, input(6 * s), room(3 * s)],
  f32_add: (s, input, room) => [3, s, input(3 * s), input(s), 0, room(3 * s)],
  f32_mul: (s, input, room) => [3, s, input(3 * s), input(3 * s), s, room(3 * s)],
  f32_clamp: (s, input, room) => [s, -1, 1, input(s), room(s)],
  f32_mean: (s, input, room) => [3, s, input(3 * s), s, room(s)],
  f32_transpose: (s, input, room) => [3, s, input(3 * s), room(3 * s)],
  f32_patchify: (s, input, room) => [1, 2 * s, 2, s, 2, 2, 8 * s, input(8 * s), room(8 * s)],
  f32_pad: (s, input, room) => [2, 3, s, 1, 0, 4, 0, input(6 * s), room(20 * s)],
  f32_conv: (s, input, room) => [
    ...([s, s, 2, 2, 1, 4, 3, 0, 6, input(12 * s), input(packedFloats(s, 4 * s)), room(6 * s), s, 1, room(PLACES)] as const),
  ],
  f32_conv_add: (s, input, room) => [
    ...([s, s, 2, 2, 1, 4, 3, 0, 6, input(12 * s), input(packedFloats(s, 4 * s)), room(6 * s), s, room(PLACES)] as const),
  ],
  i8_pad: (s, input, room) => [0, 2, 3, s, 1, 0, 4, 0, input(6 * s), room(20 * integerPixel(s))],
  i8_conv: (s, input, room) => [
    ...([0, s, s, 2, 2, 1, 4, 3, 0, 6, input(12 * integerPixel(s) + 2), input(packedPatches(s, s)), room(6 * s), s, 1] as const),
    ...([room(PLACES + 48 + 64 * s), 1] as const),
  ],
  i8_conv_add: (s, input, room) => [
    ...([0, s, s, 2, 2, 1, 4, 3, 0, 6, input(12 * integerPixel(s) + 2), input(packedPatches(s, s)), room(6 * s), s] as const),
    ...([room(PLACES + 48 + 64 * s), 1] as const),
  ],
  f32_im2col: (s, input, room) => [2, 3, s, 2, 2, 1, 1, 4, 0, 12, 0, input(6 * s), room(48 * s)],
  f32_swap_axes: (s, input, room) => [2, 3, 2, s, input(12 * s), room(12 * s)],
  f32_copy_rows: (s, input, room) => [3, s, input(s), 0, room(3 * s), s],
  f32_resample: (s, input, room) => [2, 3, 2, s, 1, input(6 * s), input(2), input(2), room(4 * s)],
  u8_jpeg_idct: (s, input, room) => [s, input(32 * s), input(64), room(16 * s), 8 * s, room(128)],
  u8_planes: (s, input, room) => [4 * s, 2, input(2 * s), input(512), room(8 * s)],
  f16_to_f32: (s, input, room) => [2 * s, input(s), room(2 * s)],
  bf16_to_f32: (s, input, room) => [2 * s, input(s), room(2 * s)],
  f32_to_f16: (s, input, room) => [2 * s, input(2 * s), room(s)],
  f32_to_bf16: (s, input, room) => [2 * s, input(2 * s), room(s)],
};

/**
 * Runs a kernel with the input of this number ending where the memory ends, so that a read behind it traps. Whether there is such an input.
 */
function tryAtEnd<K extends keyof typeof CALLS>(bench: Bench, name: K, size: number, last: number): boolean {
  return bench.try(() => {
    const counts: number[] = [];
    const call = CALLS[name] as Call<K>;
    const places = (input: (count: number) => Address) => call(size, input, (count) => bench.room(count));
    const args = places((count) => {
      counts.push(count);
      // zeros where a table of indices is expected, which are integers
      return counts.length - 1 === last
        ? Number.NaN
        : bench.input(name === 'f32_resample' ? new Float32Array(count) : randomFloats(count, count));
    });
    const count = counts[last];
    if (count === undefined) return false;
    const place = bench.inputAtEnd(name === 'f32_resample' ? new Float32Array(count) : randomFloats(count, count));
    bench.engine.call(name, ...(args.map((value) => (Number.isNaN(value) ? place : value)) as Arguments<K>));
    return true;
  });
}

for (const name of Object.keys(CALLS) as (keyof typeof CALLS)[]) {
  testKernels(`${name} reads nothing behind its inputs`, (bench) => {
    for (const size of SIZES) {
      let input = 0;
      while (tryAtEnd(bench, name, size, input)) input += 1;
    }
  });
}

test.run();
