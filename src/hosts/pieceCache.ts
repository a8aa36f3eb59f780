import { HostError } from '../errors.ts';
import type { Download, DownloadCache, RandomAccess, RemoteFile } from './host.ts';

/** Bytes by name: a Cache of the browser, or an object in memory. */
export interface PieceStore {
  /** For messages. */
  readonly name: string;
  has(key: string): Promise<boolean>;
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
  /** Keys that begin with this. */
  keys(prefix: string): Promise<readonly string[]>;
  /** Runs `work` while nobody else who shares the store runs one of that name. */
  lock?(name: string, work: () => Promise<void>, signal: AbortSignal | undefined): Promise<void>;
}

/** Bytes of a piece: what a download that is broken off loses at most, and a reader holds. */
const PIECE = 8 * 2 ** 20;

/**
 * Downloads in pieces, on hosts without files: `refs/<repo>/<revision>` holds a commit, `blobs/<hash>/<n>` a piece of a content, and
 * `snapshots/<repo>/<commit>/<path>`, which is written when all pieces are there, "<hash> <size>".
 */
export class PieceCache implements DownloadCache {
  readonly name: string;
  readonly #store: PieceStore;
  readonly #piece: number;

  constructor(store: PieceStore, { piece = PIECE }: { piece?: number } = {}) {
    this.name = store.name;
    this.#store = store;
    this.#piece = piece;
  }

  commitOf(repo: string, revision: string): Promise<string | undefined> {
    return this.#text(`refs/${repo}/${revision}`);
  }

  async setCommit(repo: string, revision: string, commit: string): Promise<void> {
    if ((await this.commitOf(repo, revision)) !== commit) await this.#write(`refs/${repo}/${revision}`, commit);
  }

  async list(repo: string, commit: string): Promise<readonly string[]> {
    const folder = `snapshots/${repo}/${commit}/`;
    return (await this.#store.keys(folder)).map((key) => key.slice(folder.length)).filter((path) => !path.includes('/'));
  }

  async open(repo: string, commit: string, path: string): Promise<RandomAccess | undefined> {
    const [hash, size] = (await this.#text(`snapshots/${repo}/${commit}/${path}`))?.split(' ') ?? [];
    if (hash === undefined || !(await this.#isComplete(hash, Number(size)))) return undefined;
    return new PieceFile(`${this.name}: ${repo}/${path}`, Number(size), this.#piece, (n) => this.#store.get(pieceKey(hash, n)));
  }

  async begin(file: RemoteFile, signal?: AbortSignal): Promise<Download | undefined> {
    const unlock = await this.#lock(file, signal);
    const done = () => this.#write(`snapshots/${file.repo}/${file.commit}/${file.path}`, `${file.hash} ${file.size}`);
    try {
      // what is complete under another commit was verified then: only what has this mark counts
      if ((await this.#text(`blobs/${file.hash}`)) === String(file.size) && (await this.#isComplete(file.hash, file.size))) {
        await done();
        unlock();
        return undefined;
      }
      return await PieceDownload.open(file.hash, this.#piece, {
        store: this.#store,
        write: (key, bytes) => this.#put(key, bytes),
        complete: async (size) => {
          await this.#write(`blobs/${file.hash}`, String(size));
          await done();
        },
        unlock,
      });
    } catch (error) {
      unlock();
      throw error;
    }
  }

  async #isComplete(hash: string, size: number): Promise<boolean> {
    for (let n = 0; n * this.#piece < size; n++) if (!(await this.#store.has(pieceKey(hash, n)))) return false; // browsers may evict some
    return true;
  }

  /** @returns what unlocks */
  async #lock({ hash }: RemoteFile, signal: AbortSignal | undefined): Promise<() => void> {
    if (!this.#store.lock) return () => {};
    const { lock } = this.#store;
    return new Promise((resolve, reject) => {
      lock.call(this.#store, hash, () => new Promise<void>((unlock) => resolve(unlock)), signal).catch(reject);
    });
  }

  async #text(key: string): Promise<string | undefined> {
    const bytes = await this.#store.get(key);
    return bytes && new TextDecoder().decode(bytes);
  }

  #write(key: string, text: string): Promise<void> {
    return this.#put(key, new TextEncoder().encode(text));
  }

  async #put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#store.put(key, bytes).catch((cause: Error) => {
      const found = cause.name === 'QuotaExceededError' ? 'that it is full: make room, or pass the files by name' : cause.message;
      throw new HostError(`${this.name}: expected a cache that can be written, found ${found}`, { cause });
    });
  }
}

interface Parts {
  readonly store: PieceStore;
  readonly write: (key: string, bytes: Uint8Array) => Promise<void>;
  readonly complete: (size: number) => Promise<void>;
  readonly unlock: () => void;
}

/** Only whole pieces are kept, except for the last one. */
class PieceDownload implements Download {
  readonly isLost = false;
  readonly #hash: string;
  readonly #parts: Parts;
  readonly #buffer: Uint8Array;
  #pieces: number;
  #filled = 0;

