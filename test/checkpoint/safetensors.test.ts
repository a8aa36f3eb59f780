import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { type NamedTensor, openSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { ArgumentError, CheckpointError, DisposedError, DTypeError, LimitError, ShapeError } from '../../src/errors.ts';
import { openSource } from '../../src/files/source.ts';
import type { RandomAccess } from '../../src/hosts/host.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { golden, MemoryWriter, refuses, valueOrNamedError } from '../helpers.ts';

// both written by the Python package safetensors 0.8.0 (`safetensors.serialize`)
const EVERY_DTYPE = golden('safetensors/every-dtype.safetensors');
const FOREIGN_DTYPES = golden('safetensors/foreign-dtypes.safetensors');
const REAL = golden('encoder-act-relu/io.safetensors');

const tensor = (name: string, dtype: NamedTensor['dtype'], dims: number[], values: number[] | bigint[]): NamedTensor => ({
  name,
  dtype,
  dims,
  data: new Tensor(dtype, values as number[], dims).data,
});

/** What is in every-dtype.safetensors. */
const TENSORS: readonly NamedTensor[] = [
  tensor('weight', 'float32', [2, 3], [0, 1, 2, 3, -4.5, 6]),
  tensor('bias', 'float32', [3], [1, 2, 3]),
  tensor('half', 'float16', [3], [1, -2, 0.5]),
  tensor('brain', 'bfloat16', [2], [1, -2]),
  tensor('long', 'int64', [2], [1n, -2n]),
  tensor('int', 'int32', [1, 2], [7, -8]),
  tensor('signed', 'int8', [3], [-1, 0, 1]),
  tensor('bytes', 'uint8', [1], [255]),
  tensor('flag', 'bool', [2], [1, 0]),
  tensor('scalar', 'float32', [], [42]),
  tensor('empty', 'float32', [0, 4], []),
  tensor('7', 'float32', [1], [7]),
  tensor('naïve "quoted"\n', 'float32', [1], [8]),
];

async function open(bytes: Uint8Array<ArrayBuffer>): Promise<Checkpoint> {
  const source = await openSource({ 'some.safetensors': bytes });
  return openSafetensors(await source.open('some.safetensors'));
}

async function write(tensors: Iterable<NamedTensor>, metadata?: Record<string, string>): Promise<Uint8Array<ArrayBuffer>> {
  const writer = new MemoryWriter();
  await writeSafetensors(writer, tensors, metadata);
  return writer.bytes;
}

/** A file with this header, `length` bytes of zeros behind it, and the header's own length unless another is claimed. */
function forge(header: string | object, length: number, claimed?: bigint): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + length);
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const f32 = (shape: unknown, ...data_offsets: unknown[]): object => ({ dtype: 'F32', shape, data_offsets });

async function readAll(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const checkpoint = await open(bytes);
  for (const name of checkpoint.entries.keys()) await checkpoint.read(name);
}

test('every element type is read as the original wrote it', async () => {
  const checkpoint = await open(EVERY_DTYPE);
  assert.equal([...checkpoint.metadata], [['format', 'pt']]);
  assert.is(checkpoint.entries.size, TENSORS.length);
  for (const { name, dtype, dims, data } of TENSORS) {
    const found = await checkpoint.read(name);
    assert.equal([name, found.dtype, found.dims, found.data], [name, dtype, dims, data]);
  }
});

test('tensors are written byte for byte as the original writes them, in whatever order they come', async () => {
  assert.equal(await write(TENSORS, { format: 'pt' }), EVERY_DTYPE);
  assert.equal(await write([...TENSORS].reverse(), { format: 'pt' }), EVERY_DTYPE);
});

test('the smallest files are those of the tests of the original', async () => {
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.subarray(8));
  assert.is(text(await write([])), '{}      ');
  assert.is(text(await write([], { framework: 'pt' })), '{"__metadata__":{"framework":"pt"}}     ');
  assert.is((await write([], { framework: 'pt' }))[0], 40);
  assert.is((await open(await write([]))).entries.size, 0);
});

test('metadata are written in the order of their keys', async () => {
  assert.equal(await write([], { b: '2', a: '1' }), await write([], { a: '1', b: '2' }));
});

test('a real file, read and written, is the same file', async () => {
  const checkpoint = await open(REAL);
  const tensors: NamedTensor[] = [];
  for (const name of checkpoint.entries.keys()) {
    const { dtype, dims, data } = await checkpoint.read(name);
    tensors.push({ name, dtype, dims, data });
  }
  assert.equal(await write(tensors, Object.fromEntries(checkpoint.metadata)), REAL);
});

