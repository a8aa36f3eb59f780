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
  f32_copy_rows: 6,
  f32_dot_rows: 5,
  f32_gemm: 9,
  f32_gemm_add: 9,
  f32_im2col: 13,
  f32_l2_norm: 5,
  f32_layer_norm: 7,
  f32_mean: 5,
  f32_mul: 6,
  f32_pack: 6,
  f32_pack_rows: 5,
  f32_patchify: 9,
  f32_resample: 9,
  f32_softmax: 4,
  f32_swap_axes: 6,
  f32_swiglu: 4,
  f32_to_bf16: 3,
  f32_to_f16: 3,
  f32_transpose: 4,
  f32_unpack: 5,
  i16_attention: 14,
  i16_jpeg_scan: 3,
  i16_pack: 6,
  i16_pack_rows: 6,
  i8_dot_rows: 8,
  i8_gemm: 12,
  i8_gemm_add: 12,
  i8_layer_norm: 10,
  i8_pack: 6,
  i8_probe: 2,
  i8_quantize: 7,
  i8_quantize_weights: 6,
  i8_unpack: 6,
  u8_jpeg_idct: 6,
  u8_jpeg_rows: 6,
  u8_resample_horizontal: 8,
  u8_resample_vertical: 7,
};

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
