import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageError } from '../../src/errors.ts';
import { isJpeg, jpegSegments, MARKER, readJpegHeader, startsWith } from '../../src/image/jpeg.ts';
import { refuses } from '../helpers.ts';

type Bytes = readonly number[];

const ascii = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0));
const segment = (marker: number, data: Bytes): number[] => [0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255, ...data];
const file = (...parts: readonly Bytes[]): Uint8Array => Uint8Array.from([0xff, 0xd8, ...parts.flat(), 0xff, 0xd9]);

interface Frame {
  readonly type?: number;
  readonly precision?: number;
  readonly width?: number;
  readonly height?: number;
  readonly ids?: Bytes;
  /** Horizontal and vertical factor of each component, as hexadecimal digits. */
  readonly sampling?: Bytes;
}

/** A frame header (T.81 B.2.2). */
function frame({ type = 0, precision = 8, width = 16, height = 16, ids = [1, 2, 3], sampling = [] }: Frame = {}): number[] {
  const components = ids.flatMap((id, i) => [id, sampling[i] ?? 0x11, 0]);
  return segment(0xc0 + type, [precision, height >> 8, height & 255, width >> 8, width & 255, ids.length, ...components]);
}

/** A scan header (T.81 B.2.3) and some coded bytes. */
const scan = (ids: Bytes = [1, 2, 3], first = 0): number[] => [
  ...segment(MARKER.SOS, [ids.length, ...ids.flatMap((id) => [id, 0]), first, 63, 0]),
  ...[7, 7],
];

const read = (...parts: readonly Bytes[]): ReturnType<typeof readJpegHeader> =>
  readJpegHeader([...jpegSegments(file(...parts), 'a.jpg')], 'a.jpg');
const refused = (parts: readonly Bytes[], ...words: string[]): Promise<void> =>
  refuses(() => read(...parts), ImageError, 'a.jpg', ...words);

