import * as assert from 'uvu/assert';

type Numbers = ArrayLike<number>;

/** Rounding error of one float32 operation, relative. */
export const UNIT = 2 ** -24;

/** The smallest positive float32. */
export const SMALLEST = 2 ** -149;

/** NaN where NaN is expected, the same infinity where one is, else within the bound. */
export function assertWithin(found: Numbers, expected: Numbers, bound: number | ((i: number) => number), what = ''): void {
  assert.is(found.length, expected.length, `${what}: number of elements`);
  for (let i = 0; i < expected.length; i++) {
    const f = found[i] as number;
    const e = expected[i] as number;
    const limit = typeof bound === 'number' ? bound : bound(i);
    if (!Object.is(f, e) && !(Math.abs(f - e) <= limit)) {
      assert.unreachable(`${what} [${i}]: expected ${e}, found ${f}, further off than ${limit}`);
    }
  }
}

/** Within a bound relative to the largest of the numbers expected. */
export function assertWithinOfLargest(found: Numbers, expected: Numbers, relative: number, what = ''): void {
  const largest = Array.from(expected).reduce((top, x) => Math.max(top, Math.abs(x)), 0);
  assertWithin(found, expected, relative * largest, what);
}

/** By how much the errors of two roundings of one computation may differ in the mean without one being worse; 0.60 to 1.04 was seen. */
const CHANCE = 1.1;

/**
 * As close to the exact numbers as the original's in float32: each within `relative` of its exact one or, where large terms cancel and float32 has
 * no digits left for that, no further off than the original is anywhere; in the root mean square no further off than the original. From the original
 * itself within `relative` wherever a number is so large that the errors of both cannot be more.
 */
export function assertAsExactAs(found: Numbers, original: Numbers, exact: Numbers, relative: number, what = ''): void {
  const errors = (of: Numbers): Float64Array => Float64Array.from(exact, (e, i) => Math.abs((of[i] as number) - e));
  const rootMeanSquare = (values: Float64Array): number => Math.hypot(...values) / Math.sqrt(values.length);
  const [own, theirs] = [errors(found), errors(original)];
  const noise = theirs.reduce((top, error) => Math.max(top, error), 0);
  assertWithin(found, exact, (i) => Math.max(relative * Math.abs(exact[i] as number), noise), `${what}, from the exact`);
  const isSure = (i: number): boolean => Math.abs(original[i] as number) * relative >= 2 * noise;
  const sure = [...own.keys()].filter(isSure);
  assert.ok(sure.length > 0, `${what}: numbers above ${noise / relative}`);
  assertWithin(
    sure.map((i) => found[i] as number),
    sure.map((i) => original[i] as number),
    (i) => relative * Math.abs(original[sure[i] as number] as number),
    `${what}, from the original`,
  );
  const [ownMean, theirMean] = [rootMeanSquare(own), rootMeanSquare(theirs)];
  assert.ok(ownMean <= CHANCE * theirMean, `${what}: root mean square of the error ${ownMean}, of the original's ${theirMean}`);
}

/** Equal as numbers, all NaN being one and 0 and -0 too. */
export function assertSame(found: Numbers, expected: Numbers, what = ''): void {
  assertWithin(found, expected, 0, what);
}

const LARGEST = 2 ** 128 - 2 ** 104;

/**
 * Sums of float32 terms, each within so many roundings of the sum of the magnitudes: NaN where a term is or infinities cancel, an infinity where
 * one is among the terms. Where sums on the way may leave float32, something that is no number will do too, but never a wrong number.
 */
export function assertSums(found: Numbers, terms: readonly Numbers[], roundings: number, what = ''): void {
  assert.is(found.length, terms.length, `${what}: number of elements`);
  for (const [i, own] of terms.entries()) {
    const f = found[i] as number;
    let [exact, magnitude] = [0, 0];
    for (let j = 0; j < own.length; j++) {
      exact += own[j] as number;
      if (Number.isFinite(own[j])) magnitude += Math.abs(own[j] as number);
    }
    const mayLeave = magnitude * (1 + roundings * UNIT) > LARGEST;
    const bound = roundings * UNIT * magnitude + own.length * SMALLEST;
    const isRight = Object.is(f, exact) || Math.abs(f - exact) <= bound || (mayLeave && !Number.isFinite(f));
    if (!isRight)
      assert.unreachable(`${what} [${i}]: expected ${exact} of terms ${Array.from(own)}, found ${f}, further off than ${bound}`);
  }
}

/** Equal in every byte. */
export function assertSameBits(found: ArrayBufferView, expected: ArrayBufferView, what = ''): void {
  const f = new Uint8Array(found.buffer, found.byteOffset, found.byteLength);
  const e = new Uint8Array(expected.buffer, expected.byteOffset, expected.byteLength);
  assert.is(f.length, e.length, `${what}: number of bytes`);
  const different = f.findIndex((byte, i) => byte !== e[i]);
  assert.is(different, -1, `${what}: byte ${different}: expected ${e[different]}, found ${f[different]}`);
}

/** Distance to the next float32 above |x|. */
export function ulp(x: number): number {
  return Math.max(2 ** (Math.floor(Math.log2(Math.abs(Math.fround(x)))) - 23), SMALLEST);
}

/** The cosine of the angle between two vectors. */
export function cosine(a: Numbers, b: Numbers): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot / Math.sqrt(aa * bb);
}
