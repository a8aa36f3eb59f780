/** Uniform numbers in [0, 1), the same for the same seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Numbers from -size to size. */
export function randomFloats(count: number, seed: number, size = 1): Float32Array<ArrayBuffer> {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * size);
}

/** Any bits: every magnitude, infinities and NaN among them. */
export function randomBits(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = uniform(seed);
  return new Float32Array(Uint32Array.from({ length: count }, () => next() * 2 ** 32).buffer);
}

/** Small integers, whose sums and products are exact, and here and there one of `specials` in their place. */
export function randomIntegers(count: number, seed: number, specials: readonly number[] = []): Float32Array<ArrayBuffer> {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, () => {
    const value = Math.floor(next() * 5) - 2;
    return specials.length > 0 && next() < 0.04 ? (specials[Math.floor(next() * specials.length)] as number) : value;
  });
}

/** Where float32 ends: both zeros, the smallest numbers, those around the smallest normal one, the largest, and what is none. */
const ENDS = [
  ...[
    0,
    -0,
    2 ** -149,
    -(2 ** -149),
    2 ** -140,
    2 ** -126,
    -(2 ** -126),
    2 ** -75,
    1e-38,
    1,
    -1,
    2 ** 63,
    -(2 ** 64),
    2 ** 126,
    -(2 ** 126),
  ],
  ...[3.4028234663852886e38, -3.4028234663852886e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
];

/** Numbers of one magnitude, and one time of so many, from the ends of float32; without `nonFinite`, those that are numbers. */
export function extremeFloats(
  count: number,
  seed: number,
  { one, nonFinite = true }: { one: number; nonFinite?: boolean },
): Float32Array<ArrayBuffer> {
  const next = uniform(seed);
  const ends = nonFinite ? ENDS : ENDS.filter(Number.isFinite);
  const size = 2 ** (Math.floor(next() * 40) - 20);
  const value = (): number => (next() * one < 1 ? (ends[Math.floor(next() * ends.length)] as number) : (2 * next() - 1) * size);
  return Float32Array.from({ length: count }, value);
}