test('any tensors can be written and read again', () =>
  fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string(), fc.tuple(fc.constantFrom('float32', 'float16', 'int8'), fc.array(fc.nat(3), { maxLength: 3 }))),
      async (shapes) => {
        const tensors = Object.entries(shapes)
          .filter(([name]) => name !== '__metadata__')
          .map(([name, [dtype, dims]]) => tensor(name, dtype, dims, Array(dims.reduce((a, b) => a * b, 1)).fill(1)));
        const checkpoint = await open(await write(tensors));
        assert.is(checkpoint.entries.size, tensors.length);
        for (const { name, dtype, dims, data } of tensors) {
          const found = await checkpoint.read(name);
          assert.equal([found.dtype, found.dims, found.data], [dtype, dims, data]);
        }
      },
    ),
    { seed: 3, numRuns: 50 },
  ));

test('a tensor of a type this library lacks is refused by name only when it is read', async () => {
  const checkpoint = await open(FOREIGN_DTYPES);
  assert.equal(
    [...checkpoint.entries].map(([name, { dtype }]) => [name, dtype]),
    [
      ['double', 'F64'],
      ['single', 'float32'],
      ['short', 'I16'],
      ['f8', 'F8_E4M3'],
    ],
  );
  assert.equal([...(await checkpoint.read('single')).data], [3]);
  await refuses(() => checkpoint.read('double'), DTypeError, 'some.safetensors: tensor "double"', 'float32', 'found F64');
  await refuses(() => checkpoint.stream('f8', () => {}), DTypeError, 'tensor "f8"', 'found F8_E4M3');
});

test('elements of each type of the format have their bits, and there are no others', async () => {
  const names =
    'BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 F64 I64 U64';
  for (const dtype of names.split(' ')) {
    const bytes = dtype === 'BOOL' ? 8 : Number(/\d+/.exec(dtype)); // of eight elements
    const header = { a: { dtype, shape: [8], data_offsets: [0, bytes] } };
    assert.equal((await open(forge(header, bytes))).entries.get('a')?.dims, [8], dtype);
    for (const other of [bytes - 1, bytes + 1]) {
      const wrong = { a: { ...header.a, data_offsets: [0, other] } };
      await refuses(() => open(forge(wrong, other)), CheckpointError, `data_offsets: expected ${bytes} bytes for ${dtype} [8]`);
    }
  }
  const unknown = { a: { dtype: 'U1', shape: [8], data_offsets: [0, 1] } };
  await refuses(
    () => open(forge(unknown, 1)),
    CheckpointError,
    `tensor "a": dtype: expected one of ${names.replaceAll(' ', ', ')}, found "U1"`,
  );
});

test('a tensor that is not there is refused by name', async () => {
  await refuses(async () => (await open(EVERY_DTYPE)).read('other'), CheckpointError, 'some.safetensors', '"other"');
});

test('a truncated header is refused by name', async () => {
  await refuses(() => open(EVERY_DTYPE.slice(0, 7)), CheckpointError, 'some.safetensors', 'at least 8 bytes', 'found 7');
  await refuses(() => open(EVERY_DTYPE.slice(0, 500)), CheckpointError, 'some.safetensors', 'truncated', 'found 492');
});

test('truncated tensors and bytes left over are refused by name', async () => {
  await refuses(() => open(EVERY_DTYPE.slice(0, -1)), CheckpointError, 'expected 88 bytes', 'found 87', 'truncated');
  await refuses(() => open(new Uint8Array([...EVERY_DTYPE, 0])), CheckpointError, 'expected 88 bytes', 'found 89', 'left over');
});

test('a header that lies about its length is refused', async () => {
  await refuses(() => open(forge('{}', 0, 100_000_001n)), CheckpointError, 'at most 100000000 bytes', 'found 100000001');
  await refuses(() => open(forge('{}', 0, 2n ** 64n - 1n)), CheckpointError, 'found 18446744073709551615');
  await refuses(() => open(forge('{}', 0, 3n)), CheckpointError, 'expected a header of 3 bytes');
  await refuses(() => open(forge('{}', 0, 1n)), CheckpointError, 'header, line 1');
  await refuses(() => open(forge('', 0)), CheckpointError, 'starts with "{"');
});

test('another format is refused', async () => {
  const zip = new Uint8Array(100);
  zip.set([0x50, 0x4b, 3, 4, 0, 0, 8, 8]);
  await refuses(() => open(zip), CheckpointError, 'another format');
  await refuses(() => open(forge(' {}', 0)), CheckpointError, 'starts with "{"', 'found 32');
  await refuses(() => open(forge('[]', 0)), CheckpointError, 'starts with "{"');
});

