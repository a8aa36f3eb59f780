import { CheckpointError } from '../errors.ts';
import { crc32 } from '../files/crc32.ts';
import { describe } from '../files/json.ts';
import { staysInside } from '../files/source.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { type ByteSource, PIECE, type TensorFile } from './checkpoint.ts';

/** Signatures and fixed lengths of the structures, as in PKWARE's APPNOTE.TXT, section 4.3. */
const END = { name: 'end of the central directory', signature: 0x06054b50, length: 22 };
const LOCATOR_64 = { name: 'zip64 locator', signature: 0x07064b50, length: 20 };
const END_64 = { name: 'zip64 end of the central directory', signature: 0x06064b50, length: 56 };
const CENTRAL = { name: 'central header', signature: 0x02014b50, length: 46 };
const LOCAL = { name: 'local header', signature: 0x04034b50, length: 30 };
const ZIP_64_FIELD = 1;
const MAX_COMMENT = 0xffff;
const ENCRYPTED = 1;
const METHODS: ReadonlyMap<number, string> = new Map([
  [8, 'deflate'],
  [9, 'deflate64'],
  [12, 'bzip2'],
  [14, 'lzma'],
  [93, 'zstd'],
]);

interface Header {
  readonly name: string;
  readonly crc: number;
  /** Bytes of the content. */
  readonly bytes: number;
  /** Where the local header begins. */
  readonly offset: number;
}

/** A stored record of an archive. Nothing of it is handed out before its checksum was found to hold. */
export class ZipRecord implements ByteSource {
  readonly name: string;
  readonly bytes: number;
  readonly #file: TensorFile;
  readonly #begin: number;
  readonly #crc: number;
  #checked: Promise<void> | undefined;

  constructor(file: TensorFile, { name, bytes, crc }: Header, begin: number) {
    this.name = name;
    this.bytes = bytes;
    this.#file = file;
    this.#begin = begin;
    this.#crc = crc;
  }

  /** @throws {CheckpointError} when the content is not what it was when the archive was written */
  async read(offset: number, bytes: number, visit: (bytes: Uint8Array) => void): Promise<void> {
    this.#checked ??= this.#check();
    await this.#checked;
    await this.#file.read(this.#begin + offset, bytes, visit);
  }

  async #check(): Promise<void> {
    let crc = 0;
    for (let at = 0; at < this.bytes; at += PIECE) {
      await this.#file.read(this.#begin + at, Math.min(PIECE, this.bytes - at), (piece) => {
        crc = crc32(piece, crc);
      });
    }
    if (crc !== this.#crc) {
      const problem = `expected the checksum ${hex(this.#crc)}, found ${hex(crc)}: the file is damaged`;
      throw new CheckpointError(`${this.#file.file.name}: record ${describe(this.name)}: ${problem}`);
    }
  }
}

/**
 * The records of a zip archive by name, zip64 included, in the order of their places. All that the archive says about itself is checked,
 * but for the checksums, which are when a record is read.
 * @throws {CheckpointError} naming file and record: compressed or encrypted, outside the file or inside another one, given twice, or with
 * a name that leads out of the archive; {LimitError} on one with too many
 */
export async function openZip(file: TensorFile, limits: Limits = {}): Promise<ReadonlyMap<string, ZipRecord>> {
  const { entries, offset, bytes } = await findDirectory(file, limits);
  const headers = readDirectory(file, await view(file, offset, bytes), entries);
  headers.sort((a, b) => a.offset - b.offset);
  const records = new Map<string, ZipRecord>();
  for (const [i, header] of headers.entries()) {
    if (records.has(header.name)) throw refuseRecord(file, header.name, 'a name of its own, found another of that name');
    records.set(header.name, new ZipRecord(file, header, await findContent(file, header, headers[i + 1]?.offset ?? offset)));
  }
  return records;
}

interface Directory {
  readonly entries: number;
  readonly offset: number;
  readonly bytes: number;
}

async function findDirectory(file: TensorFile, limits: Limits): Promise<Directory> {
  const { size } = file.file;
  const from = Math.max(0, size - END.length - MAX_COMMENT);
  const tail = await view(file, from, size - from);
  let at = tail.byteLength - END.length;
  while (at >= 0 && !(tail.getUint32(at, true) === END.signature && at + END.length + tail.getUint16(at + 20, true) === tail.byteLength)) {
    at -= 1;
  }
  if (at < 0) throw refuse(file, `expected the ${END.name} at the end, found none: the file is truncated`);

  const zip64 = at - LOCATOR_64.length;
  const directory =
    zip64 >= 0 && tail.getUint32(zip64, true) === LOCATOR_64.signature
      ? await readEnd64(file, integer64(tail, zip64 + 8), from + zip64)
      : {
          entries: tail.getUint16(at + 10, true),
          bytes: tail.getUint32(at + 12, true),
          offset: tail.getUint32(at + 16, true),
          end: from + at,
        };
  const { entries, bytes, offset, end } = directory;
  if (offset + bytes !== end) throw refuse(file, `expected the central directory to end at ${end}, found ${bytes} bytes from ${offset}`);
  const where = `${file.file.name}: zip archive`;
  checkLimit(where, 'tensors', limits, '* records', entries);
  checkLimit(where, 'headerBytes', limits, 'a central directory of * bytes', bytes);
  return { entries, offset, bytes };
}

