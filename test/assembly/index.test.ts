import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MOST_ARGUMENTS } from '../../src/runtime/board.ts';
import { kernelModule } from '../../src/runtime/builds.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import type { Kernels } from '../../src/runtime/kernels.ts';
import { Memory } from '../../src/runtime/memory.ts';
import { kernelFile } from './helpers.ts';

/** How many arguments each kernel has. The type holds this table to src/runtime/kernels.ts, the tests hold the builds to this table. */
const ARGUMENTS: { [K in keyof Kernels]: Parameters<Kernels[K]>['length'] } = {
  bf16_to_f32: 3,
  f16_gemm: 11,
  f16_gemm_add: 11,
  f16_narrow: 4,
  f16_to_f32: 3,
  f16_widen: 4,
  f32_activation: 4,
  f32_add: 6,
  f32_attention: 13,
  f32_bin_mean: 5,
  f32_clamp: 5,
  f32_conv: 15,
  f32_conv_add: 14,
  f32_copy_rows: 6,
  f32_gemm: 9,
  f32_gemm_add: 9,
  f32_im2col: 13,
  f32_l2_norm: 5,
  f32_layer_norm: 7,
  f32_mean: 5,
  f32_mul: 6,
  f32_pack: 6,
  f32_pack_rows: 5,
  f32_pad: 9,
  f32_patchify: 9,
  f32_resample: 9,
  f32_rough_gelu: 3,
  f32_rotate: 4,
  f32_softmax: 4,
  f32_swap_axes: 6,
  f32_swiglu: 4,
  f32_to_bf16: 3,
  f32_to_f16: 3,
  f32_transpose: 4,
  f32_unpack: 5,
  i16_jpeg_scan: 3,
  i8_attention: 14,
  i8_conv: 17,
  i8_conv_add: 16,
  i8_dot_rows: 11,
  i8_gemm: 12,
  i8_gemm_add: 12,
  i8_layer_norm: 10,
  i8_pack: 7,
  i8_pack_keys: 6,
  i8_pad: 10,
  i8_probe: 2,
  i8_quantize: 8,
  i8_quantize_rows: 5,
  i8_quantize_pack_rows: 5,
  i8_quantize_weights: 6,
  i8_unpack: 7,
  u8_jpeg_idct: 6,
  u8_jpeg_rows: 6,
  u8_planes: 5,
  u8_resample_horizontal: 8,
  u8_resample_vertical: 7,
};

/**
 * For each kernel the tests that hold it to a slow reference, by part of their titles: over random shapes, strides and tails, and with the
 * ends of its numbers (infinities, NaN, denormal and the largest, or any bits). The type lets no kernel be without.
 */