test('each field of a header is checked and named', async () => {
  const cases: [object, ...string[]][] = [
    [{ a: 1 }, 'tensor "a": dtype', 'found nothing'],
    [{ a: { ...f32([1], 0, 4), dtype: 'F31' } }, 'dtype', 'expected one of BOOL', 'found "F31"'],
    [{ a: { ...f32([1], 0, 4), dtype: 'toString' } }, 'dtype', 'found "toString"'],
    [{ a: f32(undefined, 0, 4) }, 'shape', 'found nothing'],
    [{ a: f32([1.5], 0, 4) }, 'shape', 'found [1.5]'],
    [{ a: f32([-1], 0, 4) }, 'shape', 'found [-1]'],
    [{ a: f32(['1'], 0, 4) }, 'shape', 'found ["1"]'],
    [{ a: f32([1]) }, 'data_offsets', 'found []'],
    [{ a: f32([1], 0, 4, 8) }, 'data_offsets', 'found [0,4,8]'],
    [{ a: f32([1], -4, 0) }, 'data_offsets', 'found [-4,0]'],
    [{ a: f32([1], 4, 0) }, 'data_offsets', 'expected 4 bytes for F32 [1]', 'found [4,0]'],
    [{ a: f32([2], 0, 4) }, 'data_offsets', 'expected 8 bytes for F32 [2]', 'found [0,4]'],
    [{ a: f32([2 ** 30, 2 ** 30], 0, 4) }, 'shape', 'can be counted'],
    [{ a: f32([2 ** 52, 2 ** 52, 0], 0, 0) }, 'shape', 'can be counted'],
    [{ a: { dtype: 'F4', shape: [3], data_offsets: [0, 2] } }, 'shape', 'whole bytes'],
    [{ a: f32([1], 0, 4), __metadata__: { a: 1 } }, '__metadata__', 'expected an object of strings'],
    [{ a: f32([1], 0, 4), __metadata__: [] }, '__metadata__', 'found []'],
  ];
  for (const [header, ...parts] of cases) await refuses(() => open(forge(header, 4)), CheckpointError, 'some.safetensors', ...parts);
});

test('holes and overlaps are refused with the tensor behind them', async () => {
  await refuses(() => open(forge({ a: f32([1], 4, 8) }, 8)), CheckpointError, 'tensor "a"', 'from 0, found 4', 'hole');
  await refuses(() => open(forge({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12)), CheckpointError, 'tensor "b"', 'from 4, found 8', 'hole');
  await refuses(() => open(forge({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8)), CheckpointError, 'tensor "b"', 'overlaps');
  await refuses(() => open(forge({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4)), CheckpointError, 'tensor "b"', 'overlaps');
});

test('a tensor given twice is refused by name', async () => {
  const field = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
  await refuses(() => open(forge(`{${field},${field}}`, 4)), CheckpointError, 'found "a" again');
});

test('tensors may come in any order in the header, and have any name', async () => {
  const header = '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  assert.equal([...(await open(forge(header, 8))).entries.keys()], ['__proto__', 'b']);
});

test('more than 100000 tensors are refused', async () => {
  const header = Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`t${i}`, 0]));
  await refuses(() => open(forge(header, 0)), LimitError, 'at most 100000 tensors', 'found 100001', 'limits.tensors');
});

test('the file is closed when it is refused, and with the checkpoint', async () => {
  let closed = 0;
  const file = (bytes: Uint8Array): RandomAccess => ({
    name: 'x',
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    close: async () => {
      closed += 1;
    },
  });
  await refuses(() => openSafetensors(file(forge('{', 0))), CheckpointError);
  assert.is(closed, 1);
  const checkpoint = await openSafetensors(file(EVERY_DTYPE));
  await checkpoint.close();
  assert.is(closed, 2);
  await refuses(() => checkpoint.read('bias'), DisposedError, 'x: read after it was closed');
});

test('tensors read at the same time do not disturb each other, though a file may reuse its buffer', async () => {
  const buffer = new Uint8Array(1000);
  const checkpoint = await openSafetensors({
    name: 'x',
    size: EVERY_DTYPE.length,
    async read(offset, length) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      buffer.set(EVERY_DTYPE.subarray(offset, offset + length));
      await new Promise((resolve) => setTimeout(resolve, 0));
      return buffer.subarray(0, length);
    },
    async close() {},
  });
  const found = await Promise.all(TENSORS.map(({ name }) => checkpoint.read(name)));
  for (const [i, { data }] of TENSORS.entries()) assert.equal(found[i]?.data, data);
});

test('a large tensor is streamed in pieces of at most 4 MiB', async () => {
  const size = (9 * 2 ** 20) / 4;
  const bytes = await write([{ name: 'large', dtype: 'float32', dims: [size], data: Float32Array.from({ length: size }, (_, i) => i) }]);
  const checkpoint = await open(bytes);
  const pieces: [number, number][] = [];
  let sum = 0;
  await checkpoint.stream('large', (piece, offset) => {
    pieces.push([offset, piece.length]);
    sum += new DataView(piece.buffer, piece.byteOffset).getFloat32(0, true);
  });
  const mib = 2 ** 20;
  assert.equal(pieces, [
    [0, 4 * mib],
    [4 * mib, 4 * mib],
    [8 * mib, mib],
  ]);
  assert.is(sum, mib + 2 * mib);
});

