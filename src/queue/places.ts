import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { ArgumentError, ImageError, NetworkError, NotFoundError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { Place } from './request.ts';

/** What a job may have read. */
export interface Allowed {
  /** The folder that paths are in. Without, there are none. */
  readonly root?: string | undefined;
  /** Beginnings of URLs, like https://images.example.com/: origins, or `*` for all. */
  readonly origins: readonly string[];
  /** Of a file. */
  readonly maxBytes: number;
}

const MOST_REDIRECTS = 5;

/**
 * The bytes of a picture.
 * @throws {ArgumentError} for what is not allowed, {NotFoundError} for what is not there, {ImageError} for what is too large, {NetworkError} when a
 * server does not answer as it should; the signal's reason
 */
export async function bytesOf(place: Place, allowed: Allowed, signal: AbortSignal): Promise<Uint8Array> {
  if ('bytes' in place) return decode(place.bytes, allowed);
  return 'path' in place ? read(place.path, allowed) : download(place.url, allowed, signal);
}

function decode(text: string, { maxBytes }: Allowed): Uint8Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0)
    throw new ArgumentError(`bytes: expected base64, found ${describe(text.slice(0, 40))}`);
  checkSize('bytes', (text.length / 4) * 3 - 2, maxBytes);
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** A file that is in the folder in truth, whatever links there are, when it is looked at, and is read from the handle that was looked at. */
async function read(path: string, { root, maxBytes }: Allowed): Promise<Uint8Array> {
  if (root === undefined) throw new ArgumentError(`path: expected none, found ${describe(path)}: this worker was started without --root`);
  if (isAbsolute(path) || path.includes('\0')) throw outside(path);
  const base = await realpath(root);
  // not blocking: a pipe would wait for somebody to write to it
  const handle = await open(join(base, path), constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: Error) => {
    throw leadsOutside(base, join(base, path)) ? outside(path) : notThere(path, cause);
  });
  try {
    const real = await realpath(join(base, path)).catch((cause: Error) => {
      throw notThere(path, cause);
    });
    const [opened, found] = [await handle.stat(), await stat(real)];
    if (leadsOutside(base, real) || opened.dev !== found.dev || opened.ino !== found.ino) throw outside(path);
    if (!opened.isFile()) throw new ImageError(`${path}: expected a file, found something else`);
    checkSize(path, opened.size, maxBytes);
    const bytes = new Uint8Array(opened.size);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length);
      if (bytesRead === 0) break; // it became shorter, which the decoder will tell
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await handle.close();
  }
}

function leadsOutside(base: string, path: string): boolean {
  const way = relative(base, path);
  return isAbsolute(way) || way.split(/[\\/]/)[0] === '..';
}

function outside(path: string): ArgumentError {
  return new ArgumentError(`path: expected a file in the folder of --root, found one that is not: ${describe(path)}`);
}

function notThere(path: string, cause: Error): NotFoundError {
  const { code } = cause as NodeJS.ErrnoException;
  return new NotFoundError(`${path}: expected a readable file in the folder of --root, found ${code ?? 'none'}`, { cause });
}

async function download(text: string, { origins, maxBytes }: Allowed, signal: AbortSignal): Promise<Uint8Array> {
  let url = text;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    checkOrigin(url, origins);
    const response = await fetch(url, { signal, redirect: 'manual' }).catch((cause: Error) => {
      signal.throwIfAborted();
      throw new NetworkError(`${url}: expected an image, found no answer (${cause.message})`, { cause });
    });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) return bodyOf(response, url, maxBytes, signal);
    await response.body?.cancel();
    url = new URL(location, url).href;
  }
  throw new NetworkError(`${text}: expected an image, found more than ${MOST_REDIRECTS} redirects`);
}

function checkOrigin(url: string, origins: readonly string[]): void {
  const { protocol, origin, username, password } = URL.canParse(url) ? new URL(url) : ({} as Partial<URL>);
  const isWeb = (protocol === 'http:' || protocol === 'https:') && !username && !password;
  if (isWeb && (origins.includes('*') || origins.includes(origin as string))) return;
  const expected = origins.length > 0 ? `one of ${origins.join(', ')}` : 'none, for this worker was started without --allow-url';
  throw new ArgumentError(`url: expected ${expected}, found ${describe(url)}`);
}

async function bodyOf({ status, headers, body }: Response, url: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  if (status !== 200) {
    await body?.cancel();
    const Kind = status >= 500 || status === 408 || status === 429 ? NetworkError : NotFoundError;
    throw new Kind(`${url}: expected an image, found HTTP status ${status}`);
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = body?.getReader();
  try {
    checkSize(url, headers.get('content-encoding') ? 0 : Number(headers.get('content-length')), maxBytes);
    for (let piece = await reader?.read(); piece?.value; piece = await reader?.read()) {
      size += piece.value.length;
      checkSize(url, size, maxBytes);
      pieces.push(piece.value);
    }
  } catch (cause) {
    await reader?.cancel().catch(() => {});
    signal.throwIfAborted();
    if (cause instanceof ImageError) throw cause;
    throw new NetworkError(`${url}: expected a whole image, found that the answer broke off`, { cause });
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function checkSize(source: string, size: number, maxBytes: number): void {
  if (size > maxBytes)
    throw new ImageError(`${source}: expected at most ${maxBytes} bytes, found ${size} or more: raise --max-bytes if this is meant`);
}
