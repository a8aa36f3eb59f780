import { host } from '#host';
import { ArgumentError, ConfigError, HostError, NotFoundError } from '../errors.ts';
import type { FileSystem, RandomAccess } from '../hosts/host.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { describe, isJsonObject, parseJson } from './json.ts';
import { type FileRequest, StreamedFile } from './stream.ts';

/** The bytes of a file, or what asks for them: a file that is requested is streamed, and held no more than a piece at a time. */
export type FileContent = Uint8Array | ArrayBuffer | Blob | FileRequest;

/**
 * Where a model comes from: its name on the Hugging Face hub, the path or file: URL of its folder or of a checkpoint that is all in one file, the
 * URL of its folder on a server, its files by name, or what was opened from one of these.
 */
export type ModelSource = string | URL | Readonly<Record<string, FileContent>> | ReadonlyMap<string, FileContent> | Source;

/** The files of one model. */
export abstract class Source {
  /** For messages: a path, or what stands for one. */
  abstract readonly name: string;
  /** What is taken of its files at most. */
  readonly limits: Limits;

  constructor(limits: Limits = {}) {
    this.limits = limits;
  }

  abstract has(file: string): Promise<boolean>;
  /** Names of the files, in a fixed order. */
  abstract list(): Promise<readonly string[]>;
  /** @throws {NotFoundError} naming the source and the file */
  abstract open(file: string): Promise<RandomAccess>;
}

/**
 * The files of anything but a name on the hub.
 * @throws {NotFoundError} when the folder or file is not there
 * @throws {HostError} for a path on a host without files
 * @throws {ArgumentError} for anything that is no source
 * @param limits for the files, unless the source was opened before
 */
export async function openSource(source: ModelSource, limits: Limits = {}): Promise<Source> {
  if (source instanceof Source) return source;
  if (source instanceof URL) return /^https?:$/.test(source.protocol) ? new RemoteFolder(source, limits) : openPath(pathOf(source), limits);
  if (typeof source === 'string') return openPath(source, limits);
  if (source instanceof Map) return new GivenFiles(source, limits);
  if (isJsonObject(source)) return new GivenFiles(new Map(Object.entries(source)), limits);
  throw new ArgumentError(`source: expected the path or file: URL of a folder, or an object of files by name, found ${describe(source)}`);
}

/** What {@link readJson} has read, or is reading. */
const jsonFiles = new WeakMap<Source, Map<string, Promise<unknown>>>();

/**
 * The value in a JSON file, not to be changed: each is read once of what was opened, since who chooses a class by it and the class both ask.
 * @throws {NotFoundError} when there is no such file; {LimitError} on one of more than `limits.headerBytes`
 * @throws {ConfigError} naming file, line and column when it is no JSON
 */
export function readJson(source: Source, file: string): Promise<unknown> {
  const known = jsonFiles.get(source) ?? new Map<string, Promise<unknown>>();
  jsonFiles.set(source, known);
  const value = known.get(file) ?? readOnce(source, file);
  known.set(file, value);
  value.catch(() => known.delete(file)); // it may be there the next time
  return value;
}

async function readOnce(source: Source, file: string): Promise<unknown> {
  const handle = await source.open(file);
  try {
    checkLimit(handle.name, 'headerBytes', source.limits, 'JSON of * bytes', handle.size);
    return parseJson(await handle.read(0, handle.size), (problem) => new ConfigError(`${handle.name}: ${problem}`));
  } finally {
    await handle.close();
  }
}

/** @throws {HostError} on a host without files */
export function fileSystem(): FileSystem {
  if (!host.files) throw new HostError(`${host.name}: expected a host with files, found none: pass the model's files by name`);
  return host.files;
}

