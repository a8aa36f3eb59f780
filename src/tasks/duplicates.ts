import { ArgumentError } from '../errors.ts';
import { linear, type Tensor } from '../tensor/index.ts';
import { checkDims } from '../tensor/place.ts';
import { unitRows } from './unitRows.ts';

/** Rows compared at a time. */
const BLOCK = 512;

/**
 * Features (n, width) that are nearly the same: groups of rows in which each is linked to another by a cosine similarity of at least
 * `threshold` (default 0.95), rows in order, groups by their first. Rows like no other are in none. All pairs are compared.
 * @throws {ShapeError} {ArgumentError}
 */
export function duplicates(features: Tensor, { threshold = 0.95 }: { threshold?: number } = {}): number[][] {
  checkDims('features', [-1, -1], features.dims);
  if (!(threshold > -1 && threshold <= 1)) throw new ArgumentError(`threshold: expected a number above -1, at most 1, found ${threshold}`);
  const rows = unitRows(features.to('float32'));
  const count = rows.dims[0] as number;
  const parents = Array.from({ length: count }, (_, i) => i); // of groups that are joined, the first row leads
  const leader = (row: number): number => {
    let at = row;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at] as number] as number;
      at = parents[at] as number;
    }
    return at;
  };
  for (let a = 0; a < count; a += BLOCK) {
    const left = rows.slice(a, Math.min(count, a + BLOCK));
    for (let b = a; b < count; b += BLOCK) {
      const scores = linear(left, rows.slice(b, Math.min(count, b + BLOCK))); // (rows from a, rows from b)
      const { data } = scores;
      const columns = scores.dims[1] as number;
      for (let i = 0; i < data.length; i++) {
        if ((data[i] as number) < threshold) continue;
        const [x, y] = [a + Math.floor(i / columns), b + (i % columns)];
        if (x >= y) continue;
        const [p, q] = [leader(x), leader(y)];
        parents[Math.max(p, q)] = Math.min(p, q);
      }
    }
  }
  const groups = new Map<number, number[]>();
  for (let row = 0; row < count; row++) groups.set(leader(row), [...(groups.get(leader(row)) ?? []), row]);
  return [...groups.values()].filter((group) => group.length > 1);
}
