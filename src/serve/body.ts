import { describe, isJsonObject, parseJson } from '../files/json.ts';
import { ProblemError } from './problems.ts';

export interface BodyLimits {
  /** In bytes. */
  readonly maxBody: number;
  /** From the header to the last byte, in milliseconds. */
  readonly bodyTime: number;
}

/** The types of bodies that have an image in them, as they stand in the description of the service. */
export const BODY_TYPES = ['image/*', 'application/octet-stream', 'multipart/form-data', 'application/json'] as const;

/**
 * The bytes of the image that a request brings: the body itself, the field `image` of a form, or base64 in the field `image` of JSON.
 * @throws {ProblemError} when it is too large, too slow, or none of these; the signal's reason
 */
export async function readImage(request: Request, { maxBody, bodyTime }: BodyLimits, signal: AbortSignal): Promise<Uint8Array> {
  const type = request.headers.get('content-type') ?? '';
  const read = readerOf(type.split(';')[0]?.trim().toLowerCase() ?? '');
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (!read || encoding !== 'identity') {
    const found = read ? `content-encoding ${describe(encoding)}` : type ? `content-type ${describe(type)}` : 'no content-type';
    throw new ProblemError('UnsupportedMediaType', `body: expected one of ${BODY_TYPES.join(', ')}, uncompressed, found ${found}`, {
      accept: BODY_TYPES.join(', '),
      'accept-encoding': 'identity',
    });
  }
  const bytes = await readBody(request, { maxBody, bodyTime }, signal);
  const image = await read(bytes, type);
  if (image.length > 0) return image;
  throw new ProblemError('InvalidBody', 'image: expected the bytes of a PNG or JPEG file, found none');
}

type Reader = (bytes: Uint8Array<ArrayBuffer>, type: string) => Uint8Array | Promise<Uint8Array>;

function readerOf(type: string): Reader | undefined {
  if (type === 'application/json') return fromJson;
  if (type === 'multipart/form-data') return fromForm;
  return type.startsWith('image/') || type === 'application/octet-stream' ? (bytes) => bytes : undefined;
}

function fromJson(bytes: Uint8Array): Uint8Array {
  const fields = parseJson(bytes, (problem) => new ProblemError('InvalidBody', `body: ${problem}`));
  const image = isJsonObject(fields) ? fields.image : undefined;
  if (!isJsonObject(fields) || typeof image !== 'string' || Object.keys(fields).length > 1) {
    throw new ProblemError('InvalidBody', `body: expected {"image": "..."} with the file in base64, found ${describe(fields)}`);
  }
  return fromBase64(image.replace(/^data:image\/[\w.+-]+;base64,/, ''));
}

function fromBase64(text: string): Uint8Array {
  let characters: string;
  try {
    characters = atob(text);
  } catch {
    throw new ProblemError('InvalidBody', `image: expected a file in base64, found ${describe(text)}`);
  }
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

async function fromForm(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<Uint8Array> {
  const form = await new Response(bytes, { headers: { 'content-type': type } }).formData().catch((cause: Error) => {
    throw new ProblemError('InvalidBody', `body: expected multipart/form-data as its content-type says, found another (${cause.message})`);
  });
  const image = form.get('image');
  if (image !== null && typeof image !== 'string') return new Uint8Array(await image.arrayBuffer());
  const found = image === null ? `fields ${describe([...form.keys()])}` : 'a text';
  throw new ProblemError('InvalidBody', `body: expected a file in the field "image" of the form, found ${found}`);
}

async function readBody(request: Request, { maxBody, bodyTime }: BodyLimits, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBody) throw tooLarge(maxBody);
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array();
  let failure: Error | undefined;
  const stop = (reason: Error): void => {
    failure ??= reason;
    void reader.cancel().catch(() => {}); // what waits for more gets the end
  };
  const late = new ProblemError('RequestTimeout', `body: expected its end within ${bodyTime / 1000} s, found that more was to come`);
  const timer = setTimeout(stop, bodyTime, late);
  const onAbort = (): void => stop(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read().catch((cause: Error) => {
        throw failure ?? new ProblemError('ClientClosedRequest', `body: expected its end, found none (${cause.message})`);
      });
      if (failure) throw failure;
      if (done) return joined(pieces, size);
      size += value.length;
      if (size > maxBody) {
        stop(tooLarge(maxBody));
        throw failure;
      }
      pieces.push(value);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function tooLarge(maxBody: number): ProblemError {
  return new ProblemError('BodyTooLarge', `body: expected at most ${maxBody} bytes, found more`);
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
