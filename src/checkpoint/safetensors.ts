import { ArgumentError, CheckpointError, DTypeError, ShapeError } from '../errors.ts';
import { describe, isJsonObject, parseJson } from '../files/json.ts';
import type { AtomicWriter, RandomAccess } from '../hosts/host.ts';
import { checkLimit, type Limits } from '../limits.ts';
import { bytesOf, checkDType, DTYPES, type DType, type TensorData } from '../tensor/dtype.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { Checkpoint, checkFileSize, checkTensorCount, type Entry, TensorFile } from './checkpoint.ts';

/** As in the original, safetensors/src/tensor.rs. */
const MAX_HEADER = 100_000_000;
const METADATA = '__metadata__';

/** The element types of the format with their bits, in the order of its `enum Dtype`, which is the order of alignment. */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

type FileDType = keyof typeof BITS;

const RANK: readonly string[] = Object.keys(BITS);

const FILE_DTYPES: Readonly<Record<DType, FileDType>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};

const DTYPE_OF_FILE = new Map<string, DType>(Object.entries(FILE_DTYPES).map(([dtype, word]) => [word, dtype as DType]));

/** One tensor as the header describes it; offsets count from the end of the header. */
interface Described {
  readonly name: string;
  readonly dtype: FileDType;
  readonly dims: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Opens a safetensors file and checks all that its header says, as strictly as the original: nothing left over, nothing shared, nothing
 * outside. Beyond it, a name given twice is refused. The checkpoint owns the file from here on; after an error it is closed.
 * @throws {CheckpointError} naming file and tensor, with what was expected and found; {LimitError} on a file that is too large
 */
export async function openSafetensors(file: RandomAccess, limits: Limits = {}): Promise<Checkpoint> {
  try {
    checkFileSize(file, limits);
    const { header, length } = await readHeader(file, limits);
    const { [METADATA]: metadata, ...tensors } = header;
    const tensorFile = new TensorFile(file);
    checkTensorCount(file, limits, Object.keys(tensors).length);
    const entries = new Map<string, Entry>();
    for (const { name, dtype, dims, begin, end } of describeTensors(file, tensors, file.size - length)) {
      entries.set(name, {
        dtype: DTYPE_OF_FILE.get(dtype) ?? dtype,
        dims,
        extents: [{ file: tensorFile, offset: length + begin, bytes: end - begin }],
      });
    }
    return new Checkpoint({ name: file.name, entries, metadata: readMetadata(file, metadata), files: [tensorFile] });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * A tensor to be written. `data` is asked for once, when its turn has come, so that a getter can keep it out of memory, or in its file,
 * until then; it may come in pieces, each of which is done with when the next is asked for.
 */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData | Promise<TensorData> | AsyncIterable<TensorData>;
}

/**
 * Writes a safetensors file as the original does: types of large elements first, so that all are aligned, then by name; the header padded
 * to 8 bytes. The same tensors give the same bytes. Leaves `commit` and `abort` to the caller.
 * @throws {ArgumentError} on a name that is given twice or reserved; {DTypeError} or {ShapeError} on data that is not what dtype and dims say
 */
export async function writeSafetensors(
  writer: AtomicWriter,
  tensors: Iterable<NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const sorted = [...tensors].sort(byAlignmentThenName);
  checkTensors(sorted);
  await writer.write(encodeHeader(sorted, metadata));
  for (const tensor of sorted) {
    let length = 0;
    for await (const piece of piecesOf(await tensor.data)) {
      checkType(tensor, piece);
      length += piece.length;
      await writer.write(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
    }
    checkLength(tensor, length);
  }
}

function piecesOf(data: TensorData | AsyncIterable<TensorData>): AsyncIterable<TensorData> | readonly TensorData[] {
  return Symbol.asyncIterator in data ? data : [data];
}

/** Bytes that a tensor takes in a file. */
export function bytesOfTensor({ dtype, dims }: Pick<NamedTensor, 'dtype' | 'dims'>): number {
  return sizeOf(dims) * bytesOf(dtype);
}

/**
 * Checks all but the data.
 * @throws {ArgumentError} on a name that is given twice or that the format reserves, {DTypeError}, {ShapeError}
 */
export function checkTensors(tensors: readonly NamedTensor[]): void {
  const names = new Set([METADATA]);
  for (const { name, dtype, dims } of tensors) {
    if (names.has(name)) throw new ArgumentError(`tensor ${describe(name)}: expected a name of its own, found one that is taken`);
    names.add(name);
    checkDType(dtype);
    if (!areCounts(dims)) throw new ShapeError(`tensor ${describe(name)}: expected dims of at least 0, found ${describe(dims)}`);
  }
}

async function readHeader(file: RandomAccess, limits: Limits): Promise<{ header: Record<string, unknown>; length: number }> {
  if (file.size < 8) throw new CheckpointError(`${file.name}: expected a safetensors file of at least 8 bytes, found ${file.size}`);
  const prefix = await file.read(0, 8);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER) {
    throw new CheckpointError(
      `${file.name}: expected a safetensors header of at most ${MAX_HEADER} bytes, found ${length}: this is another format`,
    );
  }
  const end = 8 + Number(length);
  if (end > file.size) {
    throw new CheckpointError(
      `${file.name}: expected a header of ${length} bytes and tensors behind it, found ${file.size - 8} bytes: the file is truncated`,
    );
  }
  checkLimit(file.name, 'headerBytes', limits, 'a header of * bytes', length);
  const bytes = await file.read(8, Number(length));
  if (bytes[0] !== 0x7b) throw new CheckpointError(`${file.name}: expected a header that starts with "{", found ${describe(bytes[0])}`);
  const header = parseJson(bytes, (problem) => new CheckpointError(`${file.name}: header, ${problem}`));
  return { header: header as Record<string, unknown>, length: end };
}

function readMetadata(file: RandomAccess, metadata: unknown = {}): ReadonlyMap<string, string> {
  if (!isJsonObject(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw new CheckpointError(`${file.name}: ${METADATA}: expected an object of strings, found ${describe(metadata)}`);
  }
  return new Map(Object.entries(metadata) as [string, string][]);
}

/** The tensors in the order of their offsets, after the checks of `Metadata::validate` in the original. */
function describeTensors(file: RandomAccess, header: Readonly<Record<string, unknown>>, available: number): Described[] {
  const names = Object.keys(header);
  const tensors = names.map((name) => describeTensor(file, name, header[name]));
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const tensor of tensors) {
    if (tensor.begin !== end) {
      const where = `${file.name}: tensor ${describe(tensor.name)}`;
      const problem = tensor.begin > end ? 'there is a hole before it' : 'it overlaps the one before';
      throw new CheckpointError(`${where}: expected data_offsets from ${end}, found ${tensor.begin}: ${problem}`);
    }
    end = tensor.end;
  }
  if (end !== available) {
    const problem = end > available ? 'the file is truncated' : 'there are bytes left over';
    throw new CheckpointError(`${file.name}: expected ${end} bytes of tensors behind the header, found ${available}: ${problem}`);
  }
  return tensors;
}

function describeTensor(file: RandomAccess, name: string, tensor: unknown): Described {
  const refuse = (field: string, expected: string, found: unknown): CheckpointError =>
    new CheckpointError(`${file.name}: tensor ${describe(name)}: ${field}: expected ${expected}, found ${describe(found)}`);
  const { dtype, shape: dims, data_offsets: offsets } = isJsonObject(tensor) ? tensor : {};
  if (!isFileDType(dtype)) throw refuse('dtype', `one of ${RANK.join(', ')}`, dtype);
  if (!areCounts(dims)) throw refuse('shape', 'integers of at least 0', dims);
  if (!areCounts(offsets) || offsets.length !== 2) throw refuse('data_offsets', 'two integers of at least 0', offsets);
  const [begin, end] = offsets as [number, number];
  const bytes = fileBytes(dtype, dims);
  if (!Number.isInteger(bytes)) throw refuse('shape', `a size in whole bytes, and one that can be counted, as ${dtype}`, dims);
  if (end - begin !== bytes) throw refuse('data_offsets', `${bytes} bytes for ${dtype} ${describe(dims)}`, offsets);
  return { name, dtype, dims, begin, end };
}

/**
 * Not an integer when the elements do not fill whole bytes; NaN when the size, or that of any leading dimensions, is too large to count.
 */
function fileBytes(dtype: FileDType, dims: readonly number[]): number {
  let bits: number = BITS[dtype];
  for (const d of dims) {
    bits *= d;
    if (!Number.isSafeInteger(bits)) return Number.NaN;
  }
  return bits / 8;
}

function isFileDType(dtype: unknown): dtype is FileDType {
  return typeof dtype === 'string' && Object.hasOwn(BITS, dtype);
}

function areCounts(values: unknown): values is number[] {
  return Array.isArray(values) && values.every((value) => Number.isSafeInteger(value) && value >= 0);
}

function byAlignmentThenName(a: NamedTensor, b: NamedTensor): number {
  return RANK.indexOf(FILE_DTYPES[b.dtype]) - RANK.indexOf(FILE_DTYPES[a.dtype]) || (a.name < b.name ? -1 : 1);
}

/** The length of the header and the header. Put together by hand, for JSON.stringify would move names that are numbers to the front. */
function encodeHeader(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const fields: string[] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (pairs.length > 0) fields.push(`"${METADATA}":{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)}}`);
  let offset = 0;
  for (const tensor of tensors) {
    const { name, dtype, dims } = tensor;
    const end = offset + bytesOfTensor(tensor);
    fields.push(`${JSON.stringify(name)}:{"dtype":"${FILE_DTYPES[dtype]}","shape":[${dims}],"data_offsets":[${offset},${end}]}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER) throw new ArgumentError(`tensors: expected names and metadata of at most ${MAX_HEADER} bytes, found ${length}`);
  const header = new Uint8Array(8 + length).fill(0x20);
  header.set(json, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  return header;
}

function checkType({ name, dtype }: NamedTensor, data: TensorData): void {
  if (!(data instanceof DTYPES[dtype])) {
    throw new DTypeError(`tensor ${describe(name)}: expected ${DTYPES[dtype].name} for dtype ${dtype}, found ${describe(data)}`);
  }
}

function checkLength({ name, dims }: NamedTensor, length: number): void {
  if (length === sizeOf(dims)) return;
  throw new ShapeError(`tensor ${describe(name)}: expected ${sizeOf(dims)} elements for ${describe(dims)}, found ${length}`);
}
