import type { AtomicWriter } from '../hosts/host.ts';
import { fileSystem } from './source.ts';

export interface OutputFile {
  readonly path: string;
  write(writer: AtomicWriter): Promise<void>;
}

/**
 * Writes files that belong together: they take their final names, in the order given, when all of them are complete. The last is the one without
 * which the others are of no use, and is removed before others take their names: whoever is interrupted there leaves nothing that is half old and
 * half new. After an error while writing none of them is there, nor any part of one.
 * @throws {HostError} on a host without files, and naming a place that cannot be written
 */
export async function writeFiles(files: readonly OutputFile[]): Promise<void> {
  const system = fileSystem();
  const pending: AtomicWriter[] = [];
  try {
    for (const { path, write } of files) {
      const writer = await system.create(path);
      pending.push(writer);
      await write(writer);
    }
    const last = files.at(-1);
    if (last && files.length > 1) await system.remove(last.path);
    for (; pending[0]; pending.shift()) await pending[0].commit();
  } catch (error) {
    for (const writer of pending) await writer.abort();
    throw error;
  }
}

/** A JSON file as Python writes it for transformers: two spaces, keys sorted, a line feed at the end. */
export function jsonFile(path: string, value: unknown): OutputFile {
  const text = `${JSON.stringify(value, (_, part) => sortKeys(part), 2)}\n`;
  return { path, write: (writer) => writer.write(new TextEncoder().encode(text)) };
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
