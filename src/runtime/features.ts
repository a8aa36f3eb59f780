/** (module (func (result v128) (v128.const i32x4 0 0 0 0))) */
const SIMD = module('0105016000017b', '03020100', '0a16011400fd0c000000000000000000000000000000000b');
/** (module (func (param v128 v128 v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))) */
const RELAXED_MADD = module('01080160037b7b7b017b', '03020100', '0a0d010b00200020012002fd85020b');

/** Whether this host compiles WebAssembly SIMD. */
export function hasSimd(): boolean {
  return WebAssembly.validate(SIMD);
}

/** Whether this host compiles relaxed SIMD (Node 24 and later, Chromium 114, Deno, workerd; not Node 20). */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(RELAXED_MADD);
}

/** A WebAssembly module of these sections, in hexadecimal digits. */
function module(...sections: string[]): Uint8Array<ArrayBuffer> {
  const digits = `0061736d01000000${sections.join('')}`;
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
