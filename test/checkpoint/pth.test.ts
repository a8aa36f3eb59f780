import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { openPth } from '../../src/checkpoint/pth.ts';
import { CheckpointError, DTypeError, LimitError } from '../../src/errors.ts';
import { openSource } from '../../src/files/source.ts';
import type { RandomAccess } from '../../src/hosts/host.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { golden, refuses, valueOrNamedError } from '../helpers.ts';
import {
  bytes,
  dict,
  float32,
  number,
  PROTO,
  STOP,
  type TensorFields,
  tensor,
  text,
  torchLegacy,
  torchZip,
  tuple,
  zip,
} from './torchFiles.ts';

// made by Python's pickle and zipfile (goldens/pth/make.py)
const ZIP = golden('pth/zip.pth');
const LEGACY = golden('pth/legacy.pth');
// written by PyTorch 2.13
const REAL = golden('fb-linear/model.pth');

async function open(file: Uint8Array<ArrayBuffer>): Promise<Checkpoint> {
  return openPth(await (await openSource({ 'x.pth': file })).open('x.pth'));
}

async function readAll(file: Uint8Array<ArrayBuffer>): Promise<Map<string, Tensor>> {
  const checkpoint = await open(file);
  const tensors = new Map<string, Tensor>();
  for (const name of checkpoint.entries.keys()) tensors.set(name, await checkpoint.read(name));
  return tensors;
}

const refused = (file: Uint8Array<ArrayBuffer>, ...parts: string[]): Promise<void> =>
  refuses(() => readAll(file), CheckpointError, 'x.pth', ...parts);

/** What make.py put into both files, of the types that can be read. */
const TENSORS: readonly (readonly [name: string, dtype: Tensor['dtype'], dims: number[], values: readonly (number | bigint)[]])[] = [
  ['float32', 'float32', [3], [0, -1.5, 3]],
  ['float16', 'float16', [3], [1, -2, 0.5]],
  ['bfloat16', 'bfloat16', [2, 1], [1, -2]],
  ['int64', 'int64', [2], [1n, -(2n ** 40n)]],
  ['int32', 'int32', [1, 2], [7, -8]],
  ['int8', 'int8', [3], [-1, 0, 1]],
  ['uint8', 'uint8', [1], [255]],
  ['bool', 'bool', [2], [1, 0]],
  ['scalar', 'float32', [], [42]],
  ['empty', 'float32', [0, 4], []],
  ['parameter', 'float32', [2], [5, 6]],
  ['whole', 'float32', [2, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]],
  ['rows', 'float32', [2, 4], [8, 9, 10, 11, 12, 13, 14, 15]],
  ['transposed', 'float32', [4, 6], [0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23]],
  ['columns', 'float32', [6, 2], [1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22]],
  ['every_other', 'float32', [2, 3, 2], [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]],
  ['repeated', 'float32', [3, 2], [4, 5, 4, 5, 4, 5]],
  ['unit', 'float32', [1, 3, 1], [2, 3, 4]],
];

for (const [name, file] of [
  ['the zip format', ZIP],
  ['the legacy format', LEGACY],
] as const) {
  test(`every element type and every view is read from ${name}, out of a training script's dict`, async () => {
    const checkpoint = await open(file);
    const unreadable = { float64: 'float64', int16: 'int16' };
    assert.equal([...checkpoint.entries.keys()].sort(), [...TENSORS.map(([name]) => name), ...Object.keys(unreadable)].sort());
    for (const [name, dtype, dims, values] of TENSORS) {
      const found = await checkpoint.read(name);
      assert.equal([name, found.dtype, found.dims, found.data], [name, dtype, dims, new Tensor(dtype, values as number[], dims).data]);
    }
    for (const [name, word] of Object.entries(unreadable)) {
      assert.is(checkpoint.entries.get(name)?.dtype, word);
      await refuses(() => checkpoint.read(name), DTypeError, `tensor "${name}"`, `found ${word}`);
    }
  });

  test(`a tensor in row-major order is a stretch of the file in ${name}`, async () => {
    const { entries } = await open(file);
    const places = ['whole', 'rows', 'unit'].map((name) => entries.get(name)?.extents[0]);
    assert.ok(places.every((place) => place?.file === places[0]?.file));
    const begin = places[0]?.offset as number;
    assert.equal(
      places.map((place) => [(place?.offset as number) - begin, place?.bytes]),
      [
        [0, 96],
        [32, 32],
        [8, 12],
      ],
    );
  });
}

