import * as node from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { HostError } from '../errors.ts';
import { delay } from './delay.ts';
import type { Download, DownloadCache, FileSystem, RandomAccess, RemoteFile } from './host.ts';
import { makeFolder } from './makeFolder.ts';
import { removeStale, temporaryName } from './temporary.ts';

/** What of node:fs/promises is used here. */
export type Disk = Pick<
  typeof node,
  'open' | 'readFile' | 'readdir' | 'stat' | 'rename' | 'rm' | 'symlink' | 'link' | 'copyFile' | 'utimes'
>;

/** How often the owner of a download shows that it is alive, and others look. In milliseconds. */
const HEARTBEAT = 1000;
/** Without a sign of life for so long, a download has no owner. In milliseconds. */
const LEASE = 10_000;
const POLL = 200;
/** Bytes that are read at a time. */
const PIECE = 2 ** 20;
/** Ours among the unfinished files of others: those of Python, `<hash>.incomplete` and `<hash>.<random>.incomplete`, are left alone. */
const ENDING = '.dinov2.incomplete';

/**
 * The cache that Python's huggingface_hub has, shared with it (its documentation: "Understand caching"): in the folder of each repository
 * `refs/<revision>` holds a commit, `blobs/<hash>` a content, and `snapshots/<commit>/<path>` is a link to its content.
 *
 * A download is an unfinished file beside the blob. Whoever shows signs of life by its time stamp owns it; one without is taken over by
 * renaming it, which only one of several succeeds in. The finished file is renamed to the blob, so that even two owners at a time do no
 * harm.
 */
export class DiskCache implements DownloadCache {
  readonly name: string;
  readonly #files: FileSystem;
  readonly #disk: Disk;

  constructor(folder: string, files: FileSystem, disk: Disk = node) {
    this.name = folder;
    this.#files = files;
    this.#disk = disk;
  }

  async commitOf(repo: string, revision: string): Promise<string | undefined> {
    const text = await this.#disk.readFile(this.#path(repo, 'refs', revision), 'utf8').catch(() => '');
    return /^[0-9a-f]{40}$/.exec(text.trim())?.[0];
  }

  async setCommit(repo: string, revision: string, commit: string): Promise<void> {
    if ((await this.commitOf(repo, revision)) === commit) return;
    await this.#writing(async () => {
      const writer = await this.#files.create(this.#path(repo, 'refs', revision));
      await writer.write(new TextEncoder().encode(commit));
      await writer.commit();
    });
  }

  list(repo: string, commit: string): Promise<readonly string[]> {
    return this.#files.list(this.#path(repo, 'snapshots', commit)).catch(() => []);
  }

  async open(repo: string, commit: string, path: string): Promise<RandomAccess | undefined> {
    const file = this.#path(repo, 'snapshots', commit, path);
    return (await this.#files.kind(file)) === 'file' ? this.#files.open(file) : undefined;
  }

  async begin(file: RemoteFile, signal?: AbortSignal): Promise<Download | undefined> {
    const blob = this.#path(file.repo, 'blobs', file.hash);
    await this.#writing(() => makeFolder(dirname(blob)));
    const isHere = async (): Promise<boolean> => (await this.#disk.stat(blob).catch(() => undefined))?.size === file.size;
    for (;;) {
      signal?.throwIfAborted();
      if (await isHere()) {
        await this.#writing(() => this.#link(blob, file));
        return undefined;
      }
      const path = await this.#writing(() => this.#claim(blob));
      if (path && !(await isHere())) return this.#open(path, blob, file);
      if (path)
        await this.#disk.rm(path, { force: true }); // finished since the first look, which left no unfinished file to be seen
      else await delay(POLL, signal);
    }
  }

  #open(path: string, blob: string, file: RemoteFile): Promise<Download> {
    return DiskDownload.open(path, {
      disk: this.#disk,
      writing: (work) => this.#writing(work),
      complete: async () => {
        await this.#disk.rename(path, blob);
        await this.#link(blob, file);
      },
    });
  }

  #path(repo: string, ...parts: string[]): string {
    return join(this.name, `models--${repo.replaceAll('/', '--')}`, ...parts);
  }

  /** An unfinished file that is this caller's alone; undefined while there may be one of somebody else. */
  async #claim(blob: string): Promise<string | undefined> {
    const folder = dirname(blob);
    const prefix = `${blob.slice(folder.length + 1)}.`;
    const [name] = (await this.#disk.readdir(folder)).filter((entry) => entry.startsWith(prefix) && entry.endsWith(ENDING)).sort();
    if (name === undefined) {
      const path = `${blob}.0${ENDING}`; // the same for all, so that one of them creates it
      const handle = await this.#disk.open(path, 'wx').catch(unless('EEXIST'));
      await handle?.close();
      return handle && path;
    }
    const found = join(folder, name);
    const stat = await this.#disk.stat(found).catch(unless('ENOENT'));
    if (!stat || Math.abs(Date.now() - stat.mtimeMs) < LEASE) return undefined;
    const path = `${blob}.${Math.random().toString(36).slice(2)}${ENDING}`;
    try {
      const now = new Date();
      await this.#disk.utimes(found, now, now);
      await this.#disk.rename(found, path);
      return path;
    } catch (error) {
      return unless('ENOENT')(error); // somebody else was faster
    }
  }

  /** Makes the blob the content of the file. Where symbolic links are not allowed, as to most users of Windows, it is the file itself. */
  async #link(blob: string, { repo, commit, path }: RemoteFile): Promise<void> {
    const pointer = this.#path(repo, 'snapshots', commit, path);
    await makeFolder(dirname(pointer));
    await removeStale(pointer);
    const temporary = await temporaryName(pointer);
    try {
      await this.#disk.symlink(relative(dirname(pointer), blob), temporary);
    } catch (error) {
      if (!isOneOf(error, ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'])) throw error;
      await this.#disk.link(blob, temporary).catch(() => this.#disk.copyFile(blob, temporary));
    }
    await this.#disk.rename(temporary, pointer);
  }

  async #writing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof HostError) throw error;
      throw new HostError(`${this.name}: expected a cache that can be written, found ${problem(error)}`, { cause: error });
    }
  }
}