/** Whether a relative path stays inside its folder, on every host. */
export function staysInside(path: string): boolean {
  return !/[\\:]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

async function openPath(path: string, limits: Limits): Promise<Source> {
  const files = fileSystem();
  const kind = await files.kind(path);
  if (kind === 'folder') return new Folder(path, files, limits);
  if (kind === 'file') return new SingleFile(path, files, limits);
  throw new NotFoundError(
    `${path}: expected a folder with config.json and model.safetensors, or a .pth file, found neither: ` +
      'give its path, or the name that the model has on the Hugging Face hub, like "facebook/dinov2-small"',
  );
}

/** The path of a file: URL. @throws {ArgumentError} when it is another URL, or none */
export function pathOf(url: string | URL): string {
  try {
    const { protocol, pathname } = new URL(url);
    if (protocol === 'file:') return decodeURIComponent(pathname).replace(/^\/(?=[A-Za-z]:)/, ''); // file:///C:/models
  } catch {} // not a URL, or with an escape that is none
  throw new ArgumentError(`expected a file: URL, found ${describe(String(url))}`);
}

class Folder extends Source {
  readonly name: string;
  readonly #files: FileSystem;

  constructor(path: string, files: FileSystem, limits: Limits) {
    super(limits);
    this.name = path;
    this.#files = files;
  }

  async has(file: string): Promise<boolean> {
    return (await this.#files.kind(this.#files.join(this.name, file))) === 'file';
  }

  async open(file: string): Promise<RandomAccess> {
    if (!(await this.has(file))) throw new NotFoundError(`${this.name}: expected a folder with ${file}, found no such file in it`);
    return this.#files.open(this.#files.join(this.name, file));
  }

  list(): Promise<readonly string[]> {
    return this.#files.list(this.name);
  }
}

/** A folder on a server. What answers a request with a page has no such file, as a server for development, which does that with all it lacks. */
class RemoteFolder extends Source {
  readonly name: string;

  constructor(url: URL, limits: Limits) {
    super(limits);
    this.name = url.href.replace(/\/?$/, '/');
  }

  async has(file: string): Promise<boolean> {
    const response = await this.#request(file, { method: 'HEAD' });
    return response.ok && !isPage(response);
  }

  async open(file: string): Promise<RandomAccess> {
    if (isPage(await this.#request(file, { method: 'HEAD' }))) {
      throw new NotFoundError(`${this.name}: expected a folder with ${file}, found a page in its place`);
    }
    return StreamedFile.open(this.name + file, () => this.#request(file), this.limits);
  }

  /** A server does not tell. */
  async list(): Promise<readonly string[]> {
    return [];
  }

  async #request(file: string, options?: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(file, this.name), options);
    } catch (cause) {
      throw new NotFoundError(
        `${this.name}${file}: expected an answer, found none (${(cause as Error).message}): see whether the server runs and CORS and the content security policy (connect-src) allow it, or pass the files by name`,
        { cause },
      );
    }
  }
}

function isPage({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('text/html') ?? false;
}

class SingleFile extends Source {
  readonly name: string;
  readonly #file: string;
  readonly #files: FileSystem;

  constructor(path: string, files: FileSystem, limits: Limits) {
    super(limits);
    this.name = path;
    this.#file = path.replace(/^.*[\\/]/s, '');
    this.#files = files;
  }

  async has(file: string): Promise<boolean> {
    return file === this.#file;
  }

  async open(file: string): Promise<RandomAccess> {
    if (!(await this.has(file))) throw new NotFoundError(`${this.name}: expected a folder with ${file}, found a file`);
    return this.#files.open(this.name);
  }

  async list(): Promise<readonly string[]> {
    return [this.#file];
  }
}

class GivenFiles extends Source {
  readonly name = 'the files given';
  readonly #files: ReadonlyMap<string, FileContent>;

  constructor(files: ReadonlyMap<string, FileContent>, limits: Limits) {
    super(limits);
    for (const [file, content] of files) {
      if (!(content instanceof Uint8Array || content instanceof ArrayBuffer || content instanceof Blob || typeof content === 'function')) {
        throw new ArgumentError(
          `source: file ${describe(file)}: expected Uint8Array, ArrayBuffer, Blob or a function that gives a Response, found ${describe(content)}`,
        );
      }
    }
    this.#files = files;
  }

  async has(file: string): Promise<boolean> {
    return this.#files.has(file);
  }

  async open(file: string): Promise<RandomAccess> {
    const content = this.#files.get(file);
    if (!content) throw new NotFoundError(`${this.name}: expected ${file} among them, found ${describe([...this.#files.keys()])}`);
    return typeof content === 'function' ? StreamedFile.open(file, content, this.limits) : new GivenFile(file, content);
  }

  async list(): Promise<readonly string[]> {
    return [...this.#files.keys()];
  }
}

class GivenFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #content: Uint8Array | Blob;

  constructor(name: string, content: Uint8Array | ArrayBuffer | Blob) {
    this.name = name;
    this.#content = content instanceof ArrayBuffer ? new Uint8Array(content) : content;
    this.size = this.#content instanceof Blob ? this.#content.size : this.#content.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const piece =
      this.#content instanceof Blob
        ? new Uint8Array(await this.#content.slice(offset, offset + length).arrayBuffer())
        : this.#content.subarray(offset, offset + length);
    if (piece.length !== length) throw new HostError(`${this.name}: expected ${length} bytes at ${offset}, found ${piece.length}`);
    return piece;
  }

  async close(): Promise<void> {}
}
