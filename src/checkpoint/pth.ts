import { CheckpointError } from '../errors.ts';
import { describe } from '../files/json.ts';
import type { RandomAccess } from '../hosts/host.ts';
import { checkLimit, type Limits, limitOf } from '../limits.ts';
import { type ByteSource, Checkpoint, checkFileSize, checkTensorCount, type Entry, type Extent, TensorFile } from './checkpoint.ts';
import { type PickleFunction, unpickle } from './pickle.ts';
import { GatheredView, isContiguous, spanOf } from './strided.ts';
import { openZip, type ZipRecord } from './zip.ts';

/** Bytes that are taken to gather a tensor that is not contiguous; the largest weight of any DINOv2 has 200 MB. */
const MAX_GATHERED = 256 * 2 ** 20;
/** How often all bytes of a file may be tensors: tied weights are one storage with two names, more is a way to take memory. */
const MAX_SHARING = 2;
/** Dimensions of a tensor, as in PyTorch. */
const MAX_DIMS = 64;
/** Items of all dicts that are copied from lists; those of state dicts are set one by one. */
const MAX_COPIED = 1_000_000;
/** Dicts within dicts around the tensors. */
const MAX_WRAPPERS = 4;

/** How the two formats begin: the signature of a zip record, and the opcode PROTO. */
const ZIP_START = 'PK';
const PICKLE_START = 0x80;

/** torch/serialization.py */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_VERSION = 1001;

/**
 * Where training scripts keep the model, beside optimizers and epochs; DINO's own keep the teacher, which is what is published, beside the
 * student.
 */
const WRAPPERS = ['teacher', 'state_dict', 'model', 'model_state_dict'];

class StorageType {
  readonly dtype: string;
  /** Bytes of an element. */
  readonly bytes: number;

  constructor(dtype: string, bytes: number) {
    this.dtype = dtype;
    this.bytes = bytes;
  }
}

const STORAGE_TYPES: readonly (readonly [name: string, type: StorageType])[] = [
  ['torch.FloatStorage', new StorageType('float32', 4)],
  ['torch.HalfStorage', new StorageType('float16', 2)],
  ['torch.BFloat16Storage', new StorageType('bfloat16', 2)],
  ['torch.DoubleStorage', new StorageType('float64', 8)],
  ['torch.LongStorage', new StorageType('int64', 8)],
  ['torch.IntStorage', new StorageType('int32', 4)],
  ['torch.ShortStorage', new StorageType('int16', 2)],
  ['torch.CharStorage', new StorageType('int8', 1)],
  ['torch.ByteStorage', new StorageType('uint8', 1)],
  ['torch.BoolStorage', new StorageType('bool', 1)],
  ['torch.ComplexFloatStorage', new StorageType('complex64', 8)],
  ['torch.ComplexDoubleStorage', new StorageType('complex128', 16)],
];

/** A one-dimensional array of elements that tensors are views of. */
class Storage {
  readonly type: StorageType;
  readonly key: string;
  /** Elements of what is saved under the key. */
  readonly saved: number;
  /** Elements of it that belong to this storage: all, or in old files a part. */
  readonly begin: number;
  readonly size: number;

  constructor(type: StorageType, key: string, saved: number, begin: number, size: number) {
    this.type = type;
    this.key = key;
    this.saved = saved;
    this.begin = begin;
    this.size = size;
  }
}

/** A tensor as its pickle describes it, unchecked: storage, offset, dims and strides come from the file. */
class SavedTensor {
  readonly fields: readonly unknown[];

  constructor(fields: readonly unknown[]) {
    this.fields = fields;
  }
}

type Refuse = (problem: string) => CheckpointError;

/** What either format comes to: a value with {@link SavedTensor}s in it, and where the elements of their storages are. */
interface Saved {
  readonly value: unknown;
  locate(storage: Storage): Extent;
}