test('a checkpoint that PyTorch wrote is read', async () => {
  const tensors = await readAll(REAL);
  assert.equal(
    [...tensors].map(([name, { dtype, dims }]) => [name, dtype, dims]),
    [
      ['weight', 'float32', [10, 96]],
      ['bias', 'float32', [10]],
    ],
  );
  const first = Array.from(tensors.get('bias')?.data.subarray(0, 3) as Float32Array);
  assert.equal(first, [-0.18707159161567688, -0.14099420607089996, 0.006006176583468914]);
});

const ONE: TensorFields = { saved: 2, dims: [2] };
const ELEMENTS = { '0': float32(1, 2) };
const weights = (change: Partial<TensorFields> = {}): Uint8Array => dict({ weight: tensor({ ...ONE, ...change }) });

test('tensors are found in the dicts of training scripts, the teacher before the student', async () => {
  const other = dict({ other: tensor(ONE) });
  for (const value of [
    weights(),
    dict({ state_dict: weights(), epoch: 'K\x05' }),
    dict({ optimizer: dict({ state: '}' }), model: weights() }),
    dict({ student: other, teacher: weights(), dino_loss: dict({ center: tensor(ONE) }) }),
    dict({ my_own_name: weights(), epoch: 'K\x05' }),
    dict({ model: dict({ state_dict: dict({ module: weights() }) }) }),
    dict({ weight: tensor(ONE), epoch: 'K\x05', args: dict({ x: tensor(ONE) }) }),
  ]) {
    assert.equal([...(await readAll(torchZip(value, ELEMENTS))).keys()], ['weight']);
  }
});

test('a file without tensors by name is refused with what is in it', async () => {
  await refused(torchZip(dict({ a: 'N', b: 'N' })), 'teacher, state_dict, model', 'found a dict of ["a","b"]');
  await refused(torchZip(dict({ a: weights(), b: weights() }), ELEMENTS), 'found a dict of ["a","b"]');
  await refused(torchZip(tensor(ONE), ELEMENTS), 'expected tensors by name', 'found something else');
  await refused(torchZip(bytes(']', tensor(ONE), 'a'), ELEMENTS), 'found something else');
  await refused(torchZip(bytes('}K\x01', tensor(ONE), 's'), ELEMENTS), 'found a dict of [1]');
  await refused(torchZip('}q\x00X\x05\x00\x00\x00modelh\x00s'), 'found a dict of ["model"]'); // the dict itself
});

test('a forbidden global is refused by name, in every place', async () => {
  const evil = bytes('cos\nsystem\n', tuple(text('echo')), 'R');
  await refused(torchZip(evil), 'global "os.system"');
  await refused(torchZip(dict({ weight: tensor(ONE), args: evil }), ELEMENTS), 'global "os.system"');
  await refused(torchLegacy(evil), 'global "os.system"');
  await refused(bytes(PROTO, evil, STOP), 'global "os.system"');
  for (const name of ['argparse\nNamespace', 'numpy.core.multiarray\nscalar', '__torch__\nModel', 'torch._utils\n_rebuild_qtensor']) {
    await refused(torchZip(`c${name}\n`), `global "${name.replace('\n', '.')}"`);
  }
});

