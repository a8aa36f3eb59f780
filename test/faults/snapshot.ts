import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What is in a folder: the hash of each file, the target of each link, by its path. */
export type Snapshot = ReadonlyMap<string, string>;

export function snapshotOf(folder: string): Snapshot {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  return new Map(
    entries
      .map((entry): [string, string] => {
        const path = join(entry.parentPath ?? entry.path, entry.name);
        const content = entry.isSymbolicLink() ? `-> ${readlinkSync(path)}` : createHash('sha1').update(readFileSync(path)).digest('hex');
        return [relative(folder, path), content];
      })
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Names of files that are at work: not to be seen by anybody, and gone after the next run. */
const AT_WORK = /\.(tmp|incomplete|journal|lock|remove)$/;

export interface Expected {
  readonly before: Snapshot;
  readonly after: Snapshot;
  /** Files that belong together, the last of which tells that they are whole: while they are replaced, it is missing. */
  readonly sets: readonly (readonly string[])[];
}

/** What is lost in a folder where a write was interrupted: each file has to be as before or as after, each set as a whole. */
export function lossesIn(folder: string, { before, after, sets }: Expected): string[] {
  const now = snapshotOf(folder);
  const keys = new Set(sets.map((set) => set.at(-1)));
  const losses: string[] = [];
  for (const path of before.keys()) if (!now.has(path) && !(keys.has(path) && after.has(path))) losses.push(`${path} is gone`);
  for (const [path, content] of now) {
    const isWhole = content === before.get(path) || content === after.get(path);
    if (!isWhole && !AT_WORK.test(path)) losses.push(`${path} is neither as before nor as after`);
  }
  for (const set of sets) {
    const [key] = set.slice(-1) as [string];
    if (!now.has(key)) continue; // told to be none
    for (const state of [before, after]) if (set.every((path) => now.get(path) === state.get(path))) return losses;
    losses.push(`${set.join(', ')} are of two kinds`);
  }
  return losses;
}

/** What differs from what should be there after a run that succeeded, files that were to be cleared away included. */
export function differencesIn(folder: string, after: Snapshot): string[] {
  const now = snapshotOf(folder);
  return [...new Set([...after.keys(), ...now.keys()])]
    .filter((path) => after.get(path) !== now.get(path))
    .map((path) => `${path} ${!now.has(path) ? 'is missing' : after.has(path) ? 'has another content' : 'was left behind'}`);
}
