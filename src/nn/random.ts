/** Independent standard normal numbers, the same for the same seed and name. */
export function normals(seed: number, name: string): () => number {
  const uniform = uniforms(seed, name);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    // Marsaglia's polar method
    for (;;) {
      const u = 2 * uniform() - 1;
      const v = 2 * uniform() - 1;
      const s = u * u + v * v;
      if (s > 0 && s < 1) {
        const factor = Math.sqrt((-2 * Math.log(s)) / s);
        spare = v * factor;
        return u * factor;
      }
    }
  };
}

/** Bound of the truncated normal numbers. */
const BOUND = 2;

/**
 * Normal numbers with this standard deviation, those beyond -2 and 2 drawn again, as `torch.nn.init.trunc_normal_` with its default bounds.
 */
export function truncatedNormal(count: number, deviation: number, seed: number, name: string): Float32Array<ArrayBuffer> {
  const next = deviation < BOUND ? narrow(deviation, seed, name) : wide(deviation, seed, name);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = next();
  return values;
}

/** By rejection from the normal distribution, of which two thirds or more lie within the bound. */
function narrow(deviation: number, seed: number, name: string): () => number {
  const normal = normals(seed, name);
  return () => {
    let value = normal() * deviation;
    while (Math.abs(value) > BOUND) value = normal() * deviation;
    return value;
  };
}

/** By rejection from the uniform distribution, which the normal one within the bound comes close to. */
function wide(deviation: number, seed: number, name: string): () => number {
  const uniform = uniforms(seed, name);
  const draw = (): number => (2 * uniform() - 1) * BOUND;
  return () => {
    let value = draw();
    while (uniform() > Math.exp(-((value / deviation) ** 2) / 2)) value = draw();
    return value;
  };
}

/** Numbers uniform in [0, 1), the same for the same seed and name: Chris Doty-Humphrey's sfc32 (PractRand). */
export function uniforms(seed: number, name: string): () => number {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = fnv1a(name);
  let counter = 1;
  const next = (): number => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
