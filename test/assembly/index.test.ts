import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kernelModule } from '../../src/runtime/builds.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import type { Kernels } from '../../src/runtime/kernels.ts';
import { kernelFile } from './helpers.ts';

/** How many arguments each kernel has. The type holds this table to src/runtime/kernels.ts, the tests hold the builds to this table. */
const ARGUMENTS: { [K in keyof Kernels]: Parameters<Kernels[K]>['length'] } = {
  bf16_to_f32: 3,
  f16_to_f32: 3,
  f32_activation: 4,
  f32_add: 6,
  f32_attention: 13,
  f32_bin_mean: 5,
  f32_clamp: 5,
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
  f32_patchify: 9,
  f32_resample: 9,
  f32_softmax: 4,
  f32_swap_axes: 6,
  f32_swiglu: 4,
  f32_to_bf16: 3,
  f32_to_f16: 3,
  f32_transpose: 4,
  f32_unpack: 5,
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

for (const build of ['simd', 'relaxed'] as const) {
  test(`${build}: exports the kernels of src/runtime/kernels.ts, and no other function`, () => {
    const functions = sectionsOf(kernelFile(build)).exports.filter(({ kind }) => kind === FUNCTION);
    assert.equal(functions.map(({ name }) => name).sort(), Object.keys(ARGUMENTS).sort());
  });

  test(`${build}: imports the memory and nothing else`, () => {
    assert.equal(
      sectionsOf(kernelFile(build)).imports.map(({ name }) => name),
      ['env.memory'],
    );
  });

  test(`${build}: is smaller than 120 KB`, () => {
    const { length } = kernelFile(build);
    assert.ok(length < 120_000, `${length} bytes`);
  });

  const runnable = build === 'simd' || hasRelaxedSimd() ? test : test.skip;
  runnable(`${build}: a kernel takes as many arguments as its type says`, () => {
    const { exports } = new WebAssembly.Instance(kernelModule(build, 'own'), { env: { memory: new WebAssembly.Memory({ initial: 1 }) } });
    for (const [name, count] of Object.entries(ARGUMENTS)) assert.is((exports[name] as () => void).length, count, name);
  });
}

test.run();
