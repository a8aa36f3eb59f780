import { ArgumentError } from './errors.ts';
import { describe } from './files/json.ts';

/**
 * Refuses an option that a function does not take, which is more often a slip of the pen than a wish.
 * @throws {ArgumentError} naming it and those there are
 */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new ArgumentError(`${where}: expected options ${known.join(', ')}, found ${JSON.stringify(unknown)}`);
}

/** Throws {@link ArgumentError} naming the option unless it is a whole number of at least 1. */
export function checkCount(option: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return;
  throw new ArgumentError(`${option}: expected an integer of at least 1, found ${describe(value)}`);
}

/** Throws {@link ArgumentError} unless it is an AbortSignal, of any realm, or undefined. */
export function checkSignal(value: unknown): AbortSignal | undefined {
  const signal = value as AbortSignal | undefined;
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw new ArgumentError(`signal: expected an AbortSignal, found ${describe(value)}`);
  }
  return signal;
}

/**
 * Bytes: "5GB" is 5 * 10^9 and "5GiB" 5 * 2^30, as in transformers.
 * @throws {ArgumentError} naming the option
 */
export function parseSize(option: string, size: number | string): number {
  const [, amount, unit = '', binary] = /^(\d+(?:\.\d+)?) ?([KMG])(i?)B$/i.exec(String(size)) ?? [];
  const power = 'KMG'.indexOf(unit.toUpperCase()) + 1;
  const bytes = typeof size === 'number' ? size : Number(amount) * (binary ? 1024 : 1000) ** power;
  if (!(bytes >= 1))
    throw new ArgumentError(`${option}: expected a number of bytes, or text like "5GB" or "200MiB", found ${describe(size)}`);
  return bytes;
}
