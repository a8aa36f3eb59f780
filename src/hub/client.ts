import { AccessError, IntegrityError, NetworkError, NotFoundError } from '../errors.ts';
import { describe, isJsonObject, parseJson } from '../files/json.ts';
import { staysInside } from '../files/source.ts';
import { delay } from '../hosts/delay.ts';
import type { RemoteFile } from '../hosts/host.ts';

/** How often a request is made in vain before it is given up. */
const ATTEMPTS = 5;
/** Longest wait that a server may ask for, in milliseconds. */
const MAX_WAIT = 60_000;
const MAX_DESCRIPTION = 64 * 2 ** 20;

/** A repository at one commit. */
export interface Repository {
  /** 40 hexadecimal digits. */
  readonly commit: string;
  readonly files: ReadonlyMap<string, RemoteFile>;
}

export interface ClientOptions {
  readonly endpoint: string;
  readonly token?: string | undefined;
  /** Before the second attempt; twice that before each further one. In milliseconds. */
  readonly retryDelay?: number;
  /** How long to wait for the next byte. In milliseconds. */
  readonly patience?: number;
}

/** Why a request failed that may succeed when it is made again. */
class Failure extends Error {
  /** When the server wants to be asked again, in milliseconds from now. */
  readonly wait: number | undefined;

  constructor(problem: string, { wait, cause }: { wait?: number | undefined; cause?: unknown } = {}) {
    super(problem, { cause });
    this.wait = wait;
  }
}

/**
 * The hub's HTTP interface, as far as models are read through it. What fails for a time is tried again, with growing pauses, and goes on
 * where it broke off.
 *
 * Methods throw NotFoundError, AccessError, NetworkError, IntegrityError, and the signal's reason.
 */
export class HubClient {
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #retryDelay: number;
  readonly #patience: number;

  constructor({ endpoint, token, retryDelay = 500, patience = 30_000 }: ClientOptions) {
    this.#endpoint = endpoint;
    this.#token = token;
    this.#retryDelay = retryDelay;
    this.#patience = patience;
  }