  private constructor(hash: string, piece: number, pieces: number, parts: Parts) {
    this.#hash = hash;
    this.#buffer = new Uint8Array(piece);
    this.#pieces = pieces;
    this.#parts = parts;
  }

  static async open(hash: string, piece: number, parts: Parts): Promise<PieceDownload> {
    let pieces = 0;
    while ((await parts.store.get(pieceKey(hash, pieces)))?.length === piece) pieces += 1;
    return new PieceDownload(hash, piece, pieces, parts);
  }

  get size(): number {
    return this.#pieces * this.#buffer.length + this.#filled;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < this.#pieces; n++) yield (await this.#parts.store.get(pieceKey(this.#hash, n))) ?? new Uint8Array(0);
    yield this.#buffer.subarray(0, this.#filled);
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.subarray(at, at + this.#buffer.length - this.#filled);
      this.#buffer.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === this.#buffer.length) await this.#flush();
    }
  }

  async clear(): Promise<void> {
    for (let n = 0; n < this.#pieces; n++) await this.#parts.store.delete(pieceKey(this.#hash, n));
    this.#pieces = 0;
    this.#filled = 0;
  }

  async commit(): Promise<void> {
    const { size } = this;
    if (this.#filled > 0) await this.#flush();
    await this.#parts.complete(size);
    this.#parts.unlock();
  }

  async release(): Promise<void> {
    this.#parts.unlock();
  }

  async #flush(): Promise<void> {
    await this.#parts.write(pieceKey(this.#hash, this.#pieces), this.#buffer.slice(0, this.#filled));
    this.#pieces += 1;
    this.#filled = 0;
  }
}

class PieceFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #piece: number;
  readonly #get: (n: number) => Promise<Uint8Array | undefined>;
  #number = -1;
  #bytes = new Uint8Array(0);

  constructor(name: string, size: number, piece: number, get: (n: number) => Promise<Uint8Array | undefined>) {
    this.name = name;
    this.size = size;
    this.#piece = piece;
    this.#get = get;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const available = Math.max(0, Math.min(length, this.size - offset));
    if (available < length) throw new HostError(`${this.name}: expected ${length} bytes at ${offset}, found ${available}`);
    const target = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const n = Math.floor((offset + done) / this.#piece);
      const bytes = await this.#load(n);
      const from = offset + done - n * this.#piece;
      const part = bytes.subarray(from, from + length - done);
      if (part.length === 0) throw new HostError(`${this.name}: expected piece ${n} whole, found ${bytes.length} bytes: load it again`);
      target.set(part, done);
      done += part.length;
    }
    return target;
  }

  async close(): Promise<void> {
    this.#number = -1;
    this.#bytes = new Uint8Array(0);
  }

  async #load(n: number): Promise<Uint8Array> {
    if (n !== this.#number) {
      const bytes = await this.#get(n);
      if (!bytes) throw new HostError(`${this.name}: expected piece ${n}, found that the browser has removed it: load it again`);
      this.#bytes = new Uint8Array(bytes);
      this.#number = n;
    }
    return this.#bytes;
  }
}

function pieceKey(hash: string, n: number): string {
  return `blobs/${hash}/${n}`;
}
