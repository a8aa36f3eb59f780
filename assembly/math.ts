/**
 * exp, erf and what is made of them, four numbers at a time. The constants were fitted for this file: minimax by iteratively reweighted
 * least squares on Chebyshev nodes in float64, then rounded to float32. NaN in, NaN out; infinities as in IEEE arithmetic.
 */
import { madd } from './simd';

/**
 * Constants stand in memory, from where one load spreads them over a vector: V8 builds a vector constant anew, in three instructions, at
 * each use.
 */
// @ts-ignore: decorator
@inline
export function at(table: usize, index: usize): v128 {
  return v128.load32_splat(table + (index << 2));
}

/** x held between the numbers at table[index] and table[index + 1]; NaN stays. (pmin and pmax are one instruction, min and max several.) */
// @ts-ignore: decorator
@inline
function clamp(x: v128, table: usize, index: usize): v128 {
  return f32x4.pmin(f32x4.pmax(x, at(table, index)), at(table, index + 1));
}

// prettier-ignore
const EXP = memory.data<f32>([
  -88, 89, // beyond them 0 and infinity
  1.4426950408889634, // 1 / ln 2
  12583039, // 1.5 2^23 + 127: added to n, it leaves the exponent of 2^n in the lowest bits
  -0.693359375, 0.00021219444, // -ln 2 in two parts, the first of so few bits that n times it is exact
  1, 0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.008368716575205326, 0.0013814597623422742,
]);

/**
 * e^x, within 2 ulp. n = round(x / ln 2) and r = x - n ln 2 in [-ln 2 / 2, ln 2 / 2] give 2^n p(r), p of degree 6 (relative error 3e-9
 * before rounding). 0 below -87.7, infinity above 88.4.
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const y = clamp(x, EXP, 0);
  const biased = madd(y, at(EXP, 2), at(EXP, 3));
  const n = f32x4.sub(biased, at(EXP, 3));
  const r = madd(n, at(EXP, 5), madd(n, at(EXP, 4), y));
  let p = madd(at(EXP, 11), r, at(EXP, 10));
  p = madd(p, r, at(EXP, 9));
  p = madd(p, r, at(EXP, 8));
  p = madd(p, r, at(EXP, 7));
  p = madd(p, r, at(EXP, 6));
  p = madd(p, r, at(EXP, 6));
  return f32x4.mul(p, i32x4.shl(biased, 23));
}

// prettier-ignore
const ERF = memory.data<f32>([
  -4, 4, -1, 1,
  1.1283791065216064, 0.19040657579898834, 0.052748747169971466, 0.003765624249354005, 0.0002848833682946861, 2.050092234640033e-6,
  0.5020761489868164, 0.11410916596651077, 0.014969230629503727, 0.001162538188509643, 3.8091802707640454e-5,
]);

/**
 * erf(x) = (2 / sqrt pi) integral of e^(-t^2) from 0 to x, within 4e-7. x p(x^2) / q(x^2), both of degree 5, fitted to |x| <= 3.92
 * (relative error 2e-8 before rounding), beyond which it is 1 in float32; at 4 the quotient is above 1 however it is rounded, so that large
 * numbers give 1 exactly.
 */
// @ts-ignore: decorator
@inline
export function erf(x: v128): v128 {
  const y = clamp(x, ERF, 0);
  const t = f32x4.mul(y, y);
  let p = madd(at(ERF, 9), t, at(ERF, 8));
  let q = madd(at(ERF, 14), t, at(ERF, 13));
  p = madd(p, t, at(ERF, 7));
  q = madd(q, t, at(ERF, 12));
  p = madd(p, t, at(ERF, 6));
  q = madd(q, t, at(ERF, 11));
  p = madd(p, t, at(ERF, 5));
  q = madd(q, t, at(ERF, 10));
  p = madd(p, t, at(ERF, 4));
  q = madd(q, t, at(ERF, 3));
  return clamp(f32x4.div(f32x4.mul(y, p), q), ERF, 2);
}

// prettier-ignore
const FACTORS = memory.data<f32>([
  0.5, 1, 2, 0.7071067811865476, 0.7978845608028654, 0.044715, 1.702, 1.0507009873554805, 1.7580993408473766,
]);
const HALF: usize = 0;
const ONE: usize = 1;
const TWO: usize = 2;
const SQRT_HALF: usize = 3;
const SQRT_2_PI: usize = 4; // sqrt(2 / pi)
const GELU_CUBE: usize = 5;
const QUICK: usize = 6;
const SELU_SCALE: usize = 7;
const SELU_NEGATIVE: usize = 8; // scale alpha

/** 1 / (1 + e^-x) */
// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  return f32x4.div(at(FACTORS, ONE), f32x4.add(at(FACTORS, ONE), exp(f32x4.neg(x))));
}

/** tanh(x) = 2 sigmoid(2 x) - 1, within 2e-7 absolute. */
// @ts-ignore: decorator
@inline
export function tanh(x: v128): v128 {
  return f32x4.sub(f32x4.mul(sigmoid(f32x4.mul(x, at(FACTORS, TWO))), at(FACTORS, TWO)), at(FACTORS, ONE));
}

/** x (1 + erf(x / sqrt 2)) / 2, the exact GELU (Hendrycks and Gimpel 2016). */
// @ts-ignore: decorator
@inline
export function gelu(x: v128): v128 {
  const half = f32x4.mul(x, at(FACTORS, HALF));
  return madd(half, erf(f32x4.mul(x, at(FACTORS, SQRT_HALF))), half);
}

/** x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: transformers' gelu_new and gelu_pytorch_tanh. */
// @ts-ignore: decorator
@inline
export function geluTanh(x: v128): v128 {
  const cube = f32x4.mul(f32x4.mul(x, x), x);
  const inner = f32x4.mul(at(FACTORS, SQRT_2_PI), madd(cube, at(FACTORS, GELU_CUBE), x));
  const half = f32x4.mul(x, at(FACTORS, HALF));
  return madd(half, tanh(inner), half);
}

/** x sigmoid(1.702 x) */
// @ts-ignore: decorator
@inline
export function quickGelu(x: v128): v128 {
  return f32x4.mul(x, sigmoid(f32x4.mul(x, at(FACTORS, QUICK))));
}

/** x sigmoid(x) */
// @ts-ignore: decorator
@inline
export function silu(x: v128): v128 {
  return f32x4.div(x, f32x4.add(at(FACTORS, ONE), exp(f32x4.neg(x))));
}

/** max(x, 0) */
// @ts-ignore: decorator
@inline
export function relu(x: v128): v128 {
  return f32x4.pmax(x, f32x4.splat(0));
}

/** scale (x if x > 0 else alpha (e^x - 1)), with the constants of Klambauer et al. 2017. */
// @ts-ignore: decorator
@inline
export function selu(x: v128): v128 {
  const negative = f32x4.mul(f32x4.sub(exp(x), at(FACTORS, ONE)), at(FACTORS, SELU_NEGATIVE));
  return v128.bitselect(f32x4.mul(x, at(FACTORS, SELU_SCALE)), negative, f32x4.gt(x, f32x4.splat(0)));
}