const TESTS: { readonly [K in keyof Kernels]: readonly [file: string, shapes: string, ends: string] } = {
  bf16_to_f32: ['../checkpoint/convert', 'any count converts', 'is exact for each of the 65536 halves'],
  f16_gemm: ['gemm/f16_gemm', 'f16_gemm is f32_gemm on the rounded weights, to the bit', 'is f32_gemm with it, to the bit'],
  f16_gemm_add: ['gemm/f16_gemm', 'f16_gemm_add is f32_gemm_add', 'f16_narrow rounds the values of panels to nearest'],
  f16_narrow: ['gemm/f16_gemm', 'f16_narrow rounds', 'f16_narrow rounds'],
  f16_to_f32: ['../checkpoint/convert', 'any count converts', 'is exact for each of the 65536 halves'],
  f16_widen: ['gemm/f16_gemm', 'f16_narrow rounds', 'f16_narrow rounds'],
  f32_activation: ['activation/f32_activation', 'takes any count', 'keeps NaN in each place and does with infinities'],
  f32_add: ['elementwise/f32_elementwise', 'is exactly rounded', 'is exactly rounded for every pair of numbers'],
  f32_attention: [
    'attention/f32_attention',
    'f32_attention is weight * softmax(scale q k^T) v',
    'f32_attention hides no NaN and no infinity',
  ],
  f32_bin_mean: ['norm/f32_bin_mean', 'f32_bin_mean is the mean', 'f32_bin_mean of any numbers'],
  f32_clamp: ['elementwise/f32_elementwise', 'f32_clamp is exact', 'f32_clamp is exact for every number'],
  f32_conv: ['conv/f32_conv', 'f32_conv is f32_gemm on the patches laid out', 'f32_conv of any bits'],
  f32_conv_add: ['conv/f32_conv', 'f32_conv_add adds what f32_conv gives', 'f32_conv_add adds what f32_conv gives'],
  f32_copy_rows: ['conv/f32_copy_rows', 'f32_copy_rows copies rows bit for bit', 'f32_copy_rows copies rows bit for bit'],
  f32_gemm: ['gemm/f32_gemm', 'f32_gemm multiplies matrices of any size', 'f32_gemm overflows to infinity and keeps denormal numbers'],
  f32_gemm_add: ['gemm/f32_gemm', 'f32_gemm_add adds the scaled product', 'f32_gemm_add is exact on small integers and hides no NaN'],
  f32_im2col: ['conv/f32_im2col', 'f32_im2col lays out the patch', 'f32_im2col keeps NaN and infinities'],
  f32_l2_norm: ['norm/f32_l2_norm', 'f32_l2_norm gives each row the length 1', 'f32_l2_norm hides no NaN'],
  f32_layer_norm: ['norm/f32_layer_norm', 'f32_layer_norm is (x - mean)', 'f32_layer_norm of the largest and smallest numbers'],
  f32_mean: ['elementwise/f32_elementwise', 'f32_mean is the mean of the rows', 'f32_mean is the mean of the rows'],
  f32_mul: ['elementwise/f32_elementwise', 'is exactly rounded', 'is exactly rounded for every pair of numbers'],
  f32_pack: ['gemm/pack', 'f32_pack lays a matrix', 'f32_unpack gives back every bit'],
  f32_pack_rows: ['gemm/pack', 'f32_pack_rows lays a matrix', 'f32_pack_rows lays a matrix'],
  f32_pad: ['conv/f32_pad', 'f32_pad puts zeros around', 'f32_pad puts zeros around'],
  f32_patchify: ['embedding/f32_patchify', 'f32_patchify gives each patch', 'f32_patchify gives each patch'],
  f32_resample: ['resample/f32_resample', 'f32_resample sums the taps', 'f32_resample keeps denormal numbers'],
  f32_rough_gelu: ['activation/f32_rough_gelu', 'f32_rough_gelu takes any count', 'f32_rough_gelu keeps NaN in each place'],
  f32_rotate: ['quantize/f32_rotate', 'f32_rotate multiplies every whole group', 'f32_rotate of any bits'],
  f32_softmax: ['norm/f32_softmax', 'f32_softmax is e^(x - max) / sum', 'f32_softmax neither overflows nor loses equal numbers'],
  f32_swap_axes: ['conv/f32_swap_axes', 'f32_swap_axes exchanges', 'f32_swap_axes exchanges'],
  f32_swiglu: ['activation/f32_activation', 'f32_swiglu multiplies silu', 'f32_swiglu hides no NaN and no infinity'],
  f32_to_bf16: ['../checkpoint/convert', 'any count converts', 'rounds any float as the slow conversion does'],
  f32_to_f16: ['../checkpoint/convert', 'any count converts', 'rounds any float as the slow conversion does'],
  f32_transpose: ['elementwise/f32_elementwise', 'f32_transpose moves every bit', 'f32_transpose moves every bit'],
  f32_unpack: ['gemm/pack', 'f32_unpack gives back every bit', 'f32_unpack gives back every bit'],
  i16_jpeg_scan: ['jpeg/i16_jpeg_scan', 'i16_jpeg_scan reads back coefficients', 'i16_jpeg_scan reads back the largest coefficients'],
  i8_attention: ['attention/i8_attention', 'i8_attention is weight * softmax', 'i8_attention never makes a number of what is none'],
  i8_conv: ['conv/i8_conv', 'i8_conv is the exact sum of products of every run', 'i8_conv makes every output NaN'],
  i8_conv_add: ['conv/i8_conv', 'i8_conv_add adds what i8_conv gives', 'i8_conv makes every output NaN'],
  i8_dot_rows: ['search/i8_dot_rows', 'i8_dot_rows gives exact sums', 'i8_dot_rows is exact for the longest rows'],
  i8_gemm: ['gemm/i8_gemm', 'i8_gemm is the exact sum of products', 'i8_gemm is exact where sums are as large as they get'],
  i8_gemm_add: ['gemm/i8_gemm', 'i8_gemm_add adds the scaled product', 'i8_gemm makes every product of a row NaN'],
  i8_layer_norm: ['quantize/i8_quantize', 'i8_layer_norm is i8_quantize of the rotated layer norm', 'i8_quantize of any bits'],
  i8_pack_keys: ['attention/i8_attention', 'i8_attention is weight * softmax', 'i8_attention never makes a number of what is none'],
  i8_pad: ['conv/i8_pad', 'i8_pad makes each pixel what i8_quantize', 'i8_pad makes each pixel what i8_quantize'],
  i8_pack: ['gemm/i8_pack', 'i8_pack lays integers out', 'i8_unpack gives back every bit'],
  i8_probe: ['quantize/i8_probe', 'i8_probe is the sum', 'i8_probe is the sum'],
  i8_quantize: ['quantize/i8_quantize', 'i8_quantize is within half a step', 'i8_quantize of any bits'],
  i8_quantize_rows: ['search/i8_quantize_rows', 'i8_quantize_rows gives the nearest integers', 'i8_quantize_rows of any numbers'],
  i8_quantize_pack_rows: ['gemm/i8_pack', 'i8_quantize_pack_rows packs', 'i8_quantize_pack_rows says NaN'],
  i8_quantize_weights: ['gemm/i8_pack', 'i8_quantize_weights is within half a step', 'i8_quantize_weights takes the largest floats'],
  i8_unpack: ['gemm/i8_pack', 'i8_unpack gives back every bit', 'i8_unpack gives back every bit'],
  u8_jpeg_idct: ['jpeg/u8_jpeg_idct', 'u8_jpeg_idct is the inverse transform', 'u8_jpeg_idct is the inverse transform'],
  u8_jpeg_rows: ['jpeg/u8_jpeg_rows', 'u8_jpeg_rows is', 'u8_jpeg_rows is'],
  u8_planes: ['convert/u8_planes', 'u8_planes looks each byte up', 'u8_planes looks each byte up'],
  u8_resample_horizontal: ['resample/u8_resample', 'u8_resample_horizontal sums', 'u8_resample_horizontal sums'],
  u8_resample_vertical: ['resample/u8_resample', 'u8_resample_vertical sums', 'u8_resample_vertical sums'],
};