interface Parts {
  readonly disk: Disk;
  readonly writing: <T>(work: () => Promise<T>) => Promise<T>;
  /** Renames the file into place. */
  readonly complete: () => Promise<void>;
}

class DiskDownload implements Download {
  readonly #path: string;
  readonly #handle: node.FileHandle;
  readonly #parts: Parts;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #size: number;
  #isOpen = true;
  #isLost = false;

  private constructor(path: string, handle: node.FileHandle, size: number, parts: Parts) {
    this.#path = path;
    this.#handle = handle;
    this.#size = size;
    this.#parts = parts;
    this.#heartbeat = setInterval(() => void this.#touch(), HEARTBEAT);
    this.#heartbeat.unref();
  }

  static async open(path: string, parts: Parts): Promise<DiskDownload> {
    return parts.writing(async () => {
      const handle = await parts.disk.open(path, 'r+');
      return new DiskDownload(path, handle, (await handle.stat()).size, parts);
    });
  }

  get size(): number {
    return this.#size;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(PIECE);
    for (let at = 0; at < this.#size; ) {
      const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(PIECE, this.#size - at), at);
      if (bytesRead === 0) break;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#write(async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#size);
        done += bytesWritten;
        this.#size += bytesWritten;
      }
    });
  }

  clear(): Promise<void> {
    return this.#write(async () => {
      await this.#handle.truncate(0);
      this.#size = 0;
    });
  }

  commit(): Promise<void> {
    return this.#write(async () => {
      await this.#handle.sync();
      await this.#end();
      await this.#parts.complete();
    });
  }

  async release(): Promise<void> {
    if (!this.#isOpen) return;
    await this.#end();
    if (this.#isLost) return;
    if (this.#size === 0) await this.#parts.disk.rm(this.#path, { force: true }).catch(() => {});
    else await this.#parts.disk.utimes(this.#path, 0, 0).catch(() => {}); // nobody has to wait for the lease to end
  }

  async #end(): Promise<void> {
    this.#isOpen = false;
    clearInterval(this.#heartbeat);
    await this.#handle.close();
  }

  async #touch(): Promise<void> {
    const now = new Date();
    await this.#parts.disk.utimes(this.#path, now, now).catch((error: NodeJS.ErrnoException) => {
      this.#isLost ||= this.#isOpen && error.code === 'ENOENT';
    });
  }

  /** @throws {HostError} when it is lost, or cannot be written: then the bytes are given up, which a full disk has need of */
  async #write(work: () => Promise<void>): Promise<void> {
    await this.#parts.writing(async () => {
      if (this.#isLost) throw new HostError(`${this.#path}: expected to go on with it, found that another process does`);
      try {
        await work();
      } catch (error) {
        this.#isLost ||= isOneOf(error, ['ENOENT']);
        if (isOneOf(error, ['ENOSPC', 'EDQUOT'])) {
          await this.#handle.truncate(0).catch(() => {});
          this.#size = 0;
        }
        throw error;
      }
    });
  }
}

function problem(error: unknown): string {
  const { message } = error as Error;
  if (isOneOf(error, ['ENOSPC', 'EDQUOT'])) return `a full disk (${message}): make room, or give another place as cache_dir or HF_HOME`;
  return `${message}: give another place as cache_dir or HF_HOME`;
}

/** For `catch`: undefined in place of an error with this code. */
function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (!isOneOf(error, [code])) throw error;
    return undefined;
  };
}

function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code as string);
}
