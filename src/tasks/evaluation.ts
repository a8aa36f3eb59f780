import { ArgumentError } from '../errors.ts';

/** How a classifier does on one class. */
export interface ClassEvaluation {
  readonly label: string;
  /** Pictures of it. */
  readonly count: number;
  /** Of the pictures classified as it, how many are: 0 to 1, or NaN where there are none. */
  readonly precision: number;
  /** Of its pictures, how many are classified as it: 0 to 1, or NaN where there are none. */
  readonly recall: number;
}

export interface Evaluation {
  /** Of all pictures, how many are classified right: 0 to 1. */
  readonly accuracy: number;
  /** The mean of the recall of the classes that have pictures. */
  readonly balancedAccuracy: number;
  /** How many pictures of each class, one a row, are classified as each class, one a column. */
  readonly confusion: readonly (readonly number[])[];
  readonly classes: readonly ClassEvaluation[];
}

/**
 * How well classes were found.
 * @param truth the class of each picture, from 0
 * @param found the class it was given
 * @param labels names of the classes
 * @throws {ArgumentError} when there are no pictures, or not as many of both
 */
export function evaluate(truth: readonly number[], found: readonly number[], labels: readonly string[]): Evaluation {
  if (truth.length === 0 || truth.length !== found.length) {
    throw new ArgumentError(`found: expected a class for each of one or more pictures, found ${found.length} for ${truth.length}`);
  }
  const confusion = labels.map(() => labels.map(() => 0));
  for (const [i, label] of truth.entries()) {
    const row = confusion[label];
    const column = found[i] as number;
    if (row?.[column] === undefined)
      throw new ArgumentError(`picture ${i}: expected classes from 0 to ${labels.length - 1}, found ${label}, ${column}`);
    row[column] += 1;
  }
  const at = (row: number, column: number): number => confusion[row]?.[column] as number;
  const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  const classes = labels.map((label, k) => {
    const count = total(confusion[k] as number[]);
    return { label, count, precision: at(k, k) / total(confusion.map((row) => row[k] as number)), recall: at(k, k) / count };
  });
  const seen = classes.filter(({ count }) => count > 0);
  return {
    accuracy: total(labels.map((_, k) => at(k, k))) / truth.length,
    balancedAccuracy: total(seen.map(({ recall }) => recall)) / seen.length,
    confusion,
    classes,
  };
}
