import { ArgumentError } from './errors.ts';

/**
 * Refuses an option that a function does not take, which is more often a slip of the pen than a wish.
 * @throws {ArgumentError} naming it and those there are
 */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new ArgumentError(`${where}: expected options ${known.join(', ')}, found ${JSON.stringify(unknown)}`);
}