test('a tensor that is not what a tensor should be is refused by name', async () => {
  const wrong = (args: string | Uint8Array): Uint8Array<ArrayBuffer> =>
    torchZip(dict({ weight: bytes('ctorch._utils\n_rebuild_tensor_v2\n', args, 'R') }), ELEMENTS);
  await refused(wrong(')'), 'tensor "weight"', 'storage, offset, size and stride');
  await refused(wrong(tuple('N', 'N', 'N', 'N')), 'tensor "weight"', 'found [null,null,null]');
  for (const change of [{ offset: -1 }, { dims: [-2], strides: [1] }, { strides: [-1] }, { strides: [1, 1] }]) {
    await refused(torchZip(weights(change), ELEMENTS), 'tensor "weight"', 'storage, offset, size and stride');
  }
  await refused(torchZip(dict({ weight: bytes(tuple(text('module')), 'Q') })), 'a storage outside the pickle, found "module"');
  await refused(torchZip(dict({ weight: bytes('N', 'Q') })), 'a storage outside the pickle');
  await refused(torchZip(weights({ saved: -2 }), ELEMENTS), 'storage "0": expected type, key and size');
  await refused(torchZip(weights({ kind: 'Quantized' }), ELEMENTS), 'global "torch.QuantizedStorage"');
});

test('a view outside its storage, or with more elements, is refused by name before memory is taken', async () => {
  for (const change of [
    { offset: 1 },
    { offset: 3, dims: [0] },
    { dims: [3] },
    { strides: [2] },
    { dims: [2 ** 40], strides: [0] },
    { dims: [2 ** 30, 2 ** 30], strides: [0, 0] },
    { dims: [2 ** 30, 2 ** 30, 0] },
    { dims: [2], strides: [2 ** 52] },
  ]) {
    await refused(torchZip(weights(change), ELEMENTS), 'tensor "weight"', 'within its storage of 2');
  }
});

test('a storage that is missing or of another size is refused by name', async () => {
  await refused(torchZip(weights()), 'storage "0": expected a record of 8 bytes, found none');
  await refused(torchZip(weights({ key: '../data.pkl' }), ELEMENTS), 'storage "../data.pkl"');
  await refused(torchZip(weights(), { '0': float32(1, 2, 3) }), 'expected a record of 8 bytes, found 12 bytes');
  await refused(torchZip(weights({ kind: 'Double' }), ELEMENTS), 'expected a record of 16 bytes, found 8 bytes');
});

test('many tensors on one storage, which would take memory without end, are refused', async () => {
  const many = dict(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`t${i}`, tensor({ saved: 2 ** 16, dims: [2 ** 16] })])));
  await refused(torchZip(many, { '0': new Uint8Array(2 ** 18) }), 'times the file', 'found 262144000', 'share a storage');
  const tied = dict({ a: tensor({ saved: 2 ** 16, dims: [2 ** 16] }), b: tensor({ saved: 2 ** 16, dims: [2 ** 16] }) });
  assert.is((await readAll(torchZip(tied, { '0': new Uint8Array(2 ** 18) }))).size, 2);
});

/** A file of which only the beginning is there, and zeros behind it. */
class SparseFile implements RandomAccess {
  readonly name = 'x.pth';
  readonly size = 2 ** 40;
  readonly #start: Uint8Array;

