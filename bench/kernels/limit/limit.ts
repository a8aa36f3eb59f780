// AssemblyScript. The multiply-adds that this machine does at best through WebAssembly: independent chains, no memory to speak of. Each call makes
// 12 * 4 * count multiply-adds of floats, twice as many of pairs of 16 bits, four times as many of bytes. The measure against which the matrix
// products are held.

// @ts-ignore: decorator
@inline
function madd(x: v128, factor: v128, summand: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, factor, summand);
  return f32x4.add(f32x4.mul(x, factor), summand);
}

export function floats(count: i32, start: f32): f32 {
  return ASC_FEATURE_RELAXED_SIMD ? fused(count, start) : unfused(count, start);
}

/** 12 chains. */
function fused(count: i32, start: f32): f32 {
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

const INPUTS = memory.data<f32>([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);

/** 8 chains, 4 inputs by 2 weights from one place in the first-level cache: a sum then waits for a sum only, and V8 of Node 20 has registers enough. */
function unfused(count: i32, start: f32): f32 {
  let a = f32x4.splat(start), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (let n = 0; n < count * 3; n += 2) {
    const w = v128.load(INPUTS);
    const v = v128.load(INPUTS, 16);
    let x = v128.load32_splat(INPUTS);
    a = madd(x, w, a);
    b = madd(x, v, b);
    x = v128.load32_splat(INPUTS, 4);
    c = madd(x, w, c);
    d = madd(x, v, d);
    x = v128.load32_splat(INPUTS, 8);
    e = madd(x, w, e);
    f = madd(x, v, f);
    x = v128.load32_splat(INPUTS, 12);
    g = madd(x, w, g);
    h = madd(x, v, h);
  }
  const ab = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  return f32x4.extract_lane(f32x4.add(ab, f32x4.add(f32x4.add(e, f), f32x4.add(g, h))), 0);
}

// @ts-ignore: decorator
@inline
function addPairs(x: v128, w: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(x, w), x);
}

export function pairs(count: i32, start: i32): i32 {
  const w = i16x8.splat(<i16>start);
  let a = i32x4.splat(start);
  let b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
  for (let n = 0; n < count; n++) {
    a = addPairs(a, w);
    b = addPairs(b, w);
    c = addPairs(c, w);
    d = addPairs(d, w);
    e = addPairs(e, w);
    f = addPairs(f, w);
    g = addPairs(g, w);
    h = addPairs(h, w);
    i = addPairs(i, w);
    j = addPairs(j, w);
    k = addPairs(k, w);
    l = addPairs(l, w);
  }
  return sum(a, b, c, d, e, f, g, h, i, j, k, l);
}

// @ts-ignore: decorator
@inline
function addBytes(x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, x);
  return x;
}

/** Of the relaxed build only. */
export function bytes(count: i32, start: i32): i32 {
  const w = i8x16.splat(<i8>start);
  let a = i32x4.splat(start);
  let b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
  for (let n = 0; n < count; n++) {
    a = addBytes(a, w);
    b = addBytes(b, w);
    c = addBytes(c, w);
    d = addBytes(d, w);
    e = addBytes(e, w);
    f = addBytes(f, w);
    g = addBytes(g, w);
    h = addBytes(h, w);
    i = addBytes(i, w);
    j = addBytes(j, w);
    k = addBytes(k, w);
    l = addBytes(l, w);
  }
  return sum(a, b, c, d, e, f, g, h, i, j, k, l);
}

function sum(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, i: v128, j: v128, k: v128, l: v128): i32 {
  const ab = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
  const ef = i32x4.add(i32x4.add(e, f), i32x4.add(g, h));
  const ij = i32x4.add(i32x4.add(i, j), i32x4.add(k, l));
  return i32x4.extract_lane(i32x4.add(ab, i32x4.add(ef, ij)), 0);
}