/**
 * Opens a file that torch.save wrote: a zip archive (PyTorch 1.6 and later) or, older, pickles with the elements behind them. Read by a
 * pickle machine of our own that knows tensors, plain containers and numbers; nothing in the file is executed. A state dict may stand in a
 * dict of a training script under "teacher", "state_dict", "model" or a key of its own; what is no tensor in it is passed over. The
 * checkpoint owns the file from here on; after an error it is closed.
 * @throws {CheckpointError} naming file and opcode, global, record or tensor, with what was expected and found; {LimitError} on a file that is too large
 */
export async function openPth(file: RandomAccess, limits: Limits = {}): Promise<Checkpoint> {
  const refuse: Refuse = (problem) => new CheckpointError(`${file.name}: ${problem}`);
  try {
    checkFileSize(file, limits);
    const tensorFile = new TensorFile(file);
    const saved = await readSaved(tensorFile, limits, refuse);
    const entries = new Map<string, Entry>();
    let bytes = 0;
    const tensors = stateDict(saved.value, refuse);
    checkTensorCount(file, limits, tensors.size);
    for (const [name, tensor] of tensors) {
      const entry = entryOf(tensor, saved, (problem) => refuse(`tensor ${describe(name)}: ${problem}`));
      bytes += entry.extents.reduce((sum, extent) => sum + extent.bytes, 0);
      entries.set(name, entry);
    }
    if (bytes > MAX_SHARING * file.size) {
      throw refuse(
        `expected tensors of at most ${MAX_SHARING} times the file's ${file.size} bytes, found ${bytes}: too many share a storage`,
      );
    }
    return new Checkpoint({ name: file.name, entries, metadata: new Map(), files: [tensorFile] });
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readSaved(file: TensorFile, limits: Limits, refuse: Refuse): Promise<Saved> {
  const start = await readSmall(file, 0, Math.min(2, file.file.size), (bytes) => [...bytes]);
  if (String.fromCharCode(...start) === ZIP_START) return readArchive(file, limits, refuse);
  if (start[0] === PICKLE_START) return readLegacy(file, limits, refuse);
  throw refuse(`expected a checkpoint of PyTorch, a zip archive or a pickle, found a file that begins with the bytes ${describe(start)}`);
}

/** `<folder>/data.pkl`, `<folder>/data/<key>` and, since PyTorch 2.1, `<folder>/byteorder`. */
async function readArchive(file: TensorFile, limits: Limits, refuse: Refuse): Promise<Saved> {
  const records = await openZip(file, limits);
  const pickles = [...records.values()].filter(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (!pickle || pickles.length > 1) throw refuse(`expected a record data.pkl in the folder of the archive, found ${pickles.length}`);
  const folder = pickle.name.slice(0, pickle.name.indexOf('/'));

  const order = records.get(`${folder}/byteorder`);
  const word = order && (await readSmall(order, 0, checkByteOrder(order, refuse), (bytes) => new TextDecoder().decode(bytes)));
  if (word !== undefined && word !== 'little') throw refuse(`byteorder: expected "little", found ${describe(word)}`);

  const persistent = (id: unknown): Storage => storageOf(id, refuse);
  const options = { globals: globalsOf(refuse), persistent, refuse };
  checkLimit(`${file.file.name}: record ${describe(pickle.name)}`, 'headerBytes', limits, 'a pickle of * bytes', pickle.bytes);
  const { value } = await readSmall(pickle, 0, pickle.bytes, (bytes) => unpickle(bytes, options));
  return {
    value,
    locate({ key, type, saved }) {
      const record = records.get(`${folder}/data/${key}`);
      if (record?.bytes !== saved * type.bytes) {
        const found = record ? `${record.bytes} bytes` : 'none';
        throw refuse(`storage ${describe(key)}: expected a record of ${saved * type.bytes} bytes, found ${found}`);
      }
      return { file: record, offset: 0, bytes: record.bytes };
    },
  };
}

/** How many bytes the record has that says "little". */
function checkByteOrder({ name, bytes }: ZipRecord, refuse: Refuse): number {
  if (bytes > 16) throw refuse(`record ${describe(name)}: expected at most 16 bytes, found ${bytes}`);
  return bytes;
}

/**
 * Five pickles: magic number, version, system, value, and keys of the storages, which follow in that order, each behind its number of
 * elements.
 */
async function readLegacy(file: TensorFile, limits: Limits, refuse: Refuse): Promise<Saved> {
  const storages = new Map<string, Storage>();
  const persistent = (id: unknown): Storage => {
    const storage = storageOf(id, refuse);
    storages.set(storage.key, storage);
    return storage;
  };
  const options = { globals: globalsOf(refuse), persistent, refuse };
  const { size } = file.file;
  const [value, keys, end] = await readSmall(file, 0, Math.min(size, limitOf('headerBytes', limits)), (bytes) => {
    let at = 0;
    const next = (): unknown => {
      const { value, end } = unpickle(bytes.subarray(at), options);
      at += end;
      return value;
    };
    if (next() !== LEGACY_MAGIC || next() !== LEGACY_VERSION) throw refuse('expected a checkpoint of PyTorch, found another pickle');
    const system = next();
    if (!(system instanceof Map) || system.get('little_endian') !== true) throw refuse('expected little-endian numbers, found others');
    return [next(), next(), at];
  });
  if (!Array.isArray(keys)) throw refuse(`expected the keys of the storages, found ${describe(keys)}`);

  const places = new Map<string, Extent>();
  let at = end;
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage || places.has(key)) throw refuse(`expected the key of a storage, each once, found ${describe(key)}`);
    const bytes = storage.saved * storage.type.bytes;
    const offset = at + 8;
    if (!(offset + bytes <= size))
      throw refuse(`storage ${describe(key)}: expected ${bytes} bytes from ${offset}, found the end at ${size}`);
    const found = await readSmall(file, at, 8, (count) => new DataView(count.buffer, count.byteOffset).getBigUint64(0, true));
    if (found !== BigInt(storage.saved)) throw refuse(`storage ${describe(key)}: expected ${storage.saved} elements, found ${found}`);
    places.set(key, { file, offset, bytes });
    at = offset + bytes;
  }
  return {
    value,
    locate({ key, type, saved }) {
      const place = places.get(key);
      if (place?.bytes !== saved * type.bytes) {
        throw refuse(`storage ${describe(key)}: expected ${saved * type.bytes} bytes of elements, found ${place?.bytes ?? 'none'}`);
      }
      return place;
    },
  };
}

/** What `use` makes out of bytes that are valid only while it runs. */
async function readSmall<T>(source: ByteSource, offset: number, bytes: number, use: (bytes: Uint8Array) => T): Promise<T> {
  const results: T[] = [];
  await source.read(offset, bytes, (piece) => results.push(use(piece)));
  return results[0] as T;
}

/** What stands for the globals that a checkpoint may name. */
function globalsOf(refuse: Refuse): ReadonlyMap<string, unknown> {
  const tensor: PickleFunction = (args) => new SavedTensor(args);
  const parameter: PickleFunction = ([data]) => data;
  let copied = 0;
  const dict: PickleFunction = ([pairs = []]) => {
    copied += Array.isArray(pairs) ? pairs.length : 0;
    if (copied > MAX_COPIED) throw refuse(`collections.OrderedDict: expected at most ${MAX_COPIED} items, found more`);
    if (Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2)) return new Map(pairs);
    throw refuse('collections.OrderedDict: expected pairs, found others');
  };
  const set: PickleFunction = ([items = []]) => items;
  return new Map<string, unknown>([
    ...STORAGE_TYPES,
    ['torch._utils._rebuild_tensor', tensor],
    ['torch._utils._rebuild_tensor_v2', tensor],
    ['torch._utils._rebuild_parameter', parameter],
    ['collections.OrderedDict', dict],
    ['builtins.set', set],
    ['__builtin__.set', set],
  ]);
}

