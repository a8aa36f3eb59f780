import fc from 'fast-check';
import jpeg from 'jpeg-js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageError } from '../../src/errors.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { type JpegSegment, jpegSegments, MARKER, readJpegHeader } from '../../src/image/jpeg.ts';
import { decodeJpeg } from '../../src/image/jpegDecoder.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { refuses } from '../helpers.ts';
import { COUNTS, inverseDct, type JpegPicture, progressiveJpeg, SYMBOLS, segment, sequentialJpeg, ZIGZAG } from '../reference/jpeg.ts';
import { difference, randomNumbers } from './helpers.ts';

type Sampling = readonly (readonly [h: number, v: number])[];

/** Sampling factors of the components. */
const GRAY: Sampling = [[1, 1]];
const colors = (h: number, v: number): Sampling => [
  [h, v],
  [1, 1],
  [1, 1],
];
const QUARTERS = colors(2, 2);
const SAMPLINGS: readonly Sampling[] = [
  ...[GRAY, colors(1, 1), colors(2, 1), QUARTERS, colors(1, 2)],
  [
    [4, 1],
    [1, 1],
    [2, 1],
  ],
  [
    [2, 2],
    [2, 1],
    [1, 2],
  ],
];

const PICTURES = fc.record({
  sampling: fc.constantFrom(...SAMPLINGS),
  width: fc.integer({ min: 1, max: 70 }),
  height: fc.integer({ min: 1, max: 50 }),
  restart: fc.constantFrom(0, 0, 1, 2, 5),
  density: fc.constantFrom(0, 0.02, 0.3, 1),
  seed: fc.nat(),
});
type Properties = typeof PICTURES extends fc.Arbitrary<infer T> ? T : never;

/** Random coefficients: of the means large ones, of the rest small ones, as many as `density` says. */
function pictureOf({ sampling, width, height, restart, density, seed }: Properties): JpegPicture {
  const random = randomNumbers(seed);
  const maxH = Math.max(...sampling.map(([h]) => h));
  const maxV = Math.max(...sampling.map(([, v]) => v));
  const quantization = Uint8Array.from({ length: 64 }, () => 1 + random() * 12);
  const components = sampling.map(([h, v]) => {
    const across = Math.ceil(width / (8 * maxH)) * h;
    const count = across * Math.ceil(height / (8 * maxV)) * v;
    const block = (): Int16Array =>
      Int16Array.from({ length: 64 }, (_, k) => {
        if (k === 0) return (random() - 0.5) * 120;
        return random() < density ? (random() - 0.5) * (random() < 0.1 ? 60 : 6) : 0;
      });
    return { h, v, across, blocks: Array.from({ length: count }, block) };
  });
  return { width, height, components, quantization, restart };
}

test('progressive, sequential and interleaved files of the same coefficients are the same picture', async () => {
  await fc.assert(
    fc.asyncProperty(PICTURES, async (properties) => {
      const picture = pictureOf(properties);
      const found = await decodeImage(sequentialJpeg(picture, { interleaved: true }));
      assert.equal([found.width, found.height], [picture.width, picture.height]);
      assert.equal(await decodeImage(sequentialJpeg(picture, { interleaved: false })), found);
      assert.equal(await decodeImage(progressiveJpeg(picture)), found);
    }),
    { seed: 1, numRuns: 60 },
  );
});

test('the samples are those of the transform by its definition, within one level', async () => {
  await fc.assert(
    fc.asyncProperty(PICTURES, async (properties) => {
      const picture = pictureOf({ ...properties, sampling: GRAY });
      const { data } = await decodeImage(sequentialJpeg(picture, { interleaved: true }));
      const { blocks, across } = picture.components[0] as JpegPicture['components'][number];
      for (const [number, block] of blocks.entries()) {
        const coefficients = new Float64Array(64);
        for (const [k, place] of ZIGZAG.entries()) coefficients[place] = (block[k] as number) * (picture.quantization[k] as number);
        for (const [i, sample] of inverseDct(coefficients).entries()) {
          const [x, y] = [(number % across) * 8 + (i & 7), Math.floor(number / across) * 8 + (i >> 3)];
          if (x >= picture.width || y >= picture.height) continue;
          const level = data[3 * (y * picture.width + x)] as number;
          assert.ok(Math.abs(level - Math.min(255, Math.max(0, sample))) <= 1, `${level}, ${sample}`);
        }
      }
    }),
    { seed: 1, numRuns: 25 },
  );
});

test('of colours that are not subsampled it is what jpeg-js makes of the file, within four levels', async () => {
  await fc.assert(
    fc.asyncProperty(PICTURES, async (properties) => {
      const picture = pictureOf({ ...properties, sampling: colors(1, 1), restart: 0 });
      for (const bytes of [sequentialJpeg(picture, { interleaved: true }), progressiveJpeg(picture)]) {
        const other = jpeg.decode(bytes, { useTArray: true, formatAsRGBA: false });
        assert.ok(difference((await decodeImage(bytes)).data, other.data).max <= 4);
      }
    }),
    { seed: 1, numRuns: 15 },
  );
});

