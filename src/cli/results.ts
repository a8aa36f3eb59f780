import { encodeNpy } from '../checkpoint/npy.ts';
import { writeSafetensors } from '../checkpoint/safetensors.ts';
import { ArgumentError, Dinov2Error, HostError, ShapeError } from '../errors.ts';
import { shortest } from '../files/json.ts';
import { fileSystem } from '../files/source.ts';
import type { AtomicWriter } from '../hosts/host.ts';
import { type Float32, Tensor } from '../tensor/index.ts';
import type { Pipe } from './terminal.ts';

/** What a command makes of one image. */
export interface Result {
  /** Its path. */
  readonly image: string;
  /** For people: a line, or several. */
  readonly text: string;
  /** For programs; `image` stands before it. */
  fields(): Readonly<Record<string, unknown>>;
  /** For files of tensors. */
  readonly tensor?: Float32;
}

/** Where results go, one after the other. */
export interface Sink {
  /** False when nobody takes results any more. */
  readonly isOpen: boolean;
  /** @throws {ShapeError} when the result does not go with those before it */
  check?(result: Result): void;
  /** @throws {HostError} when it cannot be written */
  write(result: Result): Promise<void>;
  /** After the last result. */
  close(): Promise<void>;
  /** In place of close: leaves nothing behind. */
  abort(): Promise<void>;
}

/** Of files, by the endings of their names. */
export const FORMATS = ['npy', 'safetensors', 'json', 'jsonl'] as const;

export type Format = (typeof FORMATS)[number];

/** The format that the name of a file says, if it is one of `formats`. */
export function formatOf(path: string, formats: readonly Format[]): Format | undefined {
  return formats.find((format) => path.toLowerCase().endsWith(`.${format}`));
}

/** The beginning of a tensor, as text. */
export function firstValues({ data }: Float32): string {
  return `${Array.from(data.subarray(0, 4), (x) => x.toFixed(4)).join(' ')}${data.length > 4 ? ' …' : ''}`;
}

/** Text for people, or a JSON array for programs. */
export function stdoutSink(pipe: Pipe, { json = false }: { readonly json?: boolean }): Sink {
  const form = json ? new JsonText('json') : { next: ({ text }: Result) => `${text}\n`, end: () => '' };
  return {
    get isOpen() {
      return pipe.isOpen;
    },
    write: (result) => pipe.write(form.next(result)),
    close: () => pipe.write(form.end()),
    abort: async () => {},
  };
}

/**
 * A file, which is there once it is closed, unless no result came. Records are written as they come. Tensors wait for the last: a .npy file
 * has them stacked along a new first dimension, a .safetensors file each under the path of its image.
 * @throws {ArgumentError} {HostError} when there can be no such file
 */
export async function fileSink(path: string, formats: readonly Format[]): Promise<Sink> {
  const files = fileSystem();
  const format = formatOf(path, formats);
  if (!format) throw new ArgumentError(`output: expected a name that ends in ${formats.map((f) => `.${f}`).join(', ')}, found "${path}"`);
  if ((await files.kind(path)) === 'folder') throw new ArgumentError(`${path}: expected the name of a file to write, found a folder`);
  const writer = await orHostError(path, files.create(path));
  const content: Content = format === 'json' || format === 'jsonl' ? new Records(format) : new Tensors(format);
  let isEmpty = true;
  const finish = async (): Promise<void> => {
    await content.end(writer);
    await writer.commit();
  };
  return {
    isOpen: true,
    check: (result) => content.check?.(result),
    write: (result) => {
      isEmpty = false;
      return orHostError(path, content.add(result, writer));
    },
    close: () => (isEmpty ? writer.abort() : orHostError(path, finish())),
    abort: () => writer.abort(),
  };
}

/** Waits for work on a file that is written; errors of the host become a {@link HostError} that names it. */
export async function orHostError<T>(path: string, work: Promise<T>): Promise<T> {
  return work.catch((cause: Error) => {
    if (cause instanceof Dinov2Error) throw cause;
    throw new HostError(`${path}: expected a place that can be written, found ${cause.message}: write elsewhere`, { cause });
  });
}

/** What a file consists of. */
interface Content {
  check?(result: Result): void;
  add(result: Result, writer: AtomicWriter): Promise<void>;
  /** Writes what {@link add} has not. */
  end(writer: AtomicWriter): Promise<void>;
}

class Records implements Content {
  readonly #json: JsonText;

  constructor(format: 'json' | 'jsonl') {
    this.#json = new JsonText(format);
  }

  async add(result: Result, writer: AtomicWriter): Promise<void> {
    await writer.write(new TextEncoder().encode(this.#json.next(result)));
  }

  async end(writer: AtomicWriter): Promise<void> {
    await writer.write(new TextEncoder().encode(this.#json.end()));
  }
}

class Tensors implements Content {
  readonly #format: 'npy' | 'safetensors';
  readonly #tensors = new Map<string, Float32>();

  constructor(format: 'npy' | 'safetensors') {
    this.#format = format;
  }

  check({ image, tensor }: Result): void {
    const [first] = this.#tensors.values();
    if (this.#format !== 'npy' || !first || String(first.dims) === String(tensor?.dims)) return;
    const expected = `[${first.dims.join(', ')}] as of the images before, for a .npy file stacks them`;
    throw new ShapeError(`${image}: expected ${expected}, found [${tensor?.dims.join(', ')}]: write a .safetensors file`);
  }

  async add({ image, tensor }: Result): Promise<void> {
    if (tensor) this.#tensors.set(image, tensor);
  }

  async end(writer: AtomicWriter): Promise<void> {
    if (this.#format === 'npy') await writer.write(encodeNpy(stack([...this.#tensors.values()])));
    else
      await writeSafetensors(
        writer,
        Array.from(this.#tensors, ([name, { dtype, dims, data }]) => ({ name, dtype, dims, data })),
      );
  }
}

/** Tensors of the same dimensions as one, with a new first dimension. */
function stack(tensors: readonly Float32[]): Float32 {
  const all = new Tensor('float32', new Float32Array(tensors.reduce((sum, { size }) => sum + size, 0)), [
    tensors.length,
    ...(tensors[0]?.dims ?? []),
  ]);
  for (const [i, { data }] of tensors.entries()) all.at(i).data.set(data);
  return all;
}

/** Results as a JSON array with an element a line, or as JSON lines. */
class JsonText {
  readonly #isArray: boolean;
  #count = 0;

  constructor(format: 'json' | 'jsonl') {
    this.#isArray = format === 'json';
  }

  next(result: Result): string {
    const record = JSON.stringify({ image: result.image, ...result.fields() }, (_, value) => shorten(value));
    this.#count += 1;
    if (!this.#isArray) return `${record}\n`;
    return `${this.#count === 1 ? '[' : ','}\n${record}`;
  }

  end(): string {
    if (!this.#isArray) return '';
    return this.#count > 0 ? '\n]\n' : '[]\n';
  }
}

function shorten(value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? shortest(value) : value;
}
