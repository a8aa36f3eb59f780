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

/** The values from 0 up to the largest, and behind it, in the place of infinity, the next one. */
function magnitudes(values: Float64Array): Float64Array {
  const infinity = values.indexOf(Number.POSITIVE_INFINITY);
  const finite = values.slice(0, infinity + 1);
  finite[infinity] = 2 * (finite[infinity - 1] as number) - (finite[infinity - 2] as number);
  return finite;
}

const MAGNITUDES = { float16: magnitudes(HALVES.float16), bfloat16: magnitudes(HALVES.bfloat16) } as const;

/** The half nearest to x; of two as near the even one, infinity counting as the next number behind the largest. Not for NaN. */
export function nearestHalf(dtype: keyof typeof HALVES, x: number): number {
  const values = MAGNITUDES[dtype];
  const magnitude = Math.abs(x);
  let low = 0;
  let high = values.length - 1;
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
