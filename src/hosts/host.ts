/** What differs between hosts, and nothing else: everything above this line is written against web standards. */
export interface Host {
  /** The name used in messages: "node", "browser", ... */
  readonly name: string;
  /** Threads over shared memory, where the host has them. */
  readonly threads: Threads | undefined;
  /** Threads that share nothing, where the host has them. */
  readonly helpers?: Helpers;
  /** Files, where the host has them. */
  readonly files: FileSystem | undefined;
  /** Told of WebAssembly memory that nothing refers to any more, where the host would be slow to see it. */
  released?(bytes: number): void;
  /** Lets other work of the host run: events, timers, other requests. */
  pause(): Promise<void>;
  /** The folder of the demonstration model that comes with the library: a path or URL. */
  readonly embeddedModel: string | URL;
  readonly downloads: Downloads;
}

/** What downloading needs of a host. */
export interface Downloads {
  /** A setting of the user's environment, such as HF_HOME; undefined where it is not set or empty, or the host has none. */
  setting(name: string): string | undefined;
  /** The place where downloads are kept: a folder on hosts with files, elsewhere the name of a cache. */
  cache(place: string): DownloadCache;
  hash(algorithm: 'sha1' | 'sha256'): Promise<Hash>;
}

/** A digest of bytes that come one piece after another. */
export interface Hash {
  update(bytes: Uint8Array): void;
  /** Of all bytes so far, in hexadecimal. Ends it. */
  digest(): string;
}

/** A file of a repository at one commit. Names and hashes have been checked: they can be parts of paths. */
export interface RemoteFile {
  /** Like "facebook/dinov2-small". */
  readonly repo: string;
  /** 40 hexadecimal digits. */
  readonly commit: string;
  /** Within the repository. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** What the content is known by, in hexadecimal: SHA-256 (64 digits), or for files in git itself git's SHA-1 (40). */
  readonly hash: string;
}

/** Downloaded files, by repository and commit. All of them are complete. */
export interface DownloadCache {
  /** For messages. */
  readonly name: string;
  /** The commit that a branch or tag was at when it was last asked for. */
  commitOf(repo: string, revision: string): Promise<string | undefined>;
  /** @throws {HostError} when it cannot be written */
  setCommit(repo: string, revision: string, commit: string): Promise<void>;
  /** Names of the files at the top of the repository that are here. */
  list(repo: string, commit: string): Promise<readonly string[]>;
  open(repo: string, commit: string, path: string): Promise<RandomAccess | undefined>;
  /**
   * Begins a download, or goes on with one that was broken off. While another tab or process downloads the same content, waits for it.
   * @returns undefined when the file has come to be here without
   * @throws {HostError} when nothing can be written; the signal's reason
   */
  begin(file: RemoteFile, signal?: AbortSignal): Promise<Download | undefined>;
}

/** The first bytes of a file. One owner at a time writes to it; methods that write throw {HostError} when they cannot. */
export interface Download {
  /** Bytes so far. */
  readonly size: number;
  /** Another process took this one for dead and goes on in its place: begin again, which waits for it. */
  readonly isLost: boolean;
  /** What is here, piece by piece. */
  read(): AsyncIterable<Uint8Array>;
  append(bytes: Uint8Array): Promise<void>;
  /** Forgets the bytes. */
  clear(): Promise<void>;
  /** Makes the file visible, whole. */
  commit(): Promise<void>;
  /** Leaves the bytes for who comes next. Without effect after {@link commit}. */
  release(): Promise<void>;
}

/** `simd` runs wherever WebAssembly SIMD does; `relaxed` needs the relaxed SIMD proposal (fused multiply-add). */
export type KernelBuild = 'simd' | 'relaxed';

export interface Threads {
  /** Processors that this process may use. */
  readonly available: number;
  /**
   * Starts `src/runtime/thread.ts`, which gets `data` from {@link received}. A thread does not keep the process alive; one that cannot be
   * started has a failure, soon or at once.
   */
  start(data: unknown): Thread;
  /** Within a thread: what it was started with. */
  received(): Promise<unknown>;
}

export interface Thread {
  /** Why it ended, if it has without being told to. */
  readonly failure: Error | undefined;
  /**
   * Looks whether it has ended, if it has been looked at while it ran: `failure` may come to know only when the calling thread has paused. Where a
   * host has no way to, it is left out.
   */
  look?(): void;
  stop(): void;
}

/** Scripts for {@link Helpers}, in the folder of the built library. */
export type HelperScript = 'image/readerThread.js';

export interface Helpers {
  /** Starts a script. It does not keep the process alive but while it is asked something. */
  start(script: HelperScript): Helper;
  /** Within a helper: answers what it is asked. */
  answer(respond: (question: unknown) => Promise<Answer>): void;
}

/** A thread that answers questions, one at a time. */
export interface Helper {
  /** Whether it runs, or has run: one that never does lacks its script, as in a bundle without. */
  readonly hasStarted: boolean;
  /** Why it ended, if it has. */
  readonly failure: Error | undefined;
  /** Both question and answer are cloned. Rejects when the thread ends without an answer; what the question is about may be the reason. */
  ask(question: unknown): Promise<unknown>;
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

export interface Answer {
  readonly value: unknown;
  /** What of it is handed over, not cloned. */
  readonly transfer: readonly ArrayBuffer[];
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
  /** Creates the folder of `path` where it is missing, and removes what others who were to write this file have left and are no more. */
  create(path: string): Promise<AtomicWriter>;
  /** Removes a file, if there is one. */
  remove(path: string): Promise<void>;
  join(...parts: string[]): string;
}
