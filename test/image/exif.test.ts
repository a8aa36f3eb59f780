import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyOrientation, type Orientation, readOrientation } from '../../src/image/exif.ts';
import { type JpegSegment, jpegSegments, startsWith } from '../../src/image/jpeg.ts';
import { encodePng } from '../reference/png.ts';
import { decoded, difference, PICTURES, picture, randomPixels, tensors } from './helpers.ts';

const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** A TIFF structure whose directory holds these entries of type SHORT. */
function tiff(entries: readonly [tag: number, value: number][], { little = true, type = 3 } = {}): Uint8Array {
  const bytes = new Uint8Array(10 + 12 * entries.length + 4);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(little ? 'II' : 'MM'));
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, entries.length, little);
  entries.forEach(([tag, value], i) => {
    const entry = 10 + 12 * i;
    view.setUint16(entry, tag, little);
    view.setUint16(entry + 2, type, little);
    view.setUint32(entry + 4, 1, little);
    view.setUint16(entry + 8, value, little);
  });
  return bytes;
}

const pngWith = (exif: Uint8Array): Uint8Array =>
  encodePng({ width: 1, height: 1, bitDepth: 8, colorType: 0, samples: [7], chunks: [['eXIf', exif]] });

test('a JPEG in each of the eight orientations is turned upright as Pillow does it', async () => {
  const goldens = await tensors('decoded.safetensors');
  for (const orientation of ORIENTATIONS) {
    const name = `exif-${orientation}.jpg`;
    assert.is(readOrientation(picture(name)), orientation);
    const upright = applyOrientation(await decoded(name), orientation);
    const golden = goldens.get(name);
    assert.equal([upright.height, upright.width, 3], golden?.dims);
    const { max, mean } = difference(upright.data, golden?.data as Uint8Array);
    assert.ok(max <= 4 && mean < 0.6, `${name}: ${max}, ${mean}`);
  }
});

test('the first Exif segment before the scan counts, and no other', () => {
  const bytes = picture('exif-6.jpg');
  const segments = [...jpegSegments(bytes, 'test')];
  const exif = segments.find(({ data }) => startsWith(data, 'Exif')) as JpegSegment;
  const other = (marker: number, text: string): Uint8Array => {
    const copy = exif.bytes.slice();
    copy.set([0xff, marker]);
    copy.set(Buffer.from(text), 4);
    return copy;
  };
  const rest = segments.filter((one) => one !== exif).map((one) => one.bytes);
  const scan = rest.length - 1; // the end follows it
  const read = (...parts: Uint8Array[]): number => readOrientation(new Uint8Array(Buffer.concat([bytes.subarray(0, 2), ...parts])));
  assert.is(read(...rest), 1);
  assert.is(read(other(0xe1, 'http:'), exif.bytes, ...rest), 6);
  assert.is(read(other(0xe2, 'Exif'), ...rest), 1);
  assert.is(read(other(0xe1, 'http:'), ...rest), 1);
  assert.is(read(...rest.slice(0, scan), exif.bytes, ...rest.slice(scan)), 1);
});

test('pictures without EXIF are upright', () => {
  for (const name of PICTURES) if (!name.startsWith('exif')) assert.is(readOrientation(picture(name)), 1, name);
});

test('a PNG says its orientation in an eXIf chunk, in both byte orders', () => {
  for (const orientation of ORIENTATIONS) {
    for (const little of [true, false]) {
      const exif = tiff(
        [
          [0x010f, 5],
          [0x0112, orientation],
        ],
        { little },
      );
      assert.is(readOrientation(pngWith(exif)), orientation);
    }
  }
});

test('an orientation that is none counts as upright', () => {
  assert.is(readOrientation(pngWith(tiff([[0x0112, 0]]))), 1);
  assert.is(readOrientation(pngWith(tiff([[0x0112, 9]]))), 1);
  assert.is(readOrientation(pngWith(tiff([[0x0112, 6]], { type: 2 }))), 1);
  assert.is(readOrientation(pngWith(tiff([]))), 1);
  assert.is(readOrientation(new Uint8Array()), 1);
});

test('damaged EXIF counts as upright or as what it says, and never fails', () => {
  const whole = tiff([
    [0x010f, 5],
    [0x0112, 6],
  ]);
  for (let length = 0; length < 34; length++) assert.is(readOrientation(pngWith(whole.subarray(0, length))), 1, `${length} bytes`);
  assert.is(readOrientation(pngWith(whole.subarray(0, 34))), 6);
  fc.assert(
    fc.property(fc.constantFrom('II*\0', 'MM\0*', ''), fc.uint8Array({ maxLength: 60 }), (start, rest) => {
      const found = readOrientation(pngWith(new Uint8Array(Buffer.concat([Buffer.from(start, 'latin1'), rest]))));
      assert.ok(ORIENTATIONS.includes(found));
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('turning forth and back gives the picture again', () => {
  const inverse: Record<Orientation, Orientation> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6 };
  for (const orientation of ORIENTATIONS) {
    const pixels = randomPixels(5, 3, 4, orientation);
    const turned = applyOrientation(pixels, orientation);
    assert.equal([turned.width, turned.height], orientation < 5 ? [5, 3] : [3, 5]);
    assert.equal(applyOrientation(turned, inverse[orientation]), pixels);
  }
});

test('what begins neither as Intel nor as Motorola wrote numbers counts as upright', () => {
  const whole = tiff([[0x0112, 6]], { little: false });
  assert.is(readOrientation(pngWith(whole)), 6);
  for (const start of ['XX', 'MI', 'IM', 'mm', '\0\0']) {
    const other = whole.slice();
    other.set(Buffer.from(start));
    assert.is(readOrientation(pngWith(other)), 1, start);
  }
});

test.run();
