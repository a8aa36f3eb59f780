import { readdir, readlink, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/**
 * The name of a file that is to become `path`, which is nobody else's. It says whose it is, `<path>.<place>.<process>.<random>.tmp`: what a process
 * leaves behind that was killed is removed by {@link removeStale}.
 */
export async function temporaryName(path: string): Promise<string> {
  return `${path}.${await place()}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
}

/** Removes files with temporary names for `path` of processes of this place that are no more. What cannot be removed stays. */
export async function removeStale(path: string): Promise<void> {
  const start = `${basename(path)}.${await place()}.`;
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    const [, pid] = (name.startsWith(start) && /^(\d+)\.[a-z0-9]+\.tmp$/.exec(name.slice(start.length))) || [];
    if (pid !== undefined && !isRunning(Number(pid))) await rm(join(dirname(path), name), { force: true }).catch(() => {});
  }
}

/** Where numbers of processes mean the same: a machine, or on Linux a container of it. */
async function place(): Promise<string> {
  const text = `${hostname()} ${await readlink('/proc/self/ns/pid').catch(() => '')}`;
  return Array.from(text)
    .reduce((hash, c) => (Math.imul(hash, 31) + (c.codePointAt(0) as number)) >>> 0, 0)
    .toString(36);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'; // another user's
  }
}
