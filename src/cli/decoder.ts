import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ArgumentError } from '../errors.ts';
import { describe } from '../files/json.ts';
import { type Decoder, decodeOf } from '../image/decoder.ts';

/** A decoder of the user, and which files of a folder it reads beside PNG and JPEG: endings of their names. */
export interface OwnDecoder extends Decoder {
  readonly extensions: readonly string[];
}

/**
 * The decoder in a JavaScript file, which exports a function `decode`, and if it reads more than PNG and JPEG an array `extensions`.
 * @throws {ArgumentError} when the file is not there, does not run, or has no such function
 */
export async function openDecoder(file: string): Promise<OwnDecoder> {
  const module = pathToFileURL(resolve(file)).href;
  const exports = await import(module).catch((cause: Error) => {
    throw new ArgumentError(`${file}: expected a JavaScript module with a decoder, found one that cannot be loaded: ${cause.message}`, {
      cause,
    });
  });
  const { extensions = [] } = exports as { extensions?: unknown };
  if (!(Array.isArray(extensions) && extensions.every((one) => typeof one === 'string' && /^\w+$/.test(one)))) {
    throw new ArgumentError(`${file}: expected extensions as an array of endings like "webp", found ${describe(extensions)}`);
  }
  return { module, decode: decodeOf(exports, file), extensions };
}
