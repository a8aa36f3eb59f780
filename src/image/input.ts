import { host } from '#host';
import { ArgumentError, HostError, ImageError, NotFoundError } from '../errors.ts';
import { pathOf } from '../files/source.ts';

/** Where the bytes of an image file are: a path, a URL (http:, https:, data:, blob:, file:), or the bytes. */
export type FileInput = string | URL | Blob | ArrayBuffer | Uint8Array;

export interface SourceBytes {
  readonly bytes: Uint8Array;
  /** What messages call it. */
  readonly source: string;
}

/**
 * @throws {NotFoundError} when there is nothing at the path or URL
 * @throws {ImageError} when there is a folder
 * @throws {ArgumentError} for anything that is no source of bytes
 */
export async function readBytes(input: FileInput): Promise<SourceBytes> {
  if (input instanceof Uint8Array) return { bytes: input, source: 'bytes' };
  if (input instanceof ArrayBuffer) return { bytes: new Uint8Array(input), source: 'bytes' };
  if (input instanceof Blob)
    return { bytes: new Uint8Array(await input.arrayBuffer()), source: input instanceof File ? input.name : 'blob' };
  if (typeof input !== 'string' && !(input instanceof URL)) {
    throw new ArgumentError(
      `image: expected a path, URL, Blob, bytes, ImageData or RawImage, found ${Object.prototype.toString.call(input).slice(8, -1)}`,
    );
  }
  const text = String(input);
  if (/^(https?|data|blob):/i.test(text)) return download(text);
  return readFile(/^file:/i.test(text) ? pathOf(text) : text);
}

async function readFile(path: string): Promise<SourceBytes> {
  const { files } = host;
  if (!files)
    throw new HostError(`${host.name}: expected a host with files for ${path}, found none: pass the image as a URL, Blob or bytes`);
  if ((await files.kind(path)) === 'folder') throw new ImageError(`${path}: expected a PNG or JPEG file, found a folder`);
  const file = await files.open(path);
  try {
    return { bytes: await file.read(0, file.size), source: path };
  } finally {
    await file.close();
  }
}

async function download(url: string): Promise<SourceBytes> {
  const source = url.length > 80 ? `${url.slice(0, 77)}...` : url;
  const response = await fetch(url).catch((cause: Error) => {
    throw new NotFoundError(
      `${source}: expected an image, found no answer (${cause.message}): see whether the server runs and CORS and the content security policy (connect-src) allow it, or pass the bytes`,
      {
        cause,
      },
    );
  });
  if (!response.ok) throw new NotFoundError(`${source}: expected an image, found HTTP status ${response.status}`);
  return { bytes: new Uint8Array(await response.arrayBuffer()), source };
}
