// AssemblyScript. Reads memory as fast as this machine gives it through WebAssembly: four streams, a quarter of all each, and next to no arithmetic.
// `bytes` is a multiple of 128.

export function read(x: usize, bytes: usize): i32 {
  const far = bytes >> 2;
  const end = x + far;
  let a = i32x4.splat(0);
  let b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (; x < end; x += 32) {
    a = v128.xor(a, v128.load(x));
    b = v128.xor(b, v128.load(x, 16));
    c = v128.xor(c, v128.load(x + far));
    d = v128.xor(d, v128.load(x + far, 16));
    e = v128.xor(e, v128.load(x + far * 2));
    f = v128.xor(f, v128.load(x + far * 2, 16));
    g = v128.xor(g, v128.load(x + far * 3));
    h = v128.xor(h, v128.load(x + far * 3, 16));
  }
  const abcd = v128.xor(v128.xor(a, b), v128.xor(c, d));
  return i32x4.extract_lane(v128.xor(abcd, v128.xor(v128.xor(e, f), v128.xor(g, h))), 0);
}
