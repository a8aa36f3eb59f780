/** Writes the gradient at x and returns the value there. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface MinimizeOptions {
  /** Where it starts; not changed. */
  start: Float64Array;
  /** The largest component of the gradient at which it ends. Default 1e-6. */
  tolerance?: number;
  /** Default 1000. */
  maxIterations?: number;
  /** Called, and waited for, after each iteration; what it throws ends the work. */
  onIteration?: (iteration: number, value: number) => void | Promise<void>;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  readonly iterations: number;
  /** Whether the gradient is within the tolerance, or the value can be made no smaller in float64. */
  readonly isConverged: boolean;
}

/** Steps that are remembered. */
const MEMORY = 10;
/** Of Wolfe's conditions: how much of the decrease that the slope promises there must be, how much of the slope may be left. */
const DECREASE = 1e-4;
const SLOPE = 0.9;
/** Of a value, relative. */
const ROUNDING = 1e-14;
/** Halvings and doublings of a step after which none is found that float64 can tell apart. */
const MAX_TRIALS = 60;

interface Point {
  readonly x: Float64Array;
  readonly gradient: Float64Array;
  readonly value: number;
}

/** A step and how it changed the gradient. */
interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** 1 / (step . change) */
  readonly rho: number;
}

/**
 * The minimum of a smooth function, by L-BFGS (Nocedal and Wright, "Numerical Optimization", algorithm 7.5) with a line search for the weak
 * Wolfe conditions by bisection (Lewis and Overton 2013, "Nonsmooth optimization via quasi-Newton methods"). The same start gives the same
 * steps.
 */
export async function minimize(
  objective: Objective,
  { start, tolerance = 1e-6, maxIterations = 1000, onIteration }: MinimizeOptions,
): Promise<Minimum> {
  const at = (x: Float64Array): Point => {
    const gradient = new Float64Array(x.length);
    return { x, gradient, value: objective(x, gradient) };
  };
  let point = at(start.slice());
  const pairs: Pair[] = [];
  for (let iteration = 0; ; iteration++) {
    const isDone = largest(point.gradient) <= tolerance;
    if (isDone || iteration === maxIterations) return { x: point.x, value: point.value, iterations: iteration, isConverged: isDone };
    const next = search(
      at,
      point,
      direction(point.gradient, pairs),
      pairs.length > 0 ? 1 : 1 / Math.sqrt(dot(point.gradient, point.gradient)),
    );
    if (!next) return { x: point.x, value: point.value, iterations: iteration, isConverged: true };
    const step = difference(next.x, point.x);
    const change = difference(next.gradient, point.gradient);
    const curvature = dot(step, change);
    if (curvature > 0) pairs.push({ step, change, rho: 1 / curvature });
    if (pairs.length > MEMORY) pairs.shift();
    point = next;
    await onIteration?.(iteration + 1, point.value);
  }
}

/** -H gradient, where H approximates the inverse of the Hessian: the two-loop recursion. */
function direction(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const q = gradient.map((x) => -x);
  const alphas: number[] = [];
  for (const { step, change, rho } of pairs.toReversed()) {
    const alpha = rho * dot(step, q);
    alphas.unshift(alpha);
    addScaled(q, -alpha, change);
  }
  const last = pairs.at(-1);
  if (last) scale(q, 1 / (last.rho * dot(last.change, last.change)));
  for (const [i, { step, change, rho }] of pairs.entries()) addScaled(q, (alphas[i] as number) - rho * dot(change, q), step);
  return q;
}

/** A point along the direction that meets the weak Wolfe conditions, if there is one. */
function search(at: (x: Float64Array) => Point, from: Point, along: Float64Array, first: number): Point | undefined {
  const slope = dot(from.gradient, along);
  if (!(slope < 0)) return undefined;
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  let length = first;
  for (let trial = 0; trial < MAX_TRIALS; trial++) {
    const x = from.x.slice();
    addScaled(x, length, along);
    const point = at(x);
    const left = dot(point.gradient, along);
    if (!isLower(point.value, from.value, { length, slope, left })) high = length;
    else if (left < SLOPE * slope) low = length;
    else return point;
    length = high === Number.POSITIVE_INFINITY ? 2 * low : (low + high) / 2;
  }
  return undefined;
}

/**
 * Whether a step has decreased the value enough. Near the minimum, where values differ by no more than their rounding, the slope tells it,
 * to the square of the precision (Hager and Zhang 2005, "A new conjugate gradient method", the approximate Wolfe conditions).
 */
function isLower(
  value: number,
  before: number,
  { length, slope, left }: { readonly length: number; readonly slope: number; readonly left: number },
): boolean {
  if (value <= before + DECREASE * length * slope) return true;
  return value - before <= ROUNDING * Math.abs(before) && left <= (2 * DECREASE - 1) * slope;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function addScaled(to: Float64Array, factor: number, x: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + factor * (x[i] as number);
}

function scale(x: Float64Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i] = (x[i] as number) * factor;
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((x, i) => x - (b[i] as number));
}

function largest(x: Float64Array): number {
  return x.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
}