/** @param limit where it has to end at the latest, because its locator begins there */
async function readEnd64(file: TensorFile, end: number, limit: number): Promise<Directory & { end: number }> {
  if (!(end + END_64.length <= limit)) throw refuse(file, `expected the ${END_64.name} before ${limit}, found ${end}`);
  const data = await view(file, end, END_64.length);
  if (data.getUint32(0, true) !== END_64.signature) throw refuse(file, `expected the ${END_64.name} at ${end}, found other bytes`);
  return { entries: integer64(data, 32), bytes: integer64(data, 40), offset: integer64(data, 48), end };
}

function readDirectory(file: TensorFile, data: DataView, entries: number): Header[] {
  const headers: Header[] = [];
  let at = 0;
  for (let i = 0; i < entries; i++) {
    const fits = at + CENTRAL.length <= data.byteLength && data.getUint32(at, true) === CENTRAL.signature;
    const length = fits
      ? CENTRAL.length + data.getUint16(at + 28, true) + data.getUint16(at + 30, true) + data.getUint16(at + 32, true)
      : 0;
    if (!fits || at + length > data.byteLength) throw refuse(file, `expected ${entries} records, found the ${CENTRAL.name} of ${i}`);
    headers.push(readHeader(file, new DataView(data.buffer, data.byteOffset + at, length)));
    at += length;
  }
  if (at !== data.byteLength) throw refuse(file, `expected a central directory of ${at} bytes, found ${data.byteLength}`);
  return headers;
}

function readHeader(file: TensorFile, data: DataView): Header {
  const nameLength = data.getUint16(28, true);
  const name = decodeName(file, data, CENTRAL.length, nameLength);
  const method = data.getUint16(10, true);
  if (method !== 0)
    throw refuseRecord(file, name, `stored, found ${METHODS.get(method) ?? `method ${method}`}: zip it without compression`);
  if (data.getUint16(8, true) & ENCRYPTED) throw refuseRecord(file, name, 'no encryption, found some');
  if (!staysInside(name)) throw refuseRecord(file, name, 'a name inside the archive, found one that leads out of it');

  const fields = { bytes: data.getUint32(24, true), packed: data.getUint32(20, true), offset: data.getUint32(42, true) };
  const extra = new DataView(data.buffer, data.byteOffset + CENTRAL.length + nameLength, data.getUint16(30, true));
  widen(file, name, fields, extra);
  const { bytes, packed, offset } = fields;
  if (packed !== bytes) throw refuseRecord(file, name, `${bytes} bytes, found ${packed} of them stored`);
  return { name, crc: data.getUint32(16, true), bytes, offset };
}

/** Replaces the fields that do not fit 32 bits by those of the zip64 extra field, which has only these, in this order. */
function widen(file: TensorFile, name: string, fields: Record<'bytes' | 'packed' | 'offset', number>, extra: DataView): void {
  const wide = (['bytes', 'packed', 'offset'] as const).filter((key) => fields[key] === 0xffffffff);
  for (let at = 0; wide.length > 0 && at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== ZIP_64_FIELD) continue;
    if (at + 4 + 8 * wide.length > extra.byteLength) break;
    for (const [i, key] of wide.entries()) fields[key] = integer64(extra, at + 4 + 8 * i);
    return;
  }
  if (wide.length > 0) throw refuseRecord(file, name, `a zip64 field for its ${wide.join(' and ')}, found none`);
}

/** Where the content of a record begins. @param limit where it has to end at the latest, because something else begins there */
async function findContent(file: TensorFile, { name, bytes, offset }: Header, limit: number): Promise<number> {
  const encoded = new TextEncoder().encode(name).length;
  if (offset + LOCAL.length + encoded + bytes > limit)
    throw refuseRecord(file, name, `${bytes} bytes before ${limit}, found them from ${offset}`);
  const data = await view(file, offset, LOCAL.length + encoded);
  const agrees =
    data.getUint32(0, true) === LOCAL.signature &&
    data.getUint16(8, true) === 0 &&
    data.getUint16(26, true) === encoded &&
    decodeName(file, data, LOCAL.length, encoded) === name;
  if (!agrees) throw refuseRecord(file, name, `a ${LOCAL.name} at ${offset} as in the central directory, found another`);
  const begin = offset + data.byteLength + data.getUint16(28, true);
  if (begin + bytes > limit) throw refuseRecord(file, name, `${bytes} bytes before ${limit}, found them from ${begin}`);
  return begin;
}

function decodeName(file: TensorFile, data: DataView, offset: number, length: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(data.buffer, data.byteOffset + offset, length));
  } catch {
    throw refuse(file, 'expected names of records in UTF-8, found other bytes');
  }
}

async function view(file: TensorFile, offset: number, length: number): Promise<DataView> {
  const copy = new Uint8Array(length);
  await file.read(offset, length, (bytes) => copy.set(bytes));
  return new DataView(copy.buffer);
}

/** Beyond 2^53 inexact, but larger than any file all the same. */
function integer64(data: DataView, offset: number): number {
  return Number(data.getBigUint64(offset, true));
}

function refuse(file: TensorFile, problem: string): CheckpointError {
  return new CheckpointError(`${file.file.name}: zip archive: ${problem}`);
}

function refuseRecord(file: TensorFile, name: string, expected: string): CheckpointError {
  return new CheckpointError(`${file.file.name}: record ${describe(name)}: expected ${expected}`);
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
