import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { ArgumentError, HostError, ImageError, LimitError } from '../../src/errors.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { isJpeg, jpegSegments, readJpegHeader } from '../../src/image/jpeg.ts';
import { isPng, type PngChunk, pngChunks, readPngHeader } from '../../src/image/png.ts';
import { refuses, valueOrNamedError } from '../helpers.ts';
import { type JpegPicture, progressiveJpeg, sequentialJpeg } from '../reference/jpeg.ts';
import { encodePng, type PngPicture, pngFile, SAMPLES } from '../reference/png.ts';
import { decoded, difference, INFO, PICTURES, picture, randomNumbers, tensors } from './helpers.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const concat = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** The bytes with one byte changed. */
function patched(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

/** The place of the first frame header: marker, length (2), precision, height (2), width (2), components. */
function frameOf(jpeg: Uint8Array): number {
  const frame = [...jpegSegments(jpeg, 'test')].find(({ marker }) => marker >= 0xc0 && marker <= 0xc2)?.bytes;
  return (frame?.byteOffset ?? Number.NaN) - jpeg.byteOffset;
}

test('every PNG is decoded to the bytes that Pillow gives', async () => {
  const names = PICTURES.filter((name) => INFO[name]?.sha256);
  assert.is(names.length, 9);
  for (const name of names) {
    const { width, height, channels, data } = await decoded(name);
    assert.equal({ width, height, sha256: sha256(data), channels }, { ...INFO[name], channels: 3 }, name);
  }
});

test('of 16 bits the upper eight are taken', async () => {
  assert.equal(await decoded('gray16.png'), await decoded('gray.png'));
});

/** The RGB pixels of a picture for the encoder, from what the PNG specification says. */
function expectedRgb({ bitDepth, colorType, samples }: PngPicture, palette: Uint8Array): number[] {
  const level = (sample: number): number => (bitDepth === 16 ? sample >> 8 : (sample * 255) / (2 ** bitDepth - 1));
  const perPixel = SAMPLES[colorType] as number;
  const rgb: number[] = [];
  for (let i = 0; i < samples.length; i += perPixel) {
    const first = samples[i] as number;
    if (colorType === 3) rgb.push(...palette.subarray(3 * first, 3 * first + 3));
    else if (perPixel < 3) rgb.push(level(first), level(first), level(first));
    else for (let c = 0; c < 3; c++) rgb.push(level(samples[i + c] as number));
  }
  return rgb;
}

test('PNG of every colour type and depth, interlaced or not, with a transparent colour or not, keeps its colours', async () => {
  const kind = fc.constantFrom(
    ...[0, 2, 3, 4, 6]
      .flatMap((colorType) => [1, 2, 4, 8, 16].map((bitDepth) => ({ colorType, bitDepth })))
      .filter(({ colorType, bitDepth }) => colorType === 0 || bitDepth === 8 || (bitDepth === 16 ? colorType !== 3 : colorType === 3)),
  );
  const size = fc.integer({ min: 1, max: 18 });
  const properties = fc.record({ kind, width: size, height: size, interlaced: fc.boolean(), transparent: fc.boolean(), seed: fc.nat() });
  await fc.assert(
    fc.asyncProperty(properties, async ({ kind: { colorType, bitDepth }, width, height, interlaced, transparent, seed }) => {
      const random = randomNumbers(seed);
      const samples = Array.from({ length: width * height * (SAMPLES[colorType] as number) }, () => Math.floor(random() * 2 ** bitDepth));
      const palette = Uint8Array.from({ length: 3 * 2 ** Math.min(bitDepth, 8) }, () => random() * 256);
      const chunks: [string, Uint8Array][] = colorType === 3 ? [['PLTE', palette]] : [];
      if (transparent && colorType === 3) chunks.push(['tRNS', Uint8Array.of(0, 128)]);
      // the first pixel's own colour is the transparent one
      if (transparent && (colorType === 0 || colorType === 2)) {
        chunks.push(['tRNS', Uint8Array.from(samples.slice(0, SAMPLES[colorType]).flatMap((sample) => [sample >> 8, sample & 255]))]);
      }
      const file = { width, height, bitDepth, colorType, samples, interlaced, chunks };
      const found = await decodeImage(encodePng(file));
      assert.equal({ ...found, data: [...found.data] }, { width, height, channels: 3, data: expectedRgb(file, palette) });
    }),
    { seed: 1, numRuns: 150 },
  );
});

/** Baseline and progressive, every subsampling, with and without restarts, of one, three and four components. */
const JPEGS = [
  ...['baseline-411.jpg', 'baseline-422.jpg', 'baseline-444.jpg', 'restart.jpg', 'progressive-restart-5.jpg', 'rgb-components.jpg'],
  ...['gray.jpg', 'gray-restart-7.jpg', 'progressive-gray.jpg', 'cmyk.jpg', 'cmyk-no-adobe.jpg', 'ycck.jpg', 'exif-1.jpg'],
];

test('JPEG of every kind is decoded to the bytes that Pillow gives', async () => {
  const goldens = new Map([...(await tensors('decoded.safetensors')), ...(await tensors('pillow.safetensors'))]);
  for (const name of JPEGS) {
    const { data, width, height } = await decoded(name);
    const golden = goldens.get(name);
    assert.equal(golden?.dims, [height, width, 3], name);
    assert.equal(difference(data, golden?.data as Uint8Array), { max: 0, mean: 0 }, name);
  }
});

test('JPEG of any size and quality is what jpeg-js makes of it, but for its transform', async () => {
  const properties = fc.record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
    quality: fc.integer({ min: 1, max: 100 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(properties, async ({ width, height, quality, seed }) => {
      const random = randomNumbers(seed);
      const data = Uint8Array.from({ length: width * height * 4 }, (_, i) => 128 + 100 * Math.sin(i / (20 + quality)) + 20 * random());
      const bytes = new Uint8Array(jpeg.encode({ width, height, data }, quality).data); // not subsampled
      const found = await decodeImage(bytes);
      const other = jpeg.decode(bytes, { useTArray: true, formatAsRGBA: false });
      assert.equal([found.width, found.height], [width, height]);
      assert.ok(difference(found.data, other.data).max <= 4);
    }),
    { seed: 1, numRuns: 100 },
  );
});

test('a progressive JPEG gives the pixels of the baseline one with the same coefficients', async () => {
  assert.equal(await decoded('progressive.jpg'), await decoded('baseline-420.jpg'));
  assert.equal(await decoded('progressive-gray.jpg'), await decoded('gray-restart-7.jpg'));
});

test('bytes after the end of a picture are no part of it', async () => {
  for (const name of ['small.png', 'baseline-422.jpg', 'progressive-gray.jpg']) {
    assert.equal(await decodeImage(concat(picture(name), picture('gray.jpg'))), await decoded(name), name);
  }
});

test('bytes between the segments of a JPEG are skipped, as libjpeg does', async () => {
  const bytes = picture('baseline-422.jpg');
  const frame = frameOf(bytes);
  assert.equal(
    await decodeImage(concat(bytes.subarray(0, frame), Uint8Array.of(0, 1, 2, 0xff, 0xff), bytes.subarray(frame))),
    await decoded('baseline-422.jpg'),
  );
});

test('a JPEG that lacks its end marker is read if it is in one piece, refused if it may lack more', async () => {
  const baseline = picture('baseline-422.jpg');
  assert.equal(await decodeImage(baseline.subarray(0, -2)), await decoded('baseline-422.jpg'));
  await refuses(() => decodeImage(baseline.subarray(0, -6)), ImageError);
  await refuses(() => decodeImage(picture('progressive-gray.jpg').subarray(0, -2)), ImageError, 'truncated');
});

test('a picture that ends anywhere before its end is refused with its name', async () => {
  for (const name of PICTURES) {
    const bytes = picture(name);
    const random = randomNumbers(bytes.length);
    for (let i = 0; i < 20; i++) {
      const length = Math.floor(((i + random()) * (bytes.length - 8)) / 20);
      await refuses(() => decodeImage(bytes.subarray(0, length), { source: name }), ImageError, name);
    }
  }
});

/** The size that the header says, however damaged the rest is. */
function headerSize(bytes: Uint8Array): { width: number; height: number } {
  if (isPng(bytes)) return readPngHeader(pngChunks(bytes, 'test').next().value as PngChunk, 'test');
  return readJpegHeader([...jpegSegments(bytes, 'test')], 'test');
}

test('a damaged picture is refused or decoded to the size in its header', async () => {
  let refused = 0;
  let count = 0;
  for (const name of PICTURES.filter((file) => picture(file).length < 20_000)) {
    const bytes = picture(name);
    const random = randomNumbers(bytes.length);
    for (let i = 0; i < 12; i++) {
      const damaged = bytes.slice();
      // in the header, where it tells most, or anywhere
      const range = i % 2 === 0 ? Math.min(700, bytes.length) : bytes.length;
      for (let n = 0; n <= i % 4; n++) damaged[2 + Math.floor(random() * (range - 2))] = random() * 256;
      const found = await valueOrNamedError(() => decodeImage(damaged));
      count += 1;
      if (!found) refused += 1;
      else {
        const { width, height } = headerSize(damaged);
        assert.equal([found.width, found.height, found.data.length], [width, height, width * height * 3], name);
        assert.ok(isPng(damaged) || isJpeg(damaged));
      }
    }
  }
  assert.ok(refused > count / 20 && refused < count, `${refused} of ${count}`);
});

test('a file of another format is refused, naming the file, its first bytes and the option', async () => {
  await refuses(
    () => decodeImage(new Uint8Array(Buffer.from('GIF89a...')), { source: 'a.gif' }),
    ImageError,
    'a.gif',
    '47 49 46',
    'decode',
  );
  await refuses(() => decodeImage(new Uint8Array()), ImageError, 'bytes: expected a PNG or JPEG file', 'no bytes');
});

test('a picture above limits.pixels is refused before it is decoded', async () => {
  await refuses(() => decodeImage(picture('small.png'), { limits: { pixels: 5489 } }), LimitError, 'at most 5489', '90 x 61');
  await refuses(() => decodeImage(picture('exif-1.jpg'), { limits: { pixels: 5489 } }), LimitError, 'at most 5489', '90 x 61');
  assert.is((await decodeImage(picture('small.png'), { limits: { pixels: 5490 } })).width, 90);
  await refuses(() => decodeImage(picture('small.png'), { limits: { pixels: 0 } }), ArgumentError, 'limits.pixels');
  await refuses(() => decodeImage(picture('small.png'), { limits: { pixels: Number.NaN } }), ArgumentError, 'limits.pixels');
});

const headerOnly = (width: number, height: number, interlaced = false, idat: Uint8Array = deflateSync(new Uint8Array(9))): Uint8Array => {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(12, interlaced ? 1 : 0);
  return pngFile([
    ['IHDR', new Uint8Array(header.buffer)],
    ['IDAT', idat],
    ['IEND', new Uint8Array()],
  ]);
};

/** A grey picture of one level. */
function flat(width: number, height: number): JpegPicture {
  const across = Math.ceil(width / 8);
  const blocks = new Array<Int16Array>(across * Math.ceil(height / 8)).fill(new Int16Array(64));
  return { width, height, components: [{ h: 1, v: 1, across, blocks }], quantization: new Uint8Array(64).fill(1), restart: 0 };
}

test('sizes of zero, absurd sizes, and sizes that the bytes cannot fill are refused', async () => {
  await refuses(() => decodeImage(headerOnly(0, 5)), ImageError, 'at least 1 pixel', '0 x 5');
  await refuses(() => decodeImage(headerOnly(2 ** 31, 2 ** 31)), LimitError, 'at most 100000000', 'limits.pixels');
  await refuses(() => decodeImage(headerOnly(9000, 9000)), ImageError, 'cannot hold 9000 x 9000');
  const jpeg = picture('exif-1.jpg');
  const size = frameOf(jpeg) + 5;
  await refuses(() => decodeImage(patched(patched(jpeg, size, 0), size + 1, 0)), ImageError, 'at least 1 pixel', '90 x 0');
  await refuses(() => decodeImage(patched(patched(jpeg, size, 255), size + 2, 255)), LimitError, 'at most 100000000');
  await refuses(() => decodeImage(patched(patched(jpeg, size, 36), size + 2, 36)), ImageError, 'cannot hold 9306 x 9277');
});

test('compressed data that is longer than the picture, or shorter, is refused', async () => {
  await refuses(
    () => decodeImage(headerOnly(4, 4, true, deflateSync(new Uint8Array(2 ** 22)))),
    ImageError,
    'more than the 23 bytes of pixels',
  );
  await refuses(() => decodeImage(headerOnly(4, 4, true)), ImageError, '9 bytes of pixels where 23 should be');
  await refuses(() => decodeImage(headerOnly(4, 4)), ImageError, '9 bytes of pixels where 20 should be');
});

test('a PNG with a bit turned over, in its palette or its pixels, is refused by its checksum', async () => {
  const palette: [string, Uint8Array] = ['PLTE', Uint8Array.of(1, 2, 3)];
  const bytes = encodePng({ width: 1, height: 1, bitDepth: 8, colorType: 3, samples: [0], chunks: [palette] });
  assert.equal([...(await decodeImage(bytes)).data], [1, 2, 3]);
  const at = (type: string): number => Buffer.from(bytes).indexOf(type) + 4;
  for (const type of ['PLTE', 'IDAT']) {
    await refuses(() => decodeImage(patched(bytes, at(type), (bytes[at(type)] as number) ^ 1)), ImageError, `chunk ${type}`, 'checksum');
  }
  const beyond = encodePng({ width: 1, height: 1, bitDepth: 8, colorType: 3, samples: [1], chunks: [palette] });
  await refuses(() => decodeImage(beyond), ImageError, 'colour 1 of a palette of 1');
});

test('of two damaged chunks the first is named', async () => {
  const palette: [string, Uint8Array] = ['PLTE', Uint8Array.of(1, 2, 3)];
  const bytes = encodePng({ width: 1, height: 1, bitDepth: 8, colorType: 3, samples: [0], chunks: [palette] });
  for (const type of ['IDAT', 'PLTE']) bytes[Buffer.from(bytes).indexOf(type) + 4] ^= 1;
  await refuses(() => decodeImage(bytes), ImageError, 'a chunk PLTE of another checksum');
});

test('a file is taken to hold what it could hold at most, and nothing beyond', async () => {
  const idat = deflateSync(new Uint8Array(9));
  const most = idat.length * 1032; // a row of so many bytes
  await refuses(() => decodeImage(headerOnly(most - 1, 1, false, idat)), ImageError, `9 bytes of pixels where ${most} should be`);
  await refuses(() => decodeImage(headerOnly(most, 1, false, idat)), ImageError, `${idat.length} compressed bytes cannot hold ${most} x 1`);
  const jpeg = sequentialJpeg(flat(8, 8), { interleaved: true });
  const wide = (blocks: number): Uint8Array =>
    patched(patched(jpeg, frameOf(jpeg) + 7, blocks >> 5), frameOf(jpeg) + 8, (8 * blocks) & 255);
  await refuses(() => decodeImage(wide(8 * jpeg.length)), ImageError, 'the data ends early');
  await refuses(() => decodeImage(wide(8 * jpeg.length + 1)), ImageError, `${jpeg.length} bytes cannot hold`);
});

test('what a progressive picture takes of memory is given back', async () => {
  const given: number[] = [];
  const { released } = host;
  Object.assign(host, { released: (bytes: number) => given.push(bytes) });
  try {
    await decodeImage(sequentialJpeg(flat(600, 600), { interleaved: true }));
    assert.equal(given, []);
    await decodeImage(progressiveJpeg(flat(600, 600)));
  } finally {
    Object.assign(host, { released });
  }
  assert.is(given.length, 1);
  assert.ok((given[0] as number) > 600 * 600 * 2, `${given} bytes`); // of coefficients
});

test('a host without DecompressionStream reads JPEG, and says what PNG needs', async () => {
  const { DecompressionStream } = globalThis;
  Reflect.deleteProperty(globalThis, 'DecompressionStream');
  try {
    assert.is((await decodeImage(picture('exif-1.jpg'))).width, 90);
    await refuses(
      () => decodeImage(picture('small.png'), { source: 'a.png' }),
      HostError,
      'a.png: expected a host with DecompressionStream',
    );
  } finally {
    Object.assign(globalThis, { DecompressionStream });
  }
});

test('photographs, filtered as encoders do, are what pngjs makes of them', async () => {
  for (const name of ['astronaut', 'chelsea', 'coffee']) {
    const bytes = readFileSync(new URL(`../../examples/photos/${name}.png`, import.meta.url));
    const { data, width, height } = PNG.sync.read(bytes); // RGBA
    const found = await decodeImage(new Uint8Array(bytes));
    assert.equal([found.width, found.height], [width, height]);
    assert.ok(
      found.data.every((value, i) => value === data[Math.floor(i / 3) * 4 + (i % 3)]),
      name,
    );
  }
});

test('kinds of JPEG that are not decoded are refused by their properties', async () => {
  const jpeg = picture('exif-1.jpg');
  const frame = frameOf(jpeg);
  await refuses(() => decodeImage(patched(jpeg, frame + 1, 0xc9)), ImageError, 'Huffman', 'frame type 9');
  await refuses(() => decodeImage(patched(jpeg, frame + 4, 12)), ImageError, '12 bits');
  await refuses(() => decodeImage(patched(jpeg, frame + 9, 2)), ImageError, '2 components');
  await refuses(() => decodeImage(patched(jpeg, frame + 11, 0x51)), ImageError, 'sampling', '5x1');
  const twice = concat(jpeg.subarray(0, frame), jpeg.subarray(frame, frame + 19), jpeg.subarray(frame));
  await refuses(() => decodeImage(twice), ImageError, 'one frame header', 'found 2');
});

test('a JPEG of more scans than any encoder writes is refused', async () => {
  const jpeg = picture('progressive-gray.jpg');
  const scan = [...jpegSegments(jpeg, 'test')].find(({ marker }) => marker === 0xda)?.bytes as Uint8Array;
  const at = scan.byteOffset - jpeg.byteOffset;
  const many = concat(jpeg.subarray(0, at), ...new Array<Uint8Array>(101).fill(scan), jpeg.subarray(at));
  await refuses(() => decodeImage(many), ImageError, 'at most 100 JPEG scans');
});

test('a JPEG without a scan of one of its components is refused', async () => {
  const jpeg = picture('exif-1.jpg');
  const frame = frameOf(jpeg);
  await refuses(() => decodeImage(patched(jpeg, frame + 10, 77)), ImageError, 'scans of 3 components');
});

test('a PNG header that the format does not allow is refused', async () => {
  const png = picture('small.png');
  await refuses(() => decodeImage(patched(png, 25, 5)), ImageError, 'type 5 with 8 bits');
  await refuses(() => decodeImage(patched(png, 24, 4)), ImageError, 'type 2 with 4 bits');
  await refuses(() => decodeImage(patched(png, 12, 0x4a)), ImageError, 'IHDR', '"JHDR"');
});

test('a PNG of more chunks than any encoder writes is refused', async () => {
  const png = picture('small.png');
  const many = concat(png.subarray(0, 33), new Uint8Array(12 * 100_000), png.subarray(33));
  await refuses(() => decodeImage(many), ImageError, 'at most 100000 PNG chunks');
});

test.run();