const JFIF = segment(MARKER.APP0, [...ascii('JFIF'), 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
const adobe = (transform: number): number[] => segment(MARKER.APP14, [...ascii('Adobe'), 0, 100, 0, 0, 0, 0, transform]);

test('the first three bytes tell a JPEG', () => {
  assert.ok(isJpeg(Uint8Array.of(0xff, 0xd8, 0xff)));
  for (const other of [[], [0xff, 0xd8], [0xff, 0xd8, 0], [0, 0xd8, 0xff], [0xff, 0, 0xff]]) assert.not.ok(isJpeg(Uint8Array.from(other)));
});

test('data begin with a text when all its characters are there', () => {
  assert.ok(startsWith(Uint8Array.from(ascii('Adobe!')), 'Adobe'));
  assert.not.ok(startsWith(Uint8Array.from(ascii('Adob')), 'Adobe'));
  assert.not.ok(startsWith(Uint8Array.from(ascii('adobe')), 'Adobe'));
});

test('segments are told apart, their data from their heads, and coded bytes stay with their scan', () => {
  const coded = [0xff, 0, 7, 0xff, 0xd0, 8, 0xff, 0xd7, 9]; // a stuffed byte and two restarts
  const comment = segment(MARKER.COM, ascii('hi'));
  const bytes = file(JFIF, frame(), [...scan(), ...coded], comment);
  const found = [...jpegSegments(bytes, 'a.jpg')];
  assert.equal(
    found.map(({ marker }) => marker),
    [MARKER.APP0, MARKER.SOF0, MARKER.SOS, MARKER.COM, MARKER.EOI],
  );
  assert.equal([...(found[2]?.bytes ?? [])], [...scan(), ...coded]);
  assert.equal([...(found[2]?.data ?? [])], [3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
  assert.equal([[...(found[3]?.bytes ?? [])], [...(found[3]?.data ?? [])]], [comment, ascii('hi')]);
  assert.equal([[...(found[4]?.bytes ?? [])], found[4]?.data.length], [[0xff, 0xd9], 0]);
});

test('what stands between segments is skipped: fill bytes, markers that begin none, anything else', () => {
  for (const between of [[], [0xff], [0xff, 0xff, 0xff], [0xff, 0], [0xff, 1], [0xff, 0xd3], [1, 2, 3]]) {
    const markers = [...jpegSegments(file(between, JFIF, between, frame()), 'a.jpg')].map(({ marker }) => marker);
    assert.equal(markers, [MARKER.APP0, MARKER.SOF0, MARKER.EOI], `${between}`);
  }
});

test('after the end nothing counts, and without one the file ends it', () => {
  const markers = (bytes: Uint8Array): number[] => [...jpegSegments(bytes, 'a.jpg')].map(({ marker }) => marker);
  assert.equal(markers(Uint8Array.from([...file(JFIF), ...JFIF])), [MARKER.APP0, MARKER.EOI]);
  assert.equal(markers(file(JFIF).subarray(0, -2)), [MARKER.APP0]);
  assert.equal(markers(file(JFIF).subarray(0, -1)), [MARKER.APP0]);
  assert.equal(markers(Uint8Array.of(0xff, 0xd8)), []);
});

test('a segment that goes beyond the file is refused with where it should end', async () => {
  const bytes = file(JFIF).subarray(0, 2 + JFIF.length - 1);
  await refuses(
    () => [...jpegSegments(bytes, 'a.jpg')],
    ImageError,
    `a.jpg: expected a JPEG segment up to byte ${2 + JFIF.length}, found the end at ${bytes.length}: the file is truncated`,
  );
  const short = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 0xff, 0xd9); // a length that does not count itself
  assert.equal(
    [...jpegSegments(short, 'a.jpg')].map(({ bytes }) => bytes.length),
    [4, 2],
  );
  await refuses(() => [...jpegSegments(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), 'a.jpg')], ImageError, 'up to byte 6', 'the end at 4');
});

test('the header tells the size, the components, and how many blocks the picture has at least', () => {
  const size = { width: 0x0123, height: 0x0245 };
  assert.equal(read(frame({ ...size, ids: [1] }), scan([1])), {
    ...size,
    components: [{ id: 1, h: 1, v: 1, table: 0 }],
    isProgressive: false,
    isYcc: true,
    blocks: Math.floor((0x0123 * 0x0245) / 64),
    storedBlocks: 37 * 73,
  });
  const blocks = (...sampling: number[]): number => read(frame({ sampling }), scan()).blocks;
  assert.is(blocks(0x11, 0x11, 0x11), 12); // 16 x 16 pixels: 4 blocks of each
  assert.is(blocks(0x22, 0x11, 0x11), 6);
  assert.is(blocks(0x21, 0x11, 0x11), 8);
  assert.is(blocks(0x12, 0x11, 0x11), 8);
  assert.is(blocks(0x41, 0x11, 0x11), 6);
  assert.is(read(frame({ ids: [1, 2, 3, 4] }), scan([1, 2, 3, 4])).blocks, 16);
  assert.equal(read(frame({ ids: [1], sampling: [0x22] }), scan([1])), read(frame({ ids: [1] }), scan([1]))); // alone: it has no meaning
});

test('the colour space is guessed as libjpeg does: JFIF, then Adobe, then the names of the components', () => {
  const rgb = ascii('RGB');
  const guess = (ids: Bytes, ...before: readonly Bytes[]): boolean => read(...before, frame({ ids }), scan(ids)).isYcc;
  assert.is(guess([1]), true);
  assert.is(guess([1], adobe(0)), true);
  assert.is(guess([1, 2, 3]), true);
  assert.is(guess(rgb), false);
  assert.is(guess(rgb, JFIF), true);
  assert.is(guess(rgb, adobe(1)), true);
  assert.is(guess([1, 2, 3], adobe(0)), false);
  assert.is(guess([1, 2, 3], adobe(1)), true);
  assert.is(guess([1, 2, 3], JFIF, adobe(0)), true);
  assert.is(guess([1, 2, 3, 4]), false);
  assert.is(guess([1, 2, 3, 4], adobe(0)), false);
  assert.is(guess([1, 2, 3, 4], adobe(2)), true);
  assert.is(guess([1, 2, 3, 4], JFIF), false);
  // what only looks like one of them
  assert.is(guess([1, 2, 3], adobe(0).slice(0, 2).concat([0, 13], adobe(0).slice(4, -1))), true, 'an Adobe segment that is too short');
  assert.is(guess([1, 2, 3], segment(MARKER.APP14, [...ascii('Other'), 0, 100, 0, 0, 0, 0, 0])), true);
  assert.is(guess([1, 2, 3], segment(MARKER.APP0 + 13, [...ascii('Adobe'), 0, 100, 0, 0, 0, 0, 0])), true);
  assert.is(guess(rgb, segment(MARKER.APP0, [...ascii('JFXX'), 0])), false);
  assert.is(guess(rgb, segment(MARKER.APP1, [...ascii('JFIF'), 0])), false);
});

test('frames of baseline, extended and progressive files are read, all others refused by their number', async () => {
  for (const type of [0, 1, 2]) assert.is(read(frame({ type }), scan()).isProgressive, type === 2);
  for (const type of [0, 1, 2]) assert.is(read(frame({ type }), scan()).components.length, 3);
  for (const type of [3, 5, 6, 7, 9, 10, 11, 13, 14, 15]) await refused([frame({ type }), scan()], 'Huffman', `found frame type ${type}:`);
  for (const type of [4, 8, 12]) await refused([frame({ type }), scan()], 'one frame header, found 0'); // DHT, JPG and DAC are no frames
  await refused([frame(), frame(), scan()], 'one frame header, found 2');
  await refused([], 'one frame header, found 0');
});

test('components of the same number are refused: the second would have no scan, and show what was in memory', async () => {
  for (const ids of [
    [1, 1, 3],
    [2, 1, 2],
    [7, 7, 7],
  ])
    await refused([frame({ ids }), scan(ids)], `components of different numbers, found ${ids}`);
});

test('frames of another precision, number of components or sampling are refused with what was found', async () => {
  await refused([frame({ precision: 12 }), scan()], 'found 12 bits and 3 components');
  for (const ids of [[], [1, 2], [1, 2, 3, 4, 5]]) await refused([frame({ ids }), scan()], `found 8 bits and ${ids.length} components`);
  await refused([segment(MARKER.SOF0, [8, 0, 1, 0, 1, 1, 1, 0x11]), scan([1])], 'found 8 bits and 1 components'); // a byte short
  await refused([segment(MARKER.SOF0, [8]), scan([1])], 'found 8 bits and 0 components');
  for (const sampling of [0x01, 0x10, 0x51, 0x15]) {
    for (const place of [0, 1, 2]) {
      const all = [0x11, 0x11, 0x11].with(place, sampling);
      await refused([frame({ sampling: all }), scan()], 'sampling factors of 1 to 4', `${sampling >> 4}x${sampling & 15}`);
    }
  }
  assert.is(read(frame({ sampling: [0x44, 0x11, 0x41] }), scan()).components.length, 3);
});

test('each component has to have a scan that begins with its first coefficient', async () => {
  assert.is(read(frame(), scan([1]), scan([2]), scan([3])).components.length, 3);
  await refused([frame(), scan([1]), scan([3])], 'scans of 3 components and an end, found 2 scans', 'truncated');
  await refused([frame(), scan([1, 2, 3], 1)], 'found 1 scans');
  await refused([frame()], 'found 0 scans');
});

test('100 scans are read, 101 refused', async () => {
  const scans = (count: number): number[][] => Array.from({ length: count }, () => scan());
  assert.is(read(frame({ type: 2 }), ...scans(100)).components.length, 3);
  await refused([frame({ type: 2 }), ...scans(101)], 'at most 100 JPEG scans, found 101');
});

test('only a progressive file needs an end', async () => {
  const open = (type: number) => () => readJpegHeader([...jpegSegments(file(frame({ type }), scan()).subarray(0, -2), 'a.jpg')], 'a.jpg');
  assert.is(open(0)().components.length, 3);
  await refuses(open(2), ImageError, 'an end, found 1 scans');
});

test.run();