  /** What is in a repository at a branch, tag or commit. */
  async describe(repo: string, revision: string, { signal, attempts = ATTEMPTS }: DescribeOptions = {}): Promise<Repository> {
    const url = `${this.#endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const retries = this.#retries(url, attempts, signal);
    for (;;) {
      try {
        const bytes: Uint8Array[] = [];
        let size = 0;
        for await (const piece of this.#get(url, { repo, revision, what: 'the description of a model', signal })) {
          size += piece.length;
          if (size > MAX_DESCRIPTION) throw new IntegrityError(`${url}: expected at most ${MAX_DESCRIPTION} bytes, found more`);
          bytes.push(piece);
        }
        return readDescription(repo, url, concatenate(bytes, size));
      } catch (error) {
        await retries.after(error);
      }
    }
  }

  /** The bytes of a file from `from` on. All of them, or an error. */
  async *read(file: RemoteFile, from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { repo, commit, path, size } = file;
    const url = `${this.#endpoint}/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
    const retries = this.#retries(url, ATTEMPTS, signal);
    for (let at = from; at < size; ) {
      try {
        for await (const piece of this.#get(url, { repo, revision: commit, what: path, range: { at, size }, signal })) {
          if (at + piece.length > size) throw new IntegrityError(`${url}: expected ${size} bytes, found more`);
          at += piece.length;
          retries.reset();
          yield piece;
        }
        if (at < size) throw new Failure(`the end after ${at} of ${size} bytes`);
      } catch (error) {
        await retries.after(error);
      }
    }
  }

  /** The body of one answer. @throws {Failure} too */
  async *#get(url: string, asked: Asked): AsyncGenerator<Uint8Array> {
    const { range, signal } = asked;
    signal?.throwIfAborted();
    const request = new AbortController();
    const abort = (): void => request.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    const within = async <T>(work: Promise<T>): Promise<T> => {
      const timer = setTimeout(() => request.abort(new Failure(`no byte for ${this.#patience / 1000} s`)), this.#patience);
      try {
        return await work;
      } catch (cause) {
        signal?.throwIfAborted();
        if (request.signal.reason instanceof Failure) throw request.signal.reason;
        throw new Failure(`no answer (${reasonOf(cause)})`, { cause });
      } finally {
        clearTimeout(timer);
      }
    };
    try {
      const headers = {
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        ...(range && range.at > 0 && { range: `bytes=${range.at}-` }),
      };
      const response = await within(fetch(url, { headers, signal: request.signal }));
      this.#check(response, url, asked);
      let skip = range && response.status === 200 ? range.at : 0; // a server that knows no ranges
      const reader = response.body?.getReader();
      for (;;) {
        const { done, value } = (await within(reader?.read() ?? Promise.resolve({ done: true as const, value: undefined }))) ?? {};
        if (done || !value) return;
        const piece = value.subarray(Math.min(skip, value.length));
        skip -= value.length - piece.length;
        if (piece.length > 0) yield piece;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      request.abort();
    }
  }

  #check(response: Response, url: string, { repo, revision, what, range }: Asked): void {
    const { status, headers } = response;
    const says = (headers.get('x-error-message') ?? '').slice(0, 200);
    const found = `HTTP status ${status}${says && ` (${says})`}`;
    if (status === 401 || status === 403) {
      const advice = this.#token === undefined ? 'set HF_TOKEN or give the option token' : 'check that the token may read it';
      throw new AccessError(
        `${url}: expected ${what}, found ${found}: the model ${repo} does not exist, or is private or gated: check its name, ` +
          `accept its conditions on ${this.#endpoint}/${repo}, ${advice}`,
      );
    }
    if (status === 404) {
      throw new NotFoundError(`${url}: expected ${what}, found ${found}: check the name ${repo} and the revision ${describe(revision)}`);
    }
    if (status === 408 || status === 429 || status >= 500) throw new Failure(found, { wait: waitOf(headers.get('retry-after')) });
    if (status !== 200 && !(status === 206 && range)) throw new NetworkError(`${url}: expected ${what}, found ${found}`);
    if (/^text\/html\b/i.test(headers.get('content-type') ?? '')) {
      throw new IntegrityError(
        `${url}: expected ${what}, found a web page: a development server, login page or proxy answers in place of the hub: check HF_ENDPOINT`,
      );
    }
    if (range) checkLength(response, url, range);
  }

  #retries(url: string, most: number, signal: AbortSignal | undefined): { reset(): void; after(error: unknown): Promise<void> } {
    let attempts = 0;
    return {
      reset: () => {
        attempts = 0;
      },
      after: async (error) => {
        if (!(error instanceof Failure)) throw error;
        attempts += 1;
        const { message, wait = this.#retryDelay * 2 ** (attempts - 1), cause } = error;
        if (attempts >= most || wait > MAX_WAIT) {
          const when = wait > MAX_WAIT ? `and to be asked again in ${Math.ceil(wait / 1000)} s` : `${attempts} times`;
          throw new NetworkError(`${url}: expected an answer, found ${message}, ${when}: check the connection, or try later`, { cause });
        }
        await delay(wait, signal);
      },
    };
  }
}

export interface DescribeOptions {
  readonly signal?: AbortSignal | undefined;
  /** How often to ask at most. */
  readonly attempts?: number;
}

interface Asked {
  readonly repo: string;
  readonly revision: string;
  /** For messages. */
  readonly what: string;
  /** From which byte on, of how many. */
  readonly range?: { readonly at: number; readonly size: number };
  readonly signal: AbortSignal | undefined;
}

/** Before the first byte is taken: whether it can be the file. */
function checkLength({ status, headers }: Response, url: string, { at, size }: { at: number; size: number }): void {
  const refuse = (expected: string, found: string): IntegrityError =>
    new IntegrityError(`${url}: expected ${expected}, found ${found}: something between the hub and here changes it`);
  if (status === 206) {
    const [, from, all] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
    if (from !== undefined && Number(from) !== at) throw refuse(`bytes from ${at} on`, `bytes from ${from} on`);
    if (all !== undefined && Number(all) !== size) throw refuse(`${size} bytes`, `${all} bytes`);
    return;
  }
  const length = headers.get('content-encoding') === null ? headers.get('content-length') : null; // of what is compressed
  if (length !== null && Number(length) !== size) throw refuse(`${size} bytes`, `${length} bytes`);
}

/** @throws {IntegrityError} unless it is as the hub gives it */
function readDescription(repo: string, url: string, bytes: Uint8Array): Repository {
  const refuse = (problem: string): IntegrityError => new IntegrityError(`${url}: expected the description of a model, found ${problem}`);
  const fields = parseJson(bytes, (problem) => refuse(`no JSON (${problem}): check HF_ENDPOINT`));
  const { sha, siblings } = isJsonObject(fields) ? fields : {};
  if (!isHash(sha, 40) || !Array.isArray(siblings)) throw refuse(describe(fields));
  const files = new Map<string, RemoteFile>();
  for (const entry of siblings as unknown[]) {
    const { rfilename: path, size, blobId, lfs } = isJsonObject(entry) ? entry : {};
    if (typeof path !== 'string' || !staysInside(path)) throw refuse(`a file ${describe(path)}`);
    const large = isJsonObject(lfs) ? lfs : undefined;
    const hash = large ? large.sha256 : blobId;
    const bytesOfFile = large ? large.size : size;
    if (!isHash(hash, large ? 64 : 40) || !Number.isSafeInteger(bytesOfFile) || (bytesOfFile as number) < 0) {
      throw refuse(`${describe(path)} with hash ${describe(hash)} and size ${describe(bytesOfFile)}`);
    }
    files.set(path, { repo, commit: sha, path, size: bytesOfFile as number, hash });
  }
  return { commit: sha, files };
}

function isHash(value: unknown, digits: number): value is string {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);
}

/** Milliseconds, out of seconds or a date. */
function waitOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  const wait = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message ? cause.message : message;
}

function concatenate(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