/** ("storage", type, key, device, elements), and in the legacy format the part of it: None or (key, begin, elements). */
function storageOf(id: unknown, refuse: Refuse): Storage {
  const [kind, type, key, , saved, part] = Array.isArray(id) ? id : [];
  if (kind !== 'storage') throw refuse(`expected a storage outside the pickle, found ${describe(kind)}`);
  const [, begin, size] = Array.isArray(part) ? part : [key, 0, saved];
  if (!(type instanceof StorageType) || typeof key !== 'string' || !areCounts([saved, begin, size]) || begin + size > saved) {
    throw refuse(`storage ${describe(key)}: expected type, key and size, found ${describe([saved, part])}`);
  }
  return new Storage(type, key, saved, begin, size);
}

/** The tensors by name, wherever a training script put them. */
function stateDict(root: unknown, refuse: Refuse): ReadonlyMap<string, SavedTensor> {
  let value = root;
  for (let depth = 0; depth <= MAX_WRAPPERS && value instanceof Map; depth++) {
    const fields = [...value];
    const tensors = fields.filter(
      (field): field is [string, SavedTensor] => typeof field[0] === 'string' && field[1] instanceof SavedTensor,
    );
    if (tensors.length > 0) return new Map(tensors);
    const dicts = fields.filter(([, inner]) => inner instanceof Map);
    const wrapper = WRAPPERS.find((key) => dicts.some(([name]) => name === key));
    value = wrapper !== undefined ? value.get(wrapper) : dicts.length === 1 ? dicts[0]?.[1] : undefined;
  }
  const found = root instanceof Map ? `a dict of ${describe([...root.keys()])}` : 'something else';
  throw refuse(`expected tensors by name, or a dict of them under one of ${WRAPPERS.join(', ')}, found ${found}`);
}