test('data that ends early, unknown codes and missing restart markers are refused, saying which', async () => {
  const properties = { sampling: QUARTERS, width: 64, height: 48, restart: 2, density: 0.3, seed: 1 } as const;
  const bytes = sequentialJpeg(pictureOf(properties), { interleaved: true });
  const at = (marker: number): number => bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === marker);
  const patched = (place: number, ...values: number[]): Uint8Array => {
    const copy = bytes.slice();
    copy.set(values, place);
    return copy;
  };
  const scan = at(0xda) + 2 + (bytes[at(0xda) + 3] as number);
  await refuses(() => decodeImage(patched(at(0xd1) - 4, 0xff, 0xd1)), ImageError, 'the data ends early');
  await refuses(() => decodeImage(patched(at(0xd1) + 1, 0xd5)), ImageError, 'no restart marker where one should be');
  await refuses(() => decodeImage(patched(scan, 0xff, 0x00, 0xff, 0x00)), ImageError, 'an unknown code');
  await refuses(() => decodeImage(patched(at(0xc4) + 1, 0xfe)), ImageError, 'Huffman table 0, which is missing');
  await refuses(() => decodeImage(patched(at(0xdb) + 1, 0xfe)), ImageError, 'quantization table 0, which is missing');
  await refuses(() => decodeImage(patched(at(0xc4) + 5, 255)), ImageError, 'a Huffman table that makes no sense');
  await refuses(() => decodeImage(patched(at(0xc0) + 11, 0x31, 0, 2, 0x21)), ImageError, 'whose ratios are no integers');
});

const SMALL = { sampling: GRAY, width: 20, height: 12, restart: 0, density: 0.3, seed: 2 } as const;

/** The file with other bytes in the place of some of its segments. */
function rewritten(bytes: Uint8Array, change: (segment: JpegSegment) => readonly number[] | undefined): Uint8Array {
  const segments = [...jpegSegments(bytes, 'test')];
  return Uint8Array.from([0xff, 0xd8, ...segments.flatMap((one) => change(one) ?? [...one.bytes])]);
}

/** The file with more before its end. */
function extended(bytes: Uint8Array, more: readonly number[]): Uint8Array {
  return Uint8Array.from([...bytes.subarray(0, -2), ...more, 0xff, MARKER.EOI]);
}

test('several tables may share a segment, and have other numbers than 0', async () => {
  const bytes = sequentialJpeg(pictureOf(SMALL), { interleaved: true });
  const expected = await decodeImage(bytes);
  const other = [...COUNTS.map((_, i) => Number(i === 3)), 9]; // one code
  const found = rewritten(bytes, ({ marker, data, bytes }) => {
    if (marker === MARKER.DQT)
      return segment(MARKER.DQT, 1, ...new Array(64).fill(77), 3, ...data.subarray(1), 2, ...new Array(64).fill(5));
    if (marker === MARKER.SOF0) return [...bytes.subarray(0, -1), 3];
    if (marker === MARKER.SOS) return [...bytes].with(6, 0x32);
    if (marker === MARKER.DHT && data[0] === 0) return [];
    if (marker === MARKER.DHT)
      return segment(MARKER.DHT, 0, ...other, 0x30 >> 4, ...COUNTS, ...SYMBOLS, 0x12, ...data.subarray(1), 0x13, ...other);
    return undefined;
  });
  assert.equal(await decodeImage(found), expected);
});

test('steps of 16 bits are read, also those above 255', async () => {
  const picture = pictureOf(SMALL);
  const wide = (steps: Uint8Array, factor: number): number[] =>
    Array.from(steps, (step) => step * factor).flatMap((step) => [step >> 8, step & 255]);
  const quantization = new Uint8Array(64).fill(100);
  const tripled = picture.components.map((one) => ({ ...one, blocks: one.blocks.map((block) => block.map((x) => 3 * x)) }));
  const expected = await decodeImage(sequentialJpeg({ ...picture, quantization, components: tripled }, { interleaved: true }));
  const bytes = sequentialJpeg({ ...picture, quantization }, { interleaved: true });
  const found = rewritten(bytes, ({ marker }) => (marker === MARKER.DQT ? segment(marker, 0x10, ...wide(quantization, 3)) : undefined));
  assert.equal(await decodeImage(found), expected);
});

test('the sampling of a component that is alone has no meaning', async () => {
  const bytes = sequentialJpeg(pictureOf(SMALL), { interleaved: true });
  for (const sampling of [0x22, 0x41, 0x13]) {
    const found = rewritten(bytes, (one) => (one.marker === MARKER.SOF0 ? [...one.bytes].with(-2, sampling) : undefined));
    assert.equal(await decodeImage(found), await decodeImage(bytes));
  }
});