test('names that are taken and data that are not as described are refused', async () => {
  const good = tensor('a', 'float32', [1], [1]);
  await refuses(() => write([good, good]), ArgumentError, 'tensor "a"', 'taken');
  await refuses(() => write([{ ...good, name: '__metadata__' }]), ArgumentError, '"__metadata__"');
  await refuses(() => write([{ ...good, dims: [2] }]), ShapeError, 'tensor "a"', 'expected 2 elements for [2], found 1');
  await refuses(() => write([{ ...good, dims: [-1, -1] }]), ShapeError, 'found [-1,-1]');
  await refuses(() => write([{ ...good, dtype: 'int32' }]), DTypeError, 'tensor "a"', 'expected Int32Array');
  await refuses(() => write([{ ...good, dtype: 'float64' as 'float32' }]), DTypeError, 'float64');
});

test('data are asked for one tensor at a time, when they are written', async () => {
  const asked: string[] = [];
  const lazy = (name: string): NamedTensor => ({
    ...{ name, dtype: 'int8', dims: [1] },
    get data() {
      asked.push(name);
      return Int8Array.of(1);
    },
  });
  const writer = new MemoryWriter();
  const write = writer.write.bind(writer);
  writer.write = async (bytes) => {
    asked.push('write');
    await write(bytes);
  };
  await writeSafetensors(writer, [lazy('b'), lazy('a')]);
  assert.equal(asked, ['write', 'a', 'write', 'b', 'write']);
});

test('data may come in pieces, which have to be of the type and together as many', async () => {
  async function* pieces(
    ...parts: (Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>)[]
  ): AsyncGenerator<Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>> {
    yield* parts;
  }
  const inPieces = (...parts: Parameters<typeof pieces>): NamedTensor => ({ name: 'a', dtype: 'int8', dims: [3], data: pieces(...parts) });
  assert.equal(await write([inPieces(Int8Array.of(1), Int8Array.of(2, 3))]), await write([tensor('a', 'int8', [3], [1, 2, 3])]));
  await refuses(() => write([inPieces(Int8Array.of(1), Int8Array.of(2))]), ShapeError, 'expected 3 elements for [3], found 2');
  await refuses(() => write([inPieces(Int8Array.of(1, 2), Uint8Array.of(3))]), DTypeError, 'expected Int8Array');
});

test('a damaged real file gives tensors or a named error, never anything else', () => {
  const end = 8 + Number(new DataView(REAL.buffer).getBigUint64(0, true));
  const place = fc.nat(end - 1);
  const digit = fc.constantFrom(...'0123456789-."{}[],:e\u0000ÿ'.split('')).map((c) => c.charCodeAt(0));
  const damage = fc.oneof(
    fc.record({ at: place, byte: fc.oneof(digit, fc.nat(255)) }).map(
      ({ at, byte }) =>
        (b: number[]) =>
          void b.splice(at, 1, byte),
    ),
    fc.record({ at: place, byte: digit }).map(
      ({ at, byte }) =>
        (b: number[]) =>
          void b.splice(at, 0, byte),
    ),
    fc.record({ at: place, count: fc.nat(200) }).map(
      ({ at, count }) =>
        (b: number[]) =>
          void b.splice(at, count),
    ),
    fc.record({ from: place, count: fc.nat(200), to: place }).map(
      ({ from, count, to }) =>
        (b: number[]) =>
          void b.splice(to, 0, ...b.slice(from, from + count)),
    ),
    fc.nat(REAL.length).map((length) => (b: number[]) => void b.splice(length)),
  );
  let refused = 0;
  return fc
    .assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        const bytes = [...REAL.subarray(0, end)];
        for (const apply of damages) apply(bytes);
        const file = new Uint8Array(bytes.length + REAL.length - end);
        file.set(bytes);
        file.set(REAL.subarray(end), bytes.length);
        if ((await valueOrNamedError(() => readAll(file).then(() => true))) === undefined) refused += 1;
      }),
      { seed: 4, numRuns: 600 },
    )
    .then(() => assert.ok(refused > 400, `${refused} of 600 refused`));
});

test('a header of 100 million bytes is not too long by itself', async () => {
  await refuses(() => open(forge('{}', 0, 100_000_000n)), CheckpointError, 'expected a header of 100000000 bytes', 'truncated');
});

test('metadata stand in the header in the order of their keys, not in that of their values', async () => {
  const bytes = await write([], { b: '1', a: '2', c: '0' });
  assert.is(new TextDecoder().decode(bytes.subarray(8)).trimEnd(), '{"__metadata__":{"a":"2","b":"1","c":"0"}}');
});

test.run();
