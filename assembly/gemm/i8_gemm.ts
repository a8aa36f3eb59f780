/**
 * i8_gemm(form, m, n, k, heads, a, w, c, ldc, activation, room, panels):   c (m, n) = activation(a (m, k) . w (k, n) + bias)
 * i8_gemm_add(form, m, n, k, heads, a, w, c, ldc, scale, room, panels):    c (m, n) += scale * (a . w + bias)
 *
 * heads and a: quantised rows (i8_form.ts), w: packed integers (i8_pack.ts), c float32 with rows ldc elements apart. room: 192 bytes for the sums of a
 * block of rows, and, in the form of pairs, where `panels` panels are widened to 16 bits, ceil(k / 4) * 64 bytes each.
 *
 * GELU is the rough one (../activation/f32_rough_gelu.ts).
 *
 * The sums of a group are exact and groups are added in their order, so that neither the form nor how rows and panels are cut changes a result.
 */
import { Activation, f32_activation } from '../activation/f32_activation';
import { f32_rough_gelu } from '../activation/f32_rough_gelu';
import { Form, groupsOf, rowBytes, rowsOf } from '../quantize/i8_form';
import { panelBytes } from './i8_pack';
import { i8_bytes_tile, i8_halves_tile, i8_pairs_tile, widen } from './i8_tile';

/** Bytes of `a` that one pass over some panels is for: what a second-level cache holds beside the panels. */
const BLOCK_BYTES: i32 = 1 << 19;

/** The floats of a block of rows: at most 6 of 8. */
const SUMS_BYTES: i32 = 192;

export function i8_gemm(
  form: Form, m: i32, n: i32, k: i32, heads: usize, a: usize, w: usize, c: usize, ldc: i32, activation: Activation, room: usize, panels: i32,
): void {
  gemm(form, m, n, k, heads, a, w, c, ldc, activation, 0, room, panels);
}

export function i8_gemm_add(
  form: Form, m: i32, n: i32, k: i32, heads: usize, a: usize, w: usize, c: usize, ldc: i32, scale: usize, room: usize, panels: i32,
): void {
  gemm(form, m, n, k, heads, a, w, c, ldc, Activation.None, scale, room, panels);
}

function gemm(
  form: Form, m: i32, n: i32, k: i32, heads: usize, a: usize, w: usize, c: usize, ldc: i32, activation: Activation, scale: usize, room: usize,
  panels: i32,
): void {
  const tile = rowsOf(form);
  const groups = <usize>groupsOf(k);
  const wides = room + SUMS_BYTES;
  const bytes = rowBytes(form, k);
  const block = max(1, BLOCK_BYTES / max(1, <i32>bytes) / tile) * tile;
  const panel = panelBytes(k);
  const widened = <usize>((k + 3) >> 2) << 6;
  const group = form == Form.Pairs ? panels << 3 : n;
  for (let j = 0; j < n; j += group) {
    const columns = min(group, n - j);
    const first = w + <usize>(j >> 3) * panel;
    if (form == Form.Pairs) {
      for (let i: usize = 0; i < <usize>((columns + 7) >> 3); i++) widen(k, k, first + i * panel, wides + i * widened);
    }
    for (let i = 0; i < m; i += block) {
      const rows = min(block, m - i);
      const head = heads + ((<usize>i * groups) << 3);
      const ai = a + <usize>i * bytes;
      const ci = c + ((<usize>i * <usize>ldc + <usize>j) << 2);
      for (let column = 0, p = first, wide = wides; column < columns; column += 8, p += panel, wide += widened) {
        const at = <usize>column << 2;
        const s = scale ? scale + (<usize>j << 2) + at : 0;
        if (form == Form.Pairs) i8_pairs_tile(rows, min(8, columns - column), k, head, ai, wide, p, ci + at, ldc, s, room);
        else if (form == Form.Halves) i8_halves_tile(rows, min(8, columns - column), k, head, ai, p, ci + at, ldc, s, room);
        else i8_bytes_tile(rows, min(8, columns - column), k, head, ai, p, ci + at, ldc, s, room);
      }
      if (activation != Activation.None) {
        for (let row = 0; row < rows; row++) {
          const r = ci + ((<usize>row * <usize>ldc) << 2);
          if (activation == Activation.Gelu) f32_rough_gelu(columns, r, r);
          else f32_activation(columns, activation, r, r);
        }
      }
    }
  }
}
