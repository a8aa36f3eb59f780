import * as errors from './errors.ts';

/** An error on its way from one thread to another. */
export interface SentError {
  readonly name: string;
  readonly message: string;
}

export function sentError({ name, message }: Error): SentError {
  return { name, message };
}

const CLASSES = new Map<string, new (message: string) => Error>(Object.entries(errors));

/** An error of the same class, if it is one of the library's. */
export function receivedError({ name, message }: SentError): Error {
  return new (CLASSES.get(name) ?? Error)(message);
}
