import { Source } from '../../src/files/source.ts';
import type { RandomAccess } from '../../src/hosts/host.ts';

/** A file in memory that says whether it was closed. */
export class MemoryFile implements RandomAccess {
  readonly name: string;
  readonly #bytes: Uint8Array;
  isClosed = false;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#bytes.slice(offset, offset + length);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** A model of these files. */
export class MemorySource extends Source {
  readonly name = 'memory';
  readonly #files: ReadonlyMap<string, MemoryFile>;

  constructor(...files: readonly MemoryFile[]) {
    super();
    this.#files = new Map(files.map((file) => [file.name, file]));
  }

  async has(name: string): Promise<boolean> {
    return this.#files.has(name);
  }

  async list(): Promise<string[]> {
    return [...this.#files.keys()];
  }

  async open(name: string): Promise<MemoryFile> {
    return this.#files.get(name) as MemoryFile;
  }
}