test('a scan needs no tables but those that it uses', async () => {
  const bytes = progressiveJpeg(pictureOf({ ...SMALL, sampling: QUARTERS }));
  const found = rewritten(bytes, ({ marker, data, bytes }) => {
    if (marker !== MARKER.SOS) return undefined;
    const [count = 0] = data;
    const [first = 0, , approximation = 0] = data.subarray(1 + 2 * count);
    const selectors = first > 0 ? 0x30 : approximation >> 4 ? 0x33 : 0x03; // there is no table 3
    return [...bytes].map((byte, i) => (i >= 6 && i < 5 + 2 * count && i % 2 === 0 ? selectors : byte));
  });
  assert.not.equal(found, bytes);
  assert.equal(await decodeImage(found), await decodeImage(bytes));
  for (const selectors of [0x30, 0x03]) {
    const lacking = rewritten(bytes, (one) => (one.marker === MARKER.SOS ? [...one.bytes].with(6, selectors) : undefined));
    await refuses(() => decodeImage(lacking), ImageError, 'a scan with Huffman table 3, which is missing');
  }
});

test('a component keeps the steps that it had in its first scan', async () => {
  const bytes = progressiveJpeg(pictureOf({ ...SMALL, sampling: QUARTERS }));
  const other = segment(MARKER.DQT, 0, ...new Array(64).fill(200));
  const found = rewritten(bytes, ({ marker, bytes }) => (marker === MARKER.SOS ? [...bytes, ...other] : undefined));
  assert.equal(await decodeImage(found), await decodeImage(bytes));
});

test('restart markers may be more than 255 units apart', async () => {
  const picture = pictureOf({ ...SMALL, width: 8 * 70, height: 8 * 9, density: 0 });
  const expected = await decodeImage(sequentialJpeg(picture, { interleaved: true }));
  assert.equal(await decodeImage(sequentialJpeg({ ...picture, restart: 300 }, { interleaved: true })), expected);
});

test('scan headers, tables and restart intervals that make no sense are refused, saying which', async () => {
  const picture = pictureOf({ ...SMALL, sampling: colors(1, 1) });
  const sequential = sequentialJpeg(picture, { interleaved: true });
  const progressive = progressiveJpeg(picture);
  const refused = async (bytes: Uint8Array, message: string, ...segments: readonly (readonly [marker: number, ...data: number[]])[]) => {
    for (const one of segments)
      await refuses(() => decodeImage(extended(bytes, segment(...one))), ImageError, `cannot be decoded (${message})`);
  };
  const { SOS, DQT, DHT, DRI } = MARKER;
  const header = 'a scan header that makes no sense';
  await refused(sequential, header, [SOS], [SOS, 0, 0, 63, 0], [SOS, 5, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 63, 0]); // no, or too many components
  await refused(sequential, header, [SOS, 1, 1, 0, 0, 63], [SOS, 1, 1, 0, 0, 63, 0, 0], [SOS, 1, 1, 0, 0, 64, 0]);
  await refused(progressive, header, [SOS, 2, 1, 0, 2, 0, 1, 5, 0], [SOS, 1, 1, 0, 5, 4, 0]);
  await refused(sequential, 'a scan of component 9, which is none of the picture', [SOS, 1, 9, 0, 0, 63, 0]);
  const steps = new Array<number>(63).fill(1);
  await refused(sequential, 'a quantization table that is too short', [DQT, 0, ...steps], [DQT, 0x10, ...steps, ...steps, 1]);
  const codes = (...counts: number[]): number[] => [...new Array<number>(16 - counts.length).fill(0), ...counts];
  const table = 'a Huffman table that makes no sense';
  await refused(sequential, table, [DHT, 3, 3, ...codes().slice(1), 1, 2, 3], [DHT, 3, ...codes(1, 2, 0), 1, 2], [DHT, 3, 1, 0]);
  await refused(sequential, table, [DHT, 3, ...codes(200, 57), ...SYMBOLS, 0], [DHT, 3, 1, 3, ...codes().slice(2), 1, 2, 3, 4]);
  await refused(sequential, 'a restart interval that makes no sense', [DRI], [DRI, 0], [DRI, 0, 1, 0]);
  const unused = extended(sequential, segment(DHT, 3, 2, ...codes().slice(1), 1, 2)); // the code of ones alone too
  assert.equal(await decodeImage(unused), await decodeImage(sequential));
});

test('of a file of one scan the coefficients of one row are in memory at a time, of others all of them', () => {
  const picture = pictureOf({ ...SMALL, width: 64, height: 8000, density: 0 });
  for (const [bytes, least, most] of [
    [sequentialJpeg(picture, { interleaved: true }), 0, 2 ** 19],
    [progressiveJpeg(picture), 64 * 8000 * 2, 2 ** 21],
  ] as const) {
    const engine = new Engine();
    const segments = [...jpegSegments(bytes, 'test')];
    decodeJpeg(segments, readJpegHeader(segments, 'test'), engine);
    assert.ok(engine.reserved >= least && engine.reserved < most, `${engine.reserved} bytes`);
    engine.dispose();
  }
});

test('what an engine was used for before does not show', async () => {
  const engine = new Engine();
  for (const seed of [1, 2]) {
    const bytes = progressiveJpeg(pictureOf({ ...SMALL, seed }));
    const segments = [...jpegSegments(bytes, 'test')];
    assert.equal(decodeJpeg(segments, readJpegHeader(segments, 'test'), engine), (await decodeImage(bytes)).data);
  }
  engine.dispose();
});

test.run();