for (const [kernel, [file, ...titles]] of Object.entries(TESTS)) {
  test(`${kernel} is held to a slow reference over shapes and at the ends of its numbers`, () => {
    const source = readFileSync(new URL(`${file}.test.ts`, import.meta.url), 'utf8');
    assert.ok(
      [`'${kernel}'`, `\`${kernel}`, `${kernel}(`].some((call) => source.includes(call)),
      `${file} does not call it`,
    );
    const found = [...source.matchAll(/(?:^|\n)\s*(?:testKernels|test)\(\s*(['`])(.*?)\1,/g)].map(([, , title = '']) => title);
    for (const title of titles)
      assert.ok(
        found.some((one) => one.includes(title)),
        `${file} has no test "${title}"`,
      );
  });
}

const IMPORT = 2;
const EXPORT = 7;
const FUNCTION = 0;

interface Sections {
  imports: { name: string; kind: number }[];
  exports: { name: string; kind: number }[];
}

/** Imports and exports of a module, read without compiling it: a host without relaxed SIMD refuses the relaxed build. */
function sectionsOf(module: Uint8Array): Sections {
  let at = 8; // behind magic and version
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++] as number;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const name = (): string => {
    const length = number();
    at += length;
    return new TextDecoder().decode(module.subarray(at - length, at));
  };
  const list = <T>(item: () => T): T[] => Array.from({ length: number() }, item);
  const sections: Sections = { imports: [], exports: [] };
  while (at < module.length) {
    const id = number();
    const end = number() + at;
    if (id === IMPORT) {
      sections.imports = list(() => {
        const imported = { name: `${name()}.${name()}`, kind: number() };
        if (number() % 2) number(); // limits of a memory: flags, least, most
        number();
        return imported;
      });
    } else if (id === EXPORT) {
      sections.exports = list(() => {
        const exported = { name: name(), kind: number() };
        number();
        return exported;
      });
    }
    at = end;
  }
  return sections;
}

/** The builds, each for a memory of its own and for one that threads share. */
const BUILDS = (['simd', 'relaxed'] as const).flatMap((build) => (['own', 'shared'] as const).map((memory) => ({ build, memory })));

for (const { build, memory } of BUILDS) {
  const file = kernelFile(build, memory);
  const what = `${build}, ${memory} memory`;

  test(`${what}: exports the kernels of src/runtime/kernels.ts, and no other function`, () => {
    const functions = sectionsOf(file).exports.filter(({ kind }) => kind === FUNCTION);
    assert.equal(functions.map(({ name }) => name).sort(), Object.keys(ARGUMENTS).sort());
  });

  test(`${what}: imports the memory and nothing else`, () => {
    assert.equal(
      sectionsOf(file).imports.map(({ name }) => name),
      ['env.memory'],
    );
  });

  test(`${what}: is smaller than 120 KB`, () => {
    assert.ok(file.length < 120_000, `${file.length} bytes`);
  });

  const runnable = build === 'simd' || hasRelaxedSimd() ? test : test.skip;
  runnable(`${what}: a kernel takes as many arguments as its type says`, () => {
    const { wasm } = new Memory({ shared: memory === 'shared' });
    const { exports } = new WebAssembly.Instance(kernelModule(build, memory), { env: { memory: wasm } });
    for (const [name, count] of Object.entries(ARGUMENTS)) assert.is((exports[name] as () => void).length, count, name);
  });
}

test('no kernel has more arguments than a call that goes to another thread has room for', () => {
  assert.ok(Math.max(...Object.values(ARGUMENTS)) <= MOST_ARGUMENTS);
});

test.run();
