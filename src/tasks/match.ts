import { ArgumentError } from '../errors.ts';
import { type Float32, matmul, type Tensor, transpose } from '../tensor/index.ts';
import { normalize } from '../tensor/ops.ts';
import { checkDims } from '../tensor/place.ts';
import { type Patch, type PatchFrame, type Point, patchAt, pointOf } from './frame.ts';

/** The features of a photograph's patches, and where these lie. */
export interface DensePatches {
  /** (rows, columns, width) */
  readonly features: Tensor;
  readonly frame: PatchFrame;
}

/** Two places that look alike, in the pixels of their photographs. */
export interface PatchMatch {
  readonly a: Point;
  readonly b: Point;
  /** The cosine of the angle between the features of the two patches: up to 1. */
  readonly similarity: number;
}

export interface MatchOptions {
  /** Whether places in `b` are found more finely than to a patch, see {@link matchPatches}. Default true. */
  refine?: boolean;
}

/** Rows of similarities that are in memory at a time. */
const BLOCK = 512;

/**
 * Dense correspondences: patches of `a` and `b` that are each other's nearest by the cosine of their features, the most similar first. The
 * place in `a` is the middle of its patch. That in `b` is, unless `refine` is false, where the similarity to the patch of `a` is largest
 * between patches: at the vertex of the parabola through that of the patch and its two neighbours, in each direction; at an edge of the
 * picture it is the middle.
 * @throws {ShapeError} {DTypeError}
 */
export function matchPatches(a: DensePatches, b: DensePatches, { refine = true }: MatchOptions = {}): PatchMatch[] {
  const [inA, inB] = [unitRows(a, 'a'), unitRows(b, 'b')];
  checkDims('features of b', [-1, inA.dims[1] as number], inB.dims);
  const [countA, countB] = [inA.dims[0] as number, inB.dims[0] as number];
  const columnsOfB = transpose(inB);
  const nearestInB = new Int32Array(countA);
  const nearestInA = new Int32Array(countB);
  const largest = new Float32Array(countB).fill(Number.NEGATIVE_INFINITY);
  for (let first = 0; first < countA; first += BLOCK) {
    const { data } = matmul(inA.slice(first, Math.min(countA, first + BLOCK)), columnsOfB); // (block, patches of b)
    for (let i = 0; i * countB < data.length; i++) {
      let [best, at] = [Number.NEGATIVE_INFINITY, 0];
      for (let j = 0; j < countB; j++) {
        const similarity = data[i * countB + j] as number;
        if (similarity > best) [best, at] = [similarity, j];
        if (similarity > (largest[j] as number)) [largest[j], nearestInA[j]] = [similarity, first + i];
      }
      nearestInB[first + i] = at;
    }
  }
  const matches: PatchMatch[] = [];
  for (const [i, j] of nearestInB.entries()) {
    if (nearestInA[j] !== i) continue;
    const feature = inA.at(i).data;
    const patch = patchOf(j, b.frame);
    const place = refine ? refined(inB, b.frame, patch, feature) : patch;
    matches.push({ a: pointOf(a.frame, patchOf(i, a.frame)), b: pointOf(b.frame, place), similarity: dot(feature, inB.at(j).data) });
  }
  return matches.sort((x, y) => y.similarity - x.similarity);
}

/** How alike the patches of `b` are to the one of `a` at a point: cosines (rows, columns). @throws as {@link matchPoint} */
export function similarityMap(a: DensePatches, b: DensePatches, point: Point): Float32 {
  const feature = unitRows(a, 'a').at(indexOf(patchAt(a.frame, point), a.frame)); // (width)
  const inB = unitRows(b, 'b');
  checkDims('features of b', [-1, feature.dims[0] as number], inB.dims);
  return matmul(inB, feature.reshape(-1, 1)).reshape(b.frame.rows, b.frame.columns);
}

/**
 * The place in `b` that looks most like that in `a`, whether or not the likeness is mutual; `a` is the point itself.
 * @throws {ArgumentError} when the point is on no patch; {ShapeError} {DTypeError}
 */
export function matchPoint(a: DensePatches, b: DensePatches, point: Point, { refine = true }: MatchOptions = {}): PatchMatch {
  const { data } = similarityMap(a, b, point);
  const best = data.reduce((at, x, j) => (x > (data[at] as number) ? j : at), 0);
  const patch = patchOf(best, b.frame);
  const feature = unitRows(a, 'a').at(indexOf(patchAt(a.frame, point), a.frame)).data;
  const place = refine ? refined(unitRows(b, 'b'), b.frame, patch, feature) : patch;
  return { a: point, b: pointOf(b.frame, place), similarity: data[best] as number };
}

/**
 * The most similar matches, at most `count`, no two of which are close to each other in `a`: for drawing.
 * @param extent of the photograph `a`, in pixels
 * @throws {ArgumentError}
 */
export function spreadMatches(
  matches: readonly PatchMatch[],
  { count, width, height }: { count: number; width: number; height: number },
): PatchMatch[] {
  if (!(Number.isSafeInteger(count) && count >= 1)) throw new ArgumentError(`count: expected an integer of at least 1, found ${count}`);
  const apart = Math.sqrt((width * height) / count) / 2;
  const chosen: PatchMatch[] = [];
  for (const match of matches) {
    if (chosen.length === count) break;
    if (chosen.every(({ a }) => Math.hypot(a.x - match.a.x, a.y - match.a.y) >= apart)) chosen.push(match);
  }
  return chosen;
}

/** (patches, width), each of length 1 */
function unitRows({ features, frame: { rows, columns } }: DensePatches, name: string): Float32 {
  checkDims(`features of ${name}`, [rows, columns, -1], features.dims);
  return normalize(features.to('float32').reshape(rows * columns, -1));
}

/** Where near a patch the similarity to a feature is largest. */
function refined(rows: Float32, frame: PatchFrame, patch: Patch, feature: Float32Array): Patch {
  const at = (row: number, column: number): number => dot(feature, rows.at(indexOf({ row, column }, frame)).data);
  const { row, column } = patch;
  const middle = at(row, column);
  const down = row > 0 && row < frame.rows - 1 ? vertex(at(row - 1, column), middle, at(row + 1, column)) : 0;
  const across = column > 0 && column < frame.columns - 1 ? vertex(at(row, column - 1), middle, at(row, column + 1)) : 0;
  return { row: row + down, column: column + across };
}

/** Where between -0.5 and 0.5 the parabola through values at -1, 0 and 1, of which the middle one is the largest, has its top. */
function vertex(before: number, middle: number, after: number): number {
  const curvature = before - 2 * middle + after;
  return curvature < 0 ? Math.min(Math.max((before - after) / (2 * curvature), -0.5), 0.5) : 0;
}

function indexOf({ row, column }: Patch, { columns }: PatchFrame): number {
  return row * columns + column;
}

function patchOf(index: number, { columns }: PatchFrame): Patch {
  return { row: Math.floor(index / columns), column: index % columns };
}

function dot(x: Float32Array, y: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] as number) * (y[i] as number);
  return sum;
}
