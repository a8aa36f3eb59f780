import type { Kernels } from './kernels.ts';

/** (module (func (result v128) (v128.const i32x4 0 0 0 0))) */
const SIMD = module('0105016000017b', '03020100', '0a16011400fd0c000000000000000000000000000000000b');
/** (module (func (param v128 v128 v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))) */
const RELAXED_MADD = module('01080160037b7b7b017b', '03020100', '0a0d010b00200020012002fd85020b');

/** Whether this host compiles WebAssembly SIMD. */
export function hasSimd(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(SIMD);
}

/** Whether this host compiles relaxed SIMD (Node 24 and later, Chromium 114, Deno, workerd; not Node 20). */
export function hasRelaxedSimd(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(RELAXED_MADD);
}

/**
 * How the operands of an integer product lie in memory (`assembly/quantize/i8_form.ts`): as pairs of 16 bits, which every host multiplies, or as
 * bytes, which relaxed SIMD multiplies at twice the rate where the machine has an instruction for it.
 */
export type IntegerForm = 'pairs' | 'unsigned' | 'signed';

/**
 * Whether the dot product of relaxed SIMD is what it promises for signed bytes by 0 to 127: it is on every host but Node 20 behind a flag; the
 * baseline build has none.
 */
export function multipliesBytes({ i8_probe: dot }: Pick<Kernels, 'i8_probe'>): boolean {
  return dot(127, 127) === 4 * 127 * 127 && dot(-128, 127) === 4 * -128 * 127;
}

/**
 * The form that this host multiplies exactly and fastest. What the dot product of relaxed SIMD does beyond its promise tells the machines apart: x64
 * with VNNI multiplies signed by unsigned, ARM signed by signed, exactly; x64 without VNNI saturates sums of two at 16 bits and gains nothing.
 */
export function integerForm(kernels: Pick<Kernels, 'i8_probe'>): IntegerForm {
  const { i8_probe: dot } = kernels;
  if (!multipliesBytes(kernels)) return 'pairs';
  const largest = dot(127, 255);
  if (largest === 4 * 127 * 255 && dot(-128, 255) === 4 * -128 * 255) return 'unsigned';
  if (largest === 4 * 127 * -1 && dot(-128, 128) === 4 * -128 * -128) return 'signed';
  return 'pairs';
}

/** A WebAssembly module of these sections, in hexadecimal digits. */
function module(...sections: string[]): Uint8Array<ArrayBuffer> {
  const digits = `0061736d01000000${sections.join('')}`;
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
