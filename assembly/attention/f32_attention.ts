/**
 * f32_attention(queries, keys, width, q, ldq, k, v, out, ldo, scale, weight, strip, probabilities)
 *   out (queries, width) = weight * softmax(scale * q . k^T) . v, one head (Vaswani et al. 2017)
 *
 * q (queries, width) and out with rows ldq and ldo elements apart. k and v (keys, width) are packed: k by f32_pack, its columns being the
 * keys, v by f32_pack_rows. weight is the head mask, 1 for none.
 * strip: room for 12 rows of `keys` numbers, each rounded up to 8. The scores of 12 queries at a time stand there, and nowhere the score
 * matrix, unless `probabilities` (queries, keys) is not 0: it then receives weight * softmax(...), and `out` is the same to the bit.
 */
import { f32_tile } from '../gemm/f32_tile';
import { f32_exponentials, f32_scale } from '../norm/f32_softmax';

const STRIP_ROWS: i32 = 12; // a multiple of the tile rows of both builds

export function f32_attention(
  queries: i32, keys: i32, width: i32, q: usize, ldq: i32, k: usize, v: usize, out: usize, ldo: i32,
  scale: f32, weight: f32, strip: usize, probabilities: usize,
): void {
  const lds = (keys + 7) & ~7;
  for (let i = 0; i < queries; i += STRIP_ROWS) {
    const rows = min(STRIP_ROWS, queries - i);
    panels(rows, lds, width, q + ((<usize>i * <usize>ldq) << 2), ldq, k, strip, lds);
    for (let row = 0; row < rows; row++) {
      const s = strip + ((<usize>row * <usize>lds) << 2);
      f32_scale(keys, weight / f32_exponentials(keys, s, scale, s), s, s);
      if (probabilities) memory.copy(probabilities + ((<usize>(i + row) * <usize>keys) << 2), s, <usize>keys << 2);
    }
    panels(rows, width, keys, strip, lds, v, out + ((<usize>i * <usize>ldo) << 2), ldo);
  }
}

/** c (m, n) = a (m, k) . w (k, n), w packed. */
function panels(m: i32, n: i32, k: i32, a: usize, lda: i32, w: usize, c: usize, ldc: i32): void {
  const panel = (<usize>k + 1) << 5;
  for (let j = 0; j < n; j += 8, w += panel, c += 32) f32_tile(m, min(8, n - j), k, a, lda, w, c, ldc, 0);
}
