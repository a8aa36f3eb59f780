import { host } from '#host';
import { ArgumentError, Dinov2Error, HostError, ImageError, NotFoundError } from '../errors.ts';
import { pathOf } from '../files/source.ts';
import { checkLimit, type Limits, within } from '../limits.ts';
import { checkSignal } from '../options.ts';

/** Where the bytes of an image file are: a path, a URL (http:, https:, data:, blob:, file:), or the bytes. */
export type FileInput = string | URL | Blob | ArrayBuffer | Uint8Array;

export interface SourceBytes {
  readonly bytes: Uint8Array;
  /** What messages call it. */
  readonly source: string;
}

/** Seconds that a server is waited for, unless `limits.seconds` says otherwise. */
const PATIENCE = 60;

interface ReadBytesOptions {
  readonly limits?: Limits | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws {NotFoundError} when there is nothing at the path or URL
 * @throws {LimitError} when there is more than `limits.imageBytes`, or when it takes longer than `limits.seconds`
 * @throws {ImageError} when there is a folder
 * @throws {ArgumentError} for anything that is no source of bytes
 */
export async function readBytes(input: FileInput, options: ReadBytesOptions = {}): Promise<SourceBytes> {
  const { limits } = options;
  if (input instanceof Uint8Array) return { bytes: input, source: 'bytes' };
  if (input instanceof ArrayBuffer) return { bytes: new Uint8Array(input), source: 'bytes' };
  if (input instanceof Blob) {
    const source = input instanceof File ? input.name : 'blob';
    checkBytes(source, limits, input.size);
    return { bytes: new Uint8Array(await input.arrayBuffer()), source };
  }
  if (typeof input !== 'string' && !(input instanceof URL)) {
    throw new ArgumentError(
      `image: expected a path, URL, Blob, bytes, ImageData or RawImage, found ${Object.prototype.toString.call(input).slice(8, -1)}`,
    );
  }
  const text = String(input);
  if (/^(https?|data|blob):/i.test(text)) return download(text, options);
  return readFile(/^file:/i.test(text) ? pathOf(text) : text, limits);
}

async function readFile(path: string, limits: Limits | undefined): Promise<SourceBytes> {
  const { files } = host;
  if (!files)
    throw new HostError(`${host.name}: expected a host with files for ${path}, found none: pass the image as a URL, Blob or bytes`);
  if ((await files.kind(path)) === 'folder') throw new ImageError(`${path}: expected a PNG or JPEG file, found a folder`);
  const file = await files.open(path);
  try {
    checkBytes(path, limits, file.size);
    return { bytes: await file.read(0, file.size), source: path };
  } finally {
    await file.close();
  }
}

async function download(url: string, { limits, signal }: ReadBytesOptions): Promise<SourceBytes> {
  const source = url.length > 80 ? `${url.slice(0, 77)}...` : url;
  const time = { limits: { ...limits, seconds: limits?.seconds ?? PATIENCE }, signal: checkSignal(signal) };
  return within(source, time, async (late) => {
    const response = await fetch(url, late && { signal: late }).catch((cause: Error) => {
      late?.throwIfAborted();
      throw new NotFoundError(
        `${source}: expected an image, found no answer (${cause.message}): see whether the server runs and CORS and the content security policy (connect-src) allow it, or pass the bytes`,
        {
          cause,
        },
      );
    });
    try {
      if (!response.ok) throw new NotFoundError(`${source}: expected an image, found HTTP status ${response.status}`);
      return { bytes: await bodyOf(response, source, limits), source };
    } catch (cause) {
      await response.body?.cancel().catch(() => {});
      late?.throwIfAborted();
      if (cause instanceof Dinov2Error) throw cause;
      throw new NotFoundError(`${source}: expected a whole image, found that the answer broke off (${(cause as Error).message})`, {
        cause,
      });
    }
  });
}

/** @throws {LimitError} before more than the limit is taken, whatever the server says of the length */
async function bodyOf({ headers, body }: Response, source: string, limits: Limits | undefined): Promise<Uint8Array> {
  if (!headers.get('content-encoding')) checkBytes(source, limits, Number(headers.get('content-length')));
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = body?.getReader();
  for (let piece = await reader?.read(); piece?.value; piece = await reader?.read()) {
    size += piece.value.length;
    checkBytes(source, limits, size);
    pieces.push(piece.value);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function checkBytes(source: string, limits: Limits | undefined, bytes: number): void {
  checkLimit(source, 'imageBytes', limits, 'the file of a picture of * bytes', bytes);
}
