import { fstatSync, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { HostError, NotFoundError } from '../errors.ts';
import { DiskCache } from './diskCache.ts';
import type { AtomicWriter, Downloads, FileSystem, Helper, HelperScript, Helpers, Host, RandomAccess, Thread, Threads } from './host.ts';
import { makeFolder } from './makeFolder.ts';
import { removeStale, temporaryName } from './temporary.ts';

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A thread whose end is known when its event has come. */
export class NodeThread implements Thread {
  protected readonly worker: Worker | undefined;
  #stopped = false;
  #failure: Error | undefined;

  constructor(data: unknown) {
    try {
      this.worker = startWorker('runtime/thread.js', data);
    } catch (error) {
      this.#failure = error as Error; // a bundle whose script of threads is not where it should be
      return;
    }
    this.worker.unref();
    this.worker.once('error', (error: Error) => {
      this.#failure = error;
    });
    this.worker.once('exit', (code) => this.hasEnded(new Error(`it exited with code ${code}`)));
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  stop(): void {
    this.#stopped = true;
    void this.worker?.terminate();
  }

  protected hasEnded(why: Error): void {
    if (!this.#stopped) this.#failure ??= why;
  }
}

/** And at once: of a thread that has ended Node says that its loop was idle for -1 (src/node_worker.cc, `LoopIdleTime`). */
class WatchedThread extends NodeThread {
  look(): void {
    const { idle = 0 } = this.worker?.performance.eventLoopUtilization() ?? {};
    if (idle < 0) this.hasEnded(new Error('it was ended'));
  }
}

function startWorker(script: 'runtime/thread.js' | HelperScript, data?: unknown): Worker {
  const url = new URL(`../../dist/${script}`, import.meta.url); // from src/ and from dist/: threads have no TypeScript loader
  return new Worker(url, { workerData: data, execArgv: [] });
}

const threads: Threads = {
  available: availableParallelism(),
  start: (data) => new WatchedThread(data),
  async received() {
    await pause(); // its loop has begun then, of which `look` hears
    return workerData;
  },
};

class NodeHelper implements Helper {
  hasStarted = false;
  #worker: Worker | undefined;
  #failure: Error | undefined;
  #asked: { resolve(value: unknown): void; reject(reason: Error): void } | undefined;

  constructor(script: HelperScript) {
    try {
      this.#worker = startWorker(script);
    } catch (error) {
      this.#failure = error as Error;
      return;
    }
    this.#worker.unref();
    this.#worker.on('message', (value: unknown) => {
      if (this.hasStarted) this.#asked?.resolve(value);
      this.hasStarted = true;
    });
    this.#worker.on('error', (error: Error) => this.#ended(error));
    this.#worker.on('exit', (code) => this.#ended(new Error(`it exited with code ${code}`)));
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  async ask(question: unknown): Promise<unknown> {
    if (!this.#worker || this.#failure) throw this.#failure;
    this.#worker.ref();
    try {
      return await new Promise((resolve, reject) => {
        this.#asked = { resolve, reject };
        this.#worker?.postMessage(question);
      });
    } finally {
      this.#asked = undefined;
      this.#worker.unref();
    }
  }

  async stop(): Promise<void> {
    this.#ended(new Error('it was stopped'));
    await this.#worker?.terminate();
  }

  #ended(why: Error): void {
    this.#failure ??= why;
    this.#asked?.reject(this.#failure);
  }
}

const helpers: Helpers = {
  start: (script) => new NodeHelper(script),
  answer(respond) {
    parentPort?.on('message', async (question: unknown) => {
      const { value, transfer } = await respond(question);
      parentPort?.postMessage(value, transfer);
    });
    parentPort?.postMessage('started');
  },
};

/** Bytes that are read at a time at least: each question is a round trip to a thread of the host, and most tensors are small. */
const READ_AHEAD = 2 ** 19;

class NodeFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #changed: number;
  readonly #handle: FileHandle;
  #buffer = new Uint8Array(0);
  /** Where in the file the buffer begins, and how many bytes of it are there. */
  #from = 0;
  #held = 0;

  private constructor(name: string, { size, mtimeMs }: Stats, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#changed = mtimeMs;
    this.#handle = handle;
  }

  static async open(path: string): Promise<NodeFile> {
    const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
      throw new NotFoundError(`${path}: expected a readable file, found ${cause.code === 'ENOENT' ? 'none' : cause.message}`, { cause });
    });
    return new NodeFile(path, await handle.stat(), handle);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const skipped = offset - this.#from;
    if (skipped < 0 || skipped + length > this.#held) await this.#look(offset, length);
    return this.#buffer.subarray(offset - this.#from, offset - this.#from + length);
  }

  /**
   * Reads on from what is held. Bytes are good only if nobody has written to the file since it was opened; a file that took its name does not
   * matter.
   */
  async #look(offset: number, length: number): Promise<void> {
    const skipped = offset - this.#from;
    const kept = skipped < 0 ? 0 : Math.max(0, this.#held - skipped);
    const end = Math.max(length, Math.min(kept + READ_AHEAD, this.size - offset));
    const buffer = this.#buffer.length < end ? new Uint8Array(end) : this.#buffer;
    if (kept > 0) buffer.set(this.#buffer.subarray(skipped, this.#held));
    this.#buffer = buffer;
    this.#held = 0; // should the file fail
    for (let done = kept; done < end; ) {
      const { bytesRead } = await this.#handle.read(buffer, done, end - done, offset + done);
      if (bytesRead === 0) {
        throw new HostError(
          `${this.name}: expected ${length} bytes at ${offset}, found ${done}: the file became shorter while it was read`,
        );
      }
      done += bytesRead;
    }
    const { size, mtimeMs } = fstatSync(this.#handle.fd); // of an open file the system knows it: a round trip to a thread would take longer
    if (size !== this.size || mtimeMs !== this.#changed) {
      throw new HostError(`${this.name}: expected the file that was opened, found that it was written to while it was read: open it again`);
    }
    this.#from = offset;
    this.#held = end;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

class NodeWriter implements AtomicWriter {
  #path: string;
  #temporary: string;
  #handle: FileHandle;

  constructor(path: string, temporary: string, handle: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  write(bytes: Uint8Array): Promise<void> {
    return writing(this.#path, () => this.#handle.writeFile(bytes));
  }

  commit(): Promise<void> {
    return writing(this.#path, async () => {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#temporary, this.#path);
    });
  }

  async abort(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#temporary, { force: true }).catch(() => {}); // then the next to write the file does it
  }
}

/** @throws {HostError} what the system says, with what to do */
async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const advice = code === 'ENOSPC' || code === 'EDQUOT' ? 'make room, or write elsewhere' : 'write elsewhere';
    throw new HostError(`${path}: expected a place that can be written, found ${message}: ${advice}`, { cause: error });
  }
}

/** By the system, by Node's permission model, or by Deno's. */
function isForbidden({ code, name }: NodeJS.ErrnoException): boolean {
  return ['EACCES', 'EPERM', 'ERR_ACCESS_DENIED'].includes(code ?? '') || name === 'NotCapable' || name === 'PermissionDenied';
}

const files: FileSystem = {
  async kind(path) {
    const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
      if (!isForbidden(cause)) return undefined;
      throw new HostError(
        `${path}: expected leave to read it, found none (${cause.message}): change its permissions, or those of the program (Deno: --allow-read, Node with --permission: --allow-fs-read)`,
        { cause },
      );
    });
    return found?.isDirectory() ? 'folder' : found ? 'file' : 'none';
  },
  async list(folder) {
    return (await readdir(folder)).sort();
  },
  open: (path) => NodeFile.open(path),
  create: (path) =>
    writing(path, async () => {
      await makeFolder(dirname(path));
      await removeStale(path);
      const temporary = await temporaryName(path);
      return new NodeWriter(path, temporary, await open(temporary, 'wx'));
    }),
  remove: (path) => writing(path, () => rm(path, { force: true })),
  join,
};

// The same place from src/ and from dist/. A bundle in CommonJS knows no URL of its own.
const embeddedModel = import.meta.url ? fileURLToPath(new URL('../../weights', import.meta.url)) : 'weights';

const downloads: Downloads = {
  setting(name) {
    try {
      return process.env[name] || undefined;
    } catch {
      return undefined; // Deno without --allow-env
    }
  },
  cache: (place) => new DiskCache(place, files),
  async hash(algorithm) {
    const { createHash } = await import('node:crypto'); // the slowest import of all, which most processes never need
    const hash = createHash(algorithm);
    return { update: (bytes) => hash.update(bytes), digest: () => hash.digest('hex') };
  },
};

/** Times the bytes of a memory that V8 has to hear of before it looks: with less, Node 26 kept a dozen models that were disposed of. */
const PRESSURE = 4;

/**
 * V8 does not count WebAssembly memory when it decides whether to collect garbage, but it does count arrays: these cost nothing, for pages that
 * are never touched are never there.
 */
function released(bytes: number): void {
  try {
    for (let i = 0; i < PRESSURE; i++) new ArrayBuffer(bytes);
  } catch {} // more than the host has addresses for: it has collected its garbage before it said so
}

export const host: Host = { name: 'node', threads, helpers, files, downloads, released, pause, embeddedModel };
