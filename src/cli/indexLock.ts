import { open, readFile, readlink, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { HostError } from '../errors.ts';
import { delay } from '../hosts/delay.ts';
import { indexPath } from './indexFile.ts';
import { orHostError } from './results.ts';

/** How often the owner shows that it is alive. In milliseconds. */
const HEARTBEAT = 30_000;
/** Without a sign of life for so long, a lock has no owner: longer than a model keeps a process from showing one. In milliseconds. */
const LEASE = 600_000;
/** How long it takes at most to do what takes a moment. In milliseconds. */
const MOMENT = 10_000;
const POLL = 200;

export interface LockOptions {
  readonly signal: AbortSignal;
  /** Told once if another process is at work on the index, before it is waited for. */
  onWait(owner: string): void;
}

/**
 * The right to change the index of a folder, which one process at a time has: a file beside it. A lock whose owner was killed is taken over, at
 * once where the process can be looked for, else when it has shown no sign of life for ten minutes.
 */
export class IndexLock {
  /** Those that this process has or tries to get: another with its number is one that could not be removed. */
  static readonly #held = new Set<string>();

  readonly folder: string;
  readonly #content: string;
  readonly #heartbeat: ReturnType<typeof setInterval>;

  private constructor(folder: string, content: string) {
    this.folder = folder;
    this.#content = content;
    const touch = (): void => {
      const now = new Date();
      utimes(lockPath(folder), now, now).catch(() => {}); // if it is lost, check() tells
    };
    this.#heartbeat = setInterval(touch, HEARTBEAT);
    this.#heartbeat.unref();
  }

  /** Waits for its turn. @throws {HostError} where no file can be written; the signal's reason */
  static async take(folder: string, options: LockOptions): Promise<IndexLock> {
    const content = JSON.stringify({ pid: process.pid, place: await processPlace(), token: Math.random().toString(36).slice(2) });
    IndexLock.#held.add(content);
    try {
      return await IndexLock.#take(folder, content, options);
    } catch (error) {
      IndexLock.#held.delete(content);
      throw error;
    }
  }

  static async #take(folder: string, content: string, { signal, onWait }: LockOptions): Promise<IndexLock> {
    const path = lockPath(folder);
    for (let isTold = false; ; ) {
      signal.throwIfAborted();
      if (await orHostError(path, create(path, content))) return new IndexLock(folder, content);
      const other = await read(path);
      if (!other) continue; // released meanwhile
      if (await isDead(other, IndexLock.#held)) await remove(path, other.content);
      else {
        if (!isTold) onWait(describe(other));
        isTold = true;
        await delay(POLL, signal);
      }
    }
  }

  /** Makes sure that no other process has taken it for dead. @throws {HostError} */
  async check(): Promise<void> {
    const path = lockPath(this.folder);
    if ((await read(path))?.content !== this.#content)
      throw new HostError(`${path}: expected to be the only one who changes this index, found that another process is, too: run it again`);
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    IndexLock.#held.delete(this.#content);
    const path = lockPath(this.folder);
    if ((await read(path))?.content === this.#content) await orHostError(path, rm(path, { force: true }));
  }
}

const lockPath = (folder: string): string => `${indexPath(folder)}.lock`;

interface Found {
  readonly content: string;
  /** Since the last sign of life, in milliseconds. */
  readonly silence: number;
}

/** @returns whether the file is new */
async function create(path: string, content: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx');
    await handle.writeFile(content).finally(() => handle.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function read(path: string): Promise<Found | undefined> {
  try {
    const { mtimeMs } = await stat(path);
    return { content: await readFile(path, 'utf8'), silence: Math.abs(Date.now() - mtimeMs) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HostError(`${path}: expected a readable file, found ${(error as Error).message}: remove it if no dinov2 index is at work`);
  }
}

async function isDead({ content, silence }: Found, own: ReadonlySet<string>): Promise<boolean> {
  const { pid, place } = ownerOf(content);
  if (pid === undefined) return silence > MOMENT; // it was killed between making the file and writing it
  if (silence > LEASE) return true;
  return place === (await processPlace()) && (pid === process.pid ? !own.has(content) : !isRunning(pid));
}

/** Removes a lock, unless it is another by now. Only one process at a time gets to look: it says so by a file. */
async function remove(path: string, content: string): Promise<void> {
  const claim = `${path}.remove`;
  if (!(await orHostError(claim, create(claim, '')))) {
    if (((await read(claim))?.silence ?? 0) > MOMENT) await rm(claim, { force: true });
    else await delay(POLL);
    return;
  }
  try {
    if ((await read(path))?.content === content) await rm(path, { force: true });
  } finally {
    await rm(claim, { force: true });
  }
}

function ownerOf(content: string): { pid?: number; place?: string } {
  try {
    const { pid, place } = JSON.parse(content) as Record<string, unknown>;
    return Number.isSafeInteger(pid) && typeof place === 'string' ? { pid: pid as number, place } : {};
  } catch {
    return {};
  }
}

function describe({ content }: Found): string {
  const { pid } = ownerOf(content);
  return pid === undefined ? 'another process' : `process ${pid}`;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Where numbers of processes mean the same: a machine, or on Linux a container of it. */
async function processPlace(): Promise<string> {
  return `${hostname()} ${await readlink('/proc/self/ns/pid').catch(() => '')}`;
}
