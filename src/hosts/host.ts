/** What differs between hosts, and nothing else: everything above this line is written against web standards. */
export interface Host {
  /** The name used in messages: "node", "browser", ... */
  readonly name: string;
  /** Threads over shared memory, where the host has them. */
  readonly threads: Threads | undefined;
  /** Files, where the host has them. */
  readonly files: FileSystem | undefined;
  /** Told of WebAssembly memory that nothing refers to any more, where the host would be slow to see it. */
  released?(bytes: number): void;
  /** Lets other work of the host run: events, timers, other requests. */
  pause(): Promise<void>;
  /** The folder of the demonstration model that comes with the library: a path or URL. */
  readonly embeddedModel: string | URL;
}

/** `simd` runs wherever WebAssembly SIMD does; `relaxed` needs the relaxed SIMD proposal (fused multiply-add). */
export type KernelBuild = 'simd' | 'relaxed';

export interface Threads {
  /** Processors that this process may use. */
  readonly available: number;
  /** Starts `src/runtime/thread.ts`, which gets `data` from {@link received}. A thread does not keep the process alive. */
  start(data: unknown): Thread;
  /** Within a thread: what it was started with. */
  received(): Promise<unknown>;
}

export interface Thread {
  /** Why it ended, if it has without being told to. */
  readonly failure: Error | undefined;
  stop(): void;
}

/** Bytes that can be read at any place: a file, a blob, an array. */
export interface RandomAccess {
  /** For messages: a path or URL. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on. The array may be reused by the next call. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Takes bytes one piece after another; nothing is visible under the final name before `commit`. */
export interface AtomicWriter {
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes and renames into place. */
  commit(): Promise<void>;
  /** Removes what was written. */
  abort(): Promise<void>;
}

export interface FileSystem {
  kind(path: string): Promise<'file' | 'folder' | 'none'>;
  /** Names of what is in a folder, sorted. */
  list(folder: string): Promise<readonly string[]>;
  /** Throws NotFoundError when there is no such file. */
  open(path: string): Promise<RandomAccess>;
  /** Creates the folder of `path` where it is missing. */
  create(path: string): Promise<AtomicWriter>;
  join(...parts: string[]): string;
}
