/** The 16-bit floats by their definition: all values in a table, rounding by search. */

/** sign (-1)^s, exponent e of `exponentBits` bits, mantissa m: 2^(e - bias) (1 + m / 2^bits), or 2^(1 - bias) m / 2^bits for e = 0. */
function table(exponentBits: number): Float64Array {
  const mantissaBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  return Float64Array.from({ length: 65536 }, (_, half) => {
    const sign = half >= 32768 ? -1 : 1;
    const exponent = (half >> mantissaBits) % 2 ** exponentBits;
    const fraction = (half % 2 ** mantissaBits) / 2 ** mantissaBits;
    if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
  });
}

/** The value of each of the 65536 halves. */
export const HALVES = { float16: table(5), bfloat16: table(8) } as const;

const INFINITE = { float16: 0x7c00, bfloat16: 0x7f80 } as const;

/** The half nearest to x; of two as near the one whose last bit is 0, infinity counting as the next number behind the largest. Not for NaN. */
export function nearestHalf(dtype: keyof typeof HALVES, x: number): number {
  const infinity = INFINITE[dtype];
  const values = HALVES[dtype].slice(0, infinity + 1);
  values[infinity] = 2 * (values[infinity - 1] as number) - (values[infinity - 2] as number);
  const magnitude = Math.abs(x);
  let low = 0;
  let high: number = infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((values[middle] as number) <= magnitude) low = middle;
    else high = middle;
  }
  const below = magnitude - (values[low] as number);
  const above = (values[high] as number) - magnitude;
  const half = below < above || (below === above && low % 2 === 0) ? low : high;
  return (x < 0 || Object.is(x, -0) ? 32768 : 0) + half;
}
