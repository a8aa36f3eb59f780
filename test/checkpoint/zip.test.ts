import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TensorFile } from '../../src/checkpoint/checkpoint.ts';
import { openZip, type ZipRecord } from '../../src/checkpoint/zip.ts';
import { CheckpointError, LimitError } from '../../src/errors.ts';
import { openSource } from '../../src/files/source.ts';
import type { Limits } from '../../src/limits.ts';
import { golden, refuses } from '../helpers.ts';
import { bytes, integer, type ZipEnd, type ZipFields, zip } from './torchFiles.ts';

async function open(archive: Uint8Array<ArrayBuffer>, limits: Limits = {}): Promise<ReadonlyMap<string, ZipRecord>> {
  return openZip(new TensorFile(await (await openSource({ 'x.pth': archive })).open('x.pth')), limits);
}

async function contentOf(record: ZipRecord): Promise<string> {
  let content = '';
  await record.read(0, record.bytes, (piece) => {
    content = new TextDecoder().decode(piece);
  });
  return content;
}

const RECORDS: readonly ZipFields[] = [
  { name: 'a/data.pkl', content: bytes('pickle') },
  { name: 'a/é', content: bytes('second') },
  { name: 'empty', content: bytes() },
];

async function refused(change: Partial<ZipFields>, ...parts: string[]): Promise<void> {
  const [first, second, third] = RECORDS as [ZipFields, ZipFields, ZipFields];
  await refuses(() => open(zip([first, { ...second, ...change }, third])), CheckpointError, 'x.pth', ...parts);
}

for (const [name, end] of [
  ['an archive', {}],
  ['an archive with a comment', { comment: 'PK\x05\x06 and more' }],
  ['a zip64 archive', { zip64: true }],
] as const) {
  test(`the records of ${name} are read`, async () => {
    const records = await open(zip(RECORDS, end));
    assert.equal([...records.keys()], ['a/data.pkl', 'a/é', 'empty']);
    assert.equal(await Promise.all([...records.values()].map(contentOf)), ['pickle', 'second', '']);
  });
}

test('an archive that torch wrote is read, with alignment, data descriptors and zip64', async () => {
  const records = await open(golden('fb-linear/model.pth'));
  assert.equal(
    [...records].map(([name, { bytes: size }]) => [name, size]),
    [
      ['model/data.pkl', 291],
      ['model/.format_version', 1],
      ['model/.storage_alignment', 2],
      ['model/byteorder', 6],
      ['model/data/0', 3840],
      ['model/data/1', 40],
      ['model/version', 2],
      ['model/.data/serialization_id', 40],
    ],
  );
  assert.is(await contentOf(records.get('model/byteorder') as ZipRecord), 'little');
  assert.is(await contentOf(records.get('model/version') as ZipRecord), '3\n');
});

test('sizes and places that are in the zip64 field are read from there', async () => {
  const [first, second] = RECORDS as [ZipFields, ZipFields];
  const wide = 0xffffffff;
  const offset = 30 + first.name.length + first.content.length;
  const field = bytes(integer(9, 2), integer(1, 2), 'x', integer(1, 2), integer(24, 2), integer(6, 8), integer(6, 8), integer(offset, 8));
  const records = await open(zip([first, { ...second, size: wide, packed: wide, offset: wide, extra: field }]));
  assert.is(await contentOf(records.get('a/é') as ZipRecord), 'second');
  await refused({ size: wide, packed: wide }, 'record "a/é"', 'zip64 field for its bytes and packed');
  await refused({ size: wide, packed: wide, extra: field.subarray(0, 12) }, 'record "a/é"', 'zip64 field');
});

test('a record with a wrong checksum is refused by name when it is read, every time, and none of it is handed out', async () => {
  const record = (await open(zip([{ name: 'a/data/0', content: bytes('weights'), crc: 1 }]))).get('a/data/0') as ZipRecord;
  for (let i = 0; i < 2; i++) {
    let given = 0;
    const read = (): Promise<void> =>
      record.read(0, 1, (piece) => {
        given += piece.length;
      });
    await refuses(read, CheckpointError, 'x.pth: record "a/data/0"', 'checksum 00000001', 'damaged');
    assert.is(given, 0);
  }
});

test('compressed and encrypted records are refused by name', async () => {
  await refused({ method: 8 }, 'record "a/é"', 'stored', 'deflate', 'without compression');
  await refused({ method: 77 }, 'found method 77');
  await refused({ flags: 1 }, 'record "a/é"', 'encryption');
});

test('a name that is given twice or leads out of the archive is refused', async () => {
  await refused({ name: 'a/data.pkl' }, 'record "a/data.pkl"', 'another of that name');
  for (const name of ['../x', '/etc/passwd', 'a/../../x', 'C:x', 'a\\x', 'a//x', './x', 'folder/', '']) {
    await refused({ name }, `record ${JSON.stringify(name)}`, 'leads out');
  }
});

