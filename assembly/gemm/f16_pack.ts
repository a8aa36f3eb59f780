/**
 * The packed form of a right-hand matrix whose numbers are kept as 16-bit floats, as f16_gemm reads it: panels as in pack.ts, each 8 biases in
 * float32, then k times 8 values in binary16, rounded to nearest, ties to even. Size: ceil(n / 8) * (32 + k * 16) bytes.
 *
 * f16_narrow(panels, k, source, target): packed float32 (pack.ts) -> packed binary16; target may be source
 * f16_widen(panels, k, source, target):  the other way
 */
import { f16_to_f32, f32_to_f16 } from '../convert/convert';

export function f16_narrow(panels: i32, k: i32, source: usize, target: usize): void {
  for (let i = 0; i < panels; i++, source += (<usize>k + 1) << 5, target += 32 + (<usize>k << 4)) {
    memory.copy(target, source, 32);
    f32_to_f16(<usize>k << 3, source + 32, target + 32);
  }
}

export function f16_widen(panels: i32, k: i32, source: usize, target: usize): void {
  for (let i = 0; i < panels; i++, source += 32 + (<usize>k << 4), target += (<usize>k + 1) << 5) {
    memory.copy(target, source, 32);
    f16_to_f32(<usize>k << 3, source + 32, target + 32);
  }
}
