import { HostError, NotFoundError } from '../errors.ts';
import type { RandomAccess } from '../hosts/host.ts';

/** Asks for a file, from its beginning, as often as it is called. */
export type FileRequest = () => Response | Promise<Response>;

/**
 * A file that comes as a stream: what is read in order is read once, and a read further in front asks for the file again. No more of it is in
 * memory than a read takes.
 */
export class StreamedFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #request: FileRequest;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #piece: Uint8Array = new Uint8Array();
  /** Where the piece begins. */
  #at = 0;

  private constructor(name: string, request: FileRequest, response: Response) {
    this.name = name;
    this.#request = request;
    this.size = Number(response.headers.get('content-length') ?? Number.NaN);
    this.#reader = response.body?.getReader();
  }

  /** @throws {NotFoundError} on another status than 200; {HostError} on an answer without content-length */
  static async open(name: string, request: FileRequest): Promise<StreamedFile> {
    const file = new StreamedFile(name, request, await ask(name, request));
    if (Number.isSafeInteger(file.size)) return file;
    await file.close();
    throw new HostError(`${name}: expected a response with content-length, found none: make a Response with that header`);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (!this.#reader || offset < this.#at) await this.#restart();
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const from = offset + done - this.#at; // in the piece
      if (from < this.#piece.length) {
        const part = this.#piece.subarray(from, from + length - done);
        bytes.set(part, done);
        done += part.length;
      } else await this.#next(offset + length);
    }
    return bytes;
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#piece = new Uint8Array();
    await reader?.cancel();
  }

  async #restart(): Promise<void> {
    await this.close();
    this.#reader = (await ask(this.name, this.#request)).body?.getReader();
    this.#at = 0;
  }

  async #next(wanted: number): Promise<void> {
    this.#at += this.#piece.length;
    const { value } = (await this.#reader?.read()) ?? {};
    if (!value) throw new HostError(`${this.name}: expected ${wanted} bytes or more, found ${this.#at}: the stream ended early`);
    this.#piece = value;
  }
}

async function ask(name: string, request: FileRequest): Promise<Response> {
  const response = await request();
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new NotFoundError(`${name}: expected the file, found HTTP status ${response.status}`);
  }
  return response;
}
