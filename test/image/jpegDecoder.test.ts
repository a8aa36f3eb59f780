import fc from 'fast-check';
import jpeg from 'jpeg-js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageError } from '../../src/errors.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { refuses } from '../helpers.ts';
import { inverseDct, type JpegPicture, progressiveJpeg, sequentialJpeg, ZIGZAG } from '../reference/jpeg.ts';
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

test.run();