  constructor(start: Uint8Array) {
    this.#start = start;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    assert.ok(length <= 2 ** 25, `read ${length} bytes`);
    const piece = new Uint8Array(length);
    piece.set(this.#start.subarray(offset, offset + length));
    return piece;
  }

  async close(): Promise<void> {}
}

test('a tensor that cannot be gathered in bounded memory is refused by name, with what to do', async () => {
  const limits = { checkpointBytes: 2 ** 40 };
  const file = (strides: number[]): RandomAccess =>
    new SparseFile(torchLegacy(weights({ saved: 2 ** 32, dims: [2 ** 16, 2 ** 16], strides, view: 'N' }), [['0', 2 ** 32, bytes()]]));
  await refuses(() => openPth(file([1, 2 ** 16]), limits), CheckpointError, 'tensor "weight"', '268435456 bytes', '.contiguous()');
  assert.is((await openPth(file([2 ** 16, 1]), limits)).entries.get('weight')?.extents[0]?.bytes, 2 ** 34);
});

test('an archive of another kind is refused by name', async () => {
  const pickle = bytes(PROTO, dict({}), STOP);
  await refused(zip([{ name: 'a/other.pkl', content: pickle }]), 'data.pkl', 'found 0');
  await refused(zip([{ name: 'data.pkl', content: pickle }]), 'data.pkl', 'found 0');
  await refused(zip(['a', 'b'].map((folder) => ({ name: `${folder}/data.pkl`, content: pickle }))), 'data.pkl', 'found 2');
  const ordered = (order: string): Uint8Array<ArrayBuffer> =>
    zip([
      { name: 'a/data.pkl', content: pickle },
      { name: 'a/byteorder', content: bytes(order) },
    ]);
  await refused(ordered('big'), 'byteorder: expected "little", found "big"');
  await refused(ordered('x'.repeat(17)), 'record "a/byteorder"', 'at most 16 bytes');
  const long = zip([{ name: 'a/data.pkl', content: new Uint8Array(2 ** 24 + 1) }]);
  await refuses(() => readAll(long), LimitError, 'x.pth: record "a/data.pkl"', 'at most 16777216 bytes', 'limits.headerBytes');
});

test('a damaged record is refused by name, that of a tensor when it is read', async () => {
  const damaged = REAL.slice();
  damaged[damaged.length - 1500] ^= 1;
  const checkpoint = await open(damaged);
  assert.is((await checkpoint.read('bias')).size, 10);
  await refuses(() => checkpoint.read('weight'), CheckpointError, 'x.pth: record "model/data/0"', 'checksum');
  const pickle = REAL.slice();
  pickle[100] ^= 1;
  await refused(pickle, 'record "model/data.pkl"', 'checksum');
});

test('the storages of the legacy format are where their order says', async () => {
  const value = dict({ a: tensor({ ...ONE, key: 'p', view: 'N' }), b: tensor({ ...ONE, key: 'q', view: 'N' }) });
  const tensors = await readAll(
    torchLegacy(value, [
      ['q', 2, float32(3, 4)],
      ['p', 2, float32(1, 2)],
    ]),
  );
  assert.equal(
    [tensors.get('a')?.tolist(), tensors.get('b')?.tolist()],
    [
      [1, 2],
      [3, 4],
    ],
  );
});

test('a storage that is part of another, as in old files, is read there', async () => {
  const part = (begin: number, size: number): Uint8Array => tuple(text('part'), number(begin), number(size));
  const file = (view: Uint8Array): Uint8Array<ArrayBuffer> => torchLegacy(weights({ saved: 5, view }), [['0', 5, float32(0, 1, 2, 3, 4)]]);
  assert.equal((await readAll(file(part(2, 2)))).get('weight')?.tolist(), [2, 3]);
  await refused(file(part(2, 1)), 'tensor "weight"', 'within its storage of 1');
  await refused(file(part(4, 2)), 'storage "0": expected type, key and size');
});

test('a legacy file that does not keep its word is refused by name', async () => {
  const value = weights({ view: 'N' });
  const content = float32(1, 2);
  await refused(torchLegacy(value, [['0', 2, content]], { littleEndian: false }), 'little-endian');
  await refused(torchLegacy(value, [['0', 2, content]], { magic: 1n }), 'another pickle');
  await refused(torchLegacy(value), 'storage "0": expected 8 bytes of elements, found none');
  await refused(torchLegacy(value, [['0', 3, content]]), 'storage "0": expected 2 elements, found 3');
  await refused(torchLegacy(value, [['1', 2, content]]), 'the key of a storage, each once, found "1"');
  await refused(
    torchLegacy(value, [
      ['0', 2, content],
      ['0', 2, content],
    ]),
    'each once, found "0"',
  );
  await refused(torchLegacy(value, [['0', 2, content]]).slice(0, -1), 'storage "0": expected 8 bytes', 'found the end');
  const twice = dict({ large: tensor({ ...ONE, saved: 1000, dims: [1000], view: 'N' }), small: tensor({ ...ONE, view: 'N' }) });
  await refused(torchLegacy(twice, [['0', 2, content]]), 'storage "0": expected 4000 bytes of elements, found 8');
  await refused(bytes(PROTO, 'N', STOP), 'another pickle');
});

test('a legacy file that was cut off anywhere is refused', async () => {
  for (let length = 0; length < LEGACY.length; length += 7) await refused(LEGACY.slice(0, length));
});

test('what is no checkpoint is refused with how it begins', async () => {
  for (const file of [bytes(), bytes('P'), bytes('{"a": 1}'), golden('safetensors/every-dtype.safetensors')]) {
    await refused(file, 'a checkpoint of PyTorch, a zip archive or a pickle', 'begins with the bytes [');
  }
});

test('the file is closed after an error and with the checkpoint', async () => {
  let closed = 0;
  const file = (content: Uint8Array): RandomAccess => ({
    name: 'x.pth',
    size: content.length,
    read: async (offset, length) => content.subarray(offset, offset + length),
    close: async () => {
      closed += 1;
    },
  });
  await refuses(() => openPth(file(bytes('no'))), CheckpointError);
  assert.is(closed, 1);
  await (await openPth(file(REAL))).close();
  assert.is(closed, 2);
});

/** A file with some bytes changed, some taken out and some put in. */
const mutated = (file: Uint8Array<ArrayBuffer>): fc.Arbitrary<Uint8Array<ArrayBuffer>> =>
  fc
    .array(
      fc.record({ at: fc.nat(file.length - 1), byte: fc.nat(255), kind: fc.constantFrom('change', 'change', 'change', 'take', 'put') }),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .map((changes) => {
      const result = [...file];
      for (const { at, byte, kind } of changes) result.splice(at, kind === 'put' ? 0 : 1, ...(kind === 'take' ? [] : [byte]));
      return new Uint8Array(result);
    });

const survives = (files: fc.Arbitrary<Uint8Array<ArrayBuffer>>, numRuns: number, seed: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(files, async (file) => {
      const checkpoint = await valueOrNamedError(() => open(file));
      for (const name of checkpoint?.entries.keys() ?? []) {
        const tensor = await valueOrNamedError(() => checkpoint?.read(name));
        assert.ok((tensor?.bytes ?? 0) <= 2 * file.length);
      }
    }),
    { numRuns, seed },
  );

test('any bytes give a checkpoint or a named error', async () => {
  const start = fc.constantFrom(bytes('PK\x03\x04'), bytes(PROTO), LEGACY.subarray(0, 15), LEGACY.subarray(0, 140), bytes());
  await survives(
    fc.tuple(start, fc.uint8Array({ maxLength: 300 })).map(([head, tail]) => bytes(head, tail)),
    500,
    6,
  );
});

test('a mutated file gives a checkpoint or a named error', async () => {
  await survives(mutated(ZIP), 300, 7);
  await survives(mutated(LEGACY), 300, 8);
});

test('a mutated pickle with the right checksum gives a checkpoint or a named error', async () => {
  const pickle = bytes(PROTO, dict({ a: tensor(ONE), b: tensor({ ...ONE, dims: [1, 2], strides: [7, 1] }), c: number(3) }), STOP);
  const files = mutated(pickle).map((content) =>
    zip([
      { name: 'x/data.pkl', content },
      { name: 'x/data/0', content: float32(1, 2) },
    ]),
  );
  await survives(files, 1000, 9);
});

test('small pickles that would take much time or memory are refused', async () => {
  const many = new Array<number>(65).fill(1);
  await refuses(
    () => open(torchZip(dict({ a: tensor({ saved: 1, dims: many }) }), { 0: float32(1) })),
    CheckpointError,
    'at most 64 dimensions, found 65',
  );
  const pairs = bytes('](', ...new Array<string>(100_000).fill('NN\x86'), 'eq\x01');
  const copies = new Array<string>(11).fill('ccollections\nOrderedDict\nh\x01\x85R').join('');
  await refuses(() => open(torchZip(bytes(pairs, copies))), CheckpointError, 'OrderedDict: expected at most 1000000 items');
});

test('a million items of lists may become dicts', async () => {
  const pairs = bytes('](', ...new Array<string>(100_000).fill('NN\x86'), 'eq\x01');
  const copies = new Array<string>(10).fill('ccollections\nOrderedDict\nh\x01\x85R').join('');
  await refused(torchZip(bytes(pairs, copies)), 'expected tensors by name');
});

test.run();
