import { HostError, NotFoundError } from '../errors.ts';
import type { RandomAccess } from '../hosts/host.ts';
import { checkLimit, type Limits, limitOf } from '../limits.ts';

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

  private constructor(name: string, request: FileRequest, size: number, reader?: ReadableStreamDefaultReader<Uint8Array>) {
    this.name = name;
    this.#request = request;
    this.size = size;
    this.#reader = reader;
  }

  /**
   * An answer without content-length is read to its end for its size, and the file asked for again to be read.
   * @throws {NotFoundError} on another status than 200; {LimitError} when that end does not come within `limits.checkpointBytes`
   */
  static async open(name: string, request: FileRequest, limits: Limits = {}): Promise<StreamedFile> {
    const { headers, body } = await ask(name, request);
    const reader = body?.getReader();
    const length = headers.get('content-encoding') ? null : headers.get('content-length');
    if (length !== null) return new StreamedFile(name, request, Number(length), reader);
    let size = 0;
    for (let piece = await reader?.read(); piece?.value; piece = await reader?.read()) {
      size += piece.value.length;
      if (size > limitOf('checkpointBytes', limits)) await reader?.cancel();
      checkLimit(name, 'checkpointBytes', limits, 'a file of * bytes', size);
    }
    return new StreamedFile(name, request, size);
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
