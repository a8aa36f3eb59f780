// AssemblyScript. The multiply-adds that this machine does at best through WebAssembly: 12 independent chains in registers, no memory.
// Each call makes 12 * 4 * count multiply-adds. The measure against which the matrix product is held.

// @ts-ignore: decorator
@inline
function madd(x: v128, factor: v128, summand: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, factor, summand);
  return f32x4.add(f32x4.mul(x, factor), summand);
}

export function limit(count: i32, start: f32): f32 {
  const factor = f32x4.splat(start * 0.999);
  const summand = f32x4.splat(start * 0.001);
  let a = f32x4.splat(start);
  let b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
  for (let n = 0; n < count; n++) {
    a = madd(a, factor, summand);
    b = madd(b, factor, summand);
    c = madd(c, factor, summand);
    d = madd(d, factor, summand);
    e = madd(e, factor, summand);
    f = madd(f, factor, summand);
    g = madd(g, factor, summand);
    h = madd(h, factor, summand);
    i = madd(i, factor, summand);
    j = madd(j, factor, summand);
    k = madd(k, factor, summand);
    l = madd(l, factor, summand);
  }
  const ab = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  const ef = f32x4.add(f32x4.add(e, f), f32x4.add(g, h));
  const ij = f32x4.add(f32x4.add(i, j), f32x4.add(k, l));
  return f32x4.extract_lane(f32x4.add(ab, f32x4.add(ef, ij)), 0);
}