function entryOf({ fields }: SavedTensor, { locate }: Saved, refuse: Refuse): Entry {
  const [storage, offset, dims, strides] = fields;
  if (!(storage instanceof Storage) || !isCount(offset) || !areCounts(dims) || !areCounts(strides) || dims.length !== strides.length) {
    throw refuse(`expected storage, offset, size and stride, found ${describe([offset, dims, strides])}`);
  }
  if (dims.length > MAX_DIMS) throw refuse(`expected at most ${MAX_DIMS} dimensions, found ${dims.length}`);
  const { dtype, bytes: elementBytes } = storage.type;
  const elements = countElements(dims);
  const span = spanOf({ dims, strides });
  if (!(elements <= storage.size && offset + span <= storage.size)) {
    const view = `${describe(dims)} with strides ${describe(strides)} from ${offset}`;
    throw refuse(`expected elements within its storage of ${storage.size}, found ${view}`);
  }
  if (elements === 0) return { dtype, dims, extents: [] };

  const place = locate(storage);
  const begin = place.offset + storage.begin * elementBytes;
  const bytes = elements * elementBytes;
  if (isContiguous({ dims, strides })) {
    return { dtype, dims, extents: [{ file: place.file, offset: begin + offset * elementBytes, bytes }] };
  }
  if (span * elementBytes > MAX_GATHERED) {
    throw refuse(`expected a tensor in row-major order, or one that spans at most ${MAX_GATHERED} bytes: save its .contiguous()`);
  }
  const gathered = new GatheredView({ ...place, offset: begin }, { dims, strides, offset, elementBytes });
  return { dtype, dims, extents: [{ file: gathered, offset: 0, bytes }] };
}

/** NaN when they, or those of any leading dimensions, are too many to count. */
function countElements(dims: readonly number[]): number {
  let count = 1;
  for (const d of dims) {
    count *= d;
    if (!Number.isSafeInteger(count)) return Number.NaN;
  }
  return count;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function areCounts(values: unknown): values is number[] {
  return Array.isArray(values) && values.every(isCount);
}
