import { crc32 } from '../../src/files/crc32.ts';

/** Bytes one after the other; text is taken character by character as Latin-1. */
export function bytes(...parts: readonly (string | number | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    Buffer.concat(
      parts.map((part) => (typeof part === 'number' ? Uint8Array.of(part) : typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
    ),
  );
}

/** Little-endian. */
export function integer(value: number | bigint, size: 2 | 4 | 8): Uint8Array {
  const data = new DataView(new ArrayBuffer(8));
  data.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(data.buffer, 0, size);
}

/** What a pickle of protocol 2 is made of. */
export const PROTO = '\x80\x02';
export const STOP = '.';

export function text(value: string): Uint8Array {
  const utf8 = new TextEncoder().encode(value);
  return bytes('X', integer(utf8.length, 4), utf8);
}

/** As LONG1 of 64 bits. */
export function number(value: number): Uint8Array {
  return bytes('\x8a\x08', integer(BigInt.asUintN(64, BigInt(value)), 8));
}

export function tuple(...items: readonly (string | Uint8Array)[]): Uint8Array {
  return bytes('(', ...items, 't');
}

export function dict(fields: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  return bytes('}(', ...Object.entries(fields).flatMap(([key, value]) => [text(key), value]), 'u');
}

export interface TensorFields {
  readonly kind?: string;
  readonly key?: string;
  readonly saved: number;
  readonly offset?: number;
  readonly dims: readonly number[];
  readonly strides?: readonly number[];
  /** The rest of the storage's tuple, as in the legacy format. */
  readonly view?: string | Uint8Array;
}

/** The pickle of a tensor on a storage of float32. */
export function tensor({ kind = 'Float', key = '0', saved, offset = 0, dims, strides, view = '' }: TensorFields): Uint8Array {
  const rowMajor = dims.map((_, i) => dims.slice(i + 1).reduce((n, d) => n * d, 1));
  const storage = bytes(tuple(text('storage'), `ctorch\n${kind}Storage\n`, text(key), text('cpu'), number(saved), view), 'Q');
  const shape = (strides ?? rowMajor).map(number);
  return bytes(
    'ctorch._utils\n_rebuild_tensor_v2\n',
    tuple(storage, number(offset), tuple(...dims.map(number)), tuple(...shape), '\x89', 'ccollections\nOrderedDict\n)R'),
    'R',
  );
}

export interface ZipFields {
  readonly name: string;
  readonly content: Uint8Array;
  /** What the headers say, where it is not the truth. */
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  readonly size?: number;
  readonly packed?: number;
  readonly offset?: number;
  readonly extra?: Uint8Array;
  readonly localName?: string;
}

export interface ZipEnd {
  readonly comment?: string;
  readonly entries?: number;
  readonly directoryBytes?: number;
  readonly directoryOffset?: number;
  /** Writes the end of the directory in 64 bits, with 32-bit fields that say nothing. */
  readonly zip64?: boolean;
}

/** A zip archive of stored records. */
export function zip(records: readonly ZipFields[], end: ZipEnd = {}): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let at = 0;
  for (const record of records) {
    const { name, content, method = 0, flags = 0, crc = crc32(content), size = content.length, packed = size, offset = at } = record;
    const { extra = new Uint8Array(0), localName = name } = record;
    const encoded = bytes(new TextEncoder().encode(name));
    const local = bytes(new TextEncoder().encode(localName));
    const common = bytes(integer(flags, 2), integer(method, 2), integer(0, 4), integer(crc, 4), integer(packed, 4), integer(size, 4));
    parts.push(bytes('PK\x03\x04', integer(20, 2), common, integer(local.length, 2), integer(0, 2), local, content));
    const lengths = [encoded.length, extra.length, 0, 0, 0].map((length) => integer(length, 2));
    central.push(bytes('PK\x01\x02', integer(20, 4), common, ...lengths, integer(0, 4), integer(offset, 4), encoded, extra));
    at += (parts.at(-1) as Uint8Array).length;
  }
  const directory = bytes(...central);
  const { comment = '', entries = records.length, directoryBytes = directory.length, directoryOffset = at, zip64 = false } = end;
  const wide = bytes(
    bytes('PK\x06\x06', integer(44, 8), integer(45, 4), integer(0, 8), integer(entries, 8), integer(entries, 8)),
    bytes(integer(directoryBytes, 8), integer(directoryOffset, 8)),
    bytes('PK\x06\x07', integer(0, 4), integer(at + directory.length, 8), integer(1, 4)),
  );
  const [count, length, start] = zip64 ? [0xffff, 0xffffffff, 0xffffffff] : [entries, directoryBytes, directoryOffset];
  return bytes(
    ...parts,
    directory,
    zip64 ? wide : '',
    bytes('PK\x05\x06', integer(0, 4), integer(count, 2), integer(count, 2), integer(length, 4), integer(start, 4)),
    bytes(integer(comment.length, 2), comment),
  );
}

/** A checkpoint of PyTorch: the value's pickle without PROTO and STOP, and the bytes of the storages by key. */
export function torchZip(value: string | Uint8Array, storages: Readonly<Record<string, Uint8Array>> = {}): Uint8Array<ArrayBuffer> {
  return zip([
    { name: 'archive/data.pkl', content: bytes(PROTO, value, STOP) },
    { name: 'archive/byteorder', content: bytes('little') },
    ...Object.entries(storages).map(([key, content]) => ({ name: `archive/data/${key}`, content })),
  ]);
}

/** The same in the legacy format: each storage with the number of elements that is said to be in it. */
export function torchLegacy(
  value: string | Uint8Array,
  storages: readonly (readonly [key: string, elements: number, content: Uint8Array])[] = [],
  { littleEndian = true, magic = 0x1950a86a20f9469cfc6cn } = {},
): Uint8Array<ArrayBuffer> {
  const pickles = [
    bytes('\x8a\x0a', integer(magic & 0xffffffffffffffffn, 8), integer(magic >> 64n, 2)),
    number(1001),
    dict({ little_endian: littleEndian ? '\x88' : '\x89' }),
    value,
    bytes('](', ...storages.map(([key]) => text(key)), 'e'),
  ];
  return bytes(
    ...pickles.flatMap((pickle) => [PROTO, pickle, STOP]),
    ...storages.flatMap(([, elements, content]) => [integer(elements, 8), content]),
  );
}

export function float32(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