test('a record inside another one, outside the file, or of another size than it says is refused by name', async () => {
  await refused({ offset: 0 }, 'record "a/data.pkl"', '6 bytes before 0');
  await refused({ offset: 20 }, 'record "a/data.pkl"', '6 bytes before 20');
  await refused({ size: 7 }, 'record "a/é"', '7 bytes before 86');
  await refused({ offset: 80 }, 'record "a/é"', '6 bytes before 86');
  await refused({ size: 0xfffffff0 }, 'record "a/é"', '4294967280 bytes');
  await refused({ offset: 0xfffffff0 }, 'record "a/é"', '4294967280');
  await refused({ packed: 5 }, 'record "a/é"', '6 bytes, found 5');
});

test('a local header that disagrees with the central directory is refused by name', async () => {
  await refused({ localName: 'a/éé' }, 'record "a/é"', 'local header');
  await refused({ localName: 'a/è' }, 'record "a/é"', 'local header');
});

test('a central directory that is not where or what the end says is refused, before memory is taken for it', async () => {
  const archive = (end: ZipEnd) => () => open(zip(RECORDS, end));
  for (const zip64 of [false, true]) {
    await refuses(archive({ zip64, directoryOffset: 3 }), CheckpointError, 'x.pth: zip archive', 'directory to end at');
    await refuses(archive({ zip64, directoryBytes: 0xfffffff0 }), CheckpointError, 'directory to end at');
    await refuses(archive({ zip64, entries: 4 }), CheckpointError, 'expected 4 records, found the central header of 3');
    await refuses(archive({ zip64, entries: 2 }), CheckpointError, 'central directory of');
    await refuses(
      () => open(zip(RECORDS, { zip64, entries: 5 }), { tensors: 4 }),
      LimitError,
      'at most 4 records, found 5',
      'limits.tensors',
    );
  }
  await refuses(archive({ zip64: true, entries: 2 ** 40 }), LimitError, 'found 1099511627776');
});

test('a long central directory is refused', async () => {
  const extra = new Uint8Array(0xffff);
  const many = Array.from({ length: 257 }, (_, i) => ({ name: `r${i}`, content: bytes(), extra }));
  await refuses(() => open(zip(many)), LimitError, 'central directory of at most 16777216 bytes', 'limits.headerBytes');
});

test('an archive that was cut off anywhere is refused', async () => {
  const archive = zip(RECORDS, { zip64: true });
  for (let length = 0; length < archive.length; length++) {
    await refuses(() => open(archive.slice(0, length)), CheckpointError, 'x.pth: zip archive', 'truncated');
  }
});

test('a zip64 end that is not where its locator says is refused', async () => {
  const archive = zip(RECORDS, { zip64: true });
  for (const [place, part] of [
    [0, 'other bytes'],
    [archive.length, 'before'],
    [2 ** 50, 'before'],
  ] as const) {
    const moved = archive.slice();
    moved.set(integer(place, 8), archive.length - 22 - 12);
    await refuses(() => open(moved), CheckpointError, 'zip64 end', part);
  }
});

test('names that are not UTF-8 are refused', async () => {
  const archive = zip([{ name: 'é', content: bytes() }]);
  await refuses(() => open(archive.map((byte) => (byte === 0xc3 ? 0xff : byte))), CheckpointError, 'UTF-8');
});

test('what a record is compressed with is said by name', async () => {
  for (const [method, name] of [
    [8, 'deflate:'],
    [9, 'deflate64'],
    [12, 'bzip2'],
    [14, 'lzma'],
    [93, 'zstd'],
    [0xffff, 'method 65535'],
  ] as const) {
    await refused({ method }, `stored, found ${name}`);
  }
});

test('what is missing in an archive is said by name', async () => {
  await refuses(() => open(bytes('PK')), CheckpointError, 'expected the end of the central directory at the end, found none');
  const archive = zip(RECORDS, { zip64: true });
  archive.set(integer(0, 8), archive.length - 22 - 12);
  await refuses(() => open(archive), CheckpointError, 'expected the zip64 end of the central directory at 0, found other bytes');
});

test('a record without a name is refused as such, even alone', async () => {
  await refuses(() => open(zip([{ name: '', content: bytes() }])), CheckpointError, 'record ""', 'leads out');
});

test('a record whose local header is another structure, or says that it is compressed, is refused by name', async () => {
  const archive = zip(RECORDS);
  const second = 30 + 'a/data.pkl'.length + 'pickle'.length;
  for (const at of [second, second + 3, second + 8, second + 9]) {
    const damaged = archive.slice();
    damaged[at] = 8;
    await refuses(() => open(damaged), CheckpointError, 'record "a/é"', `a local header at ${second}`);
  }
});

test.run();
