/**
 * f32_dot_rows(n, k, x, query, y): x (n, k) times query (k) -> y (n), one sum of products a row.
 *
 * For searches, which are as fast as memory gives the rows: each is read once, whole rows in a row. Eight sums a row hide the latency of the
 * additions. Error: at most (k / 32 + 8) roundings of the sum of the magnitudes.
 */
import { loadTail, madd, sumLanes } from '../simd';

export function f32_dot_rows(n: i32, k: i32, x: usize, query: usize, y: usize): void {
  const row = <usize>k << 2;
  const long = row & ~127; // bytes of whole steps of 32
  const whole = row & ~15;
  const tail = k & 3;
  for (let i = 0; i < n; i++, x += row, y += 4) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let s4 = s0;
    let s5 = s0;
    let s6 = s0;
    let s7 = s0;
    let at: usize = 0;
    for (; at < long; at += 128) {
      const a = x + at;
      const b = query + at;
      s0 = madd(v128.load(a), v128.load(b), s0);
      s1 = madd(v128.load(a, 16), v128.load(b, 16), s1);
      s2 = madd(v128.load(a, 32), v128.load(b, 32), s2);
      s3 = madd(v128.load(a, 48), v128.load(b, 48), s3);
      s4 = madd(v128.load(a, 64), v128.load(b, 64), s4);
      s5 = madd(v128.load(a, 80), v128.load(b, 80), s5);
      s6 = madd(v128.load(a, 96), v128.load(b, 96), s6);
      s7 = madd(v128.load(a, 112), v128.load(b, 112), s7);
    }
    for (; at < whole; at += 16) s0 = madd(v128.load(x + at), v128.load(query + at), s0);
    if (tail) s1 = madd(loadTail(x + whole, tail), loadTail(query + whole, tail), s1);
    s0 = f32x4.add(f32x4.add(s0, s4), f32x4.add(s2, s6));
    s1 = f32x4.add(f32x4.add(s1, s5), f32x4.add(s3, s7));
    store<f32>(y, sumLanes(f32x4.add(s0, s1)));
  }
}
