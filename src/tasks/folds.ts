import { normals } from '../nn/random.ts';

/**
 * Rows dealt out to so many parts that each class is spread evenly over them: the rows of a class in random order, one to a part in turn.
 * The same seed gives the same parts.
 */
export function stratifiedFolds(classes: readonly number[], count: number, seed: number): number[][] {
  const random = normals(seed, 'folds');
  const shuffled = classes.map((label, row) => ({ label, row, place: random() })).sort((a, b) => a.label - b.label || a.place - b.place);
  const folds: number[][] = Array.from({ length: count }, () => []);
  for (const [i, { row }] of shuffled.entries()) folds[i % count]?.push(row);
  return folds.map((rows) => rows.sort((a, b) => a - b));
}
