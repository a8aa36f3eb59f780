/**
 * f32_dot_rows(n, k, x, query, y): x (n, k) times query (k) -> y (n), one sum of products a row.
 *
 * For searches, which are as fast as memory gives the rows. Four rows that are a quarter of all apart are read side by side: a processor fetches each of
 * these streams ahead by itself, and together they give about twice what one gives (bench/README.md). Each row has two sums, of even and of odd steps of
 * four, wherever it is, so that equal rows have equal results. Error: at most k / 8 + 5 roundings of the sum of the magnitudes.
 */
import { loadTail, madd, sumLanes } from '../simd';

export function f32_dot_rows(n: i32, k: i32, x: usize, query: usize, y: usize): void {
  const row = <usize>k << 2;
  const long = row & ~31; // bytes of whole steps of 8
  const quarter = <usize>n >> 2;
  const far = quarter * row;
  const next = quarter << 2;
  for (let i: usize = 0; i < quarter; i++, x += row, y += 4) {
    let a0 = f32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    for (let at: usize = 0; at < long; at += 32) {
      const q0 = v128.load(query + at);
      const q1 = v128.load(query + at, 16);
      let p = x + at;
      a0 = madd(v128.load(p), q0, a0);
      a1 = madd(v128.load(p, 16), q1, a1);
      p += far;
      b0 = madd(v128.load(p), q0, b0);
      b1 = madd(v128.load(p, 16), q1, b1);
      p += far;
      c0 = madd(v128.load(p), q0, c0);
      c1 = madd(v128.load(p, 16), q1, c1);
      p += far;
      d0 = madd(v128.load(p), q0, d0);
      d1 = madd(v128.load(p, 16), q1, d1);
    }
    store<f32>(y, finish(k, x, query, a0, a1));
    store<f32>(y + next, finish(k, x + far, query, b0, b1));
    store<f32>(y + next * 2, finish(k, x + far * 2, query, c0, c1));
    store<f32>(y + next * 3, finish(k, x + far * 3, query, d0, d1));
  }
  x += far * 3;
  y += next * 3;
  for (let i = n & 3; i > 0; i--, x += row, y += 4) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    for (let at: usize = 0; at < long; at += 32) {
      s0 = madd(v128.load(x + at), v128.load(query + at), s0);
      s1 = madd(v128.load(x + at, 16), v128.load(query + at, 16), s1);
    }
    store<f32>(y, finish(k, x, query, s0, s1));
  }
}

/** The sum of a row from those of its whole steps of 8 and what is behind them. */
// @ts-ignore: decorator
@inline
function finish(k: i32, x: usize, query: usize, s0: v128, s1: v128): f32 {
  const tail = k & 3;
  const whole = <usize>(k & ~3) << 2;
  if (k & 4) s0 = madd(v128.load(x + whole - 16), v128.load(query + whole - 16), s0);
  if (tail) s1 = madd(loadTail(x + whole, tail), loadTail(query + whole, tail), s1);
  return sumLanes(f32x4.add(s0, s1));
}
