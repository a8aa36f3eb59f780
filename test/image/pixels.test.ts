import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, LimitError } from '../../src/errors.ts';
import { centerOf, checkPixels, checkSize, convertChannels, cutOut } from '../../src/image/pixels.ts';
import { refuses } from '../helpers.ts';
import { randomPixels } from './helpers.ts';

test('sizes from one pixel up to the limit are taken, itself included', async () => {
  checkSize('x', 1, 1);
  checkSize('x', 10_000, 10_000);
  checkSize('x', 3, 2, { pixels: 6 });
  await refuses(
    () => checkSize('x', 10_000, 10_001),
    LimitError,
    'x: expected at most 100000000 pixels, found 10000 x 10001',
    'raise limits.pixels',
  );
  await refuses(() => checkSize('x', 3, 2, { pixels: 5 }), LimitError, 'at most 5 pixels, found 3 x 2');
  for (const [width, height] of [
    [0, 1],
    [1, 0],
    [-1, 1],
    [1.5, 1],
    [1, 1.5],
    [Number.NaN, 1],
    [1, Number.POSITIVE_INFINITY],
  ] as const) {
    await refuses(
      () => checkSize('x', width, height),
      ImageError,
      'x: expected a width and a height of at least 1',
      `found ${width} x ${height}`,
    );
  }
  for (const limit of [0, -1, Number.NaN]) {
    await refuses(
      () => checkSize('x', 1, 1, { pixels: limit }),
      ArgumentError,
      `limits.pixels: expected a number above 0, found "${limit}"`,
    );
  }
});

test('data have to be as many as size and channels say', async () => {
  const pixels = (length: number, width: number, height: number, channels: number) => ({
    data: new Uint8Array(length),
    width,
    height,
    channels,
  });
  for (const channels of [1, 2, 3, 4]) checkPixels('x', pixels(6 * channels, 2, 3, channels));
  for (const length of [17, 19]) {
    await refuses(
      () => checkPixels('x', pixels(length, 2, 3, 3)),
      ImageError,
      'x: expected 18 bytes for 2 x 3 pixels of 3 channels',
      `found ${length}`,
    );
  }
  for (const channels of [0, 5, 1.5]) {
    await refuses(() => checkPixels('x', pixels(6 * channels, 2, 3, channels)), ImageError, `expected 1 to 4 channels, found ${channels}`);
  }
});

test('every number of channels becomes every other, pixel by pixel', () => {
  const luma = ([r = 0, g = 0, b = 0]: number[]): number => (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16;
  for (const from of [1, 2, 3, 4]) {
    for (const to of [1, 2, 3, 4]) {
      const pixels = randomPixels(5, 2, from, 10 * from + to);
      const found = convertChannels(pixels, to);
      assert.equal([found.width, found.height, found.channels], [5, 2, to]);
      for (let i = 0; i < 10; i++) {
        const source = [...pixels.data.subarray(i * from, (i + 1) * from)];
        const colors = from < 3 ? [source[0], source[0], source[0]] : source.slice(0, 3);
        const alpha = from % 2 === 0 ? source[from - 1] : 255;
        const gray = from < 3 ? source[0] : luma(source);
        const expected = [[gray], [gray, alpha], colors, [...colors, alpha]][to - 1];
        assert.equal([...found.data.subarray(i * to, (i + 1) * to)], expected, `${from} to ${to}, pixel ${i}`);
      }
    }
    const same = randomPixels(2, 2, from, 1);
    assert.is(convertChannels(same, from), same);
  }
});

test('a rectangle shows the pixels under it, and zeros where there are none', () => {
  const place = fc.integer({ min: -6, max: 6 });
  const size = fc.integer({ min: 1, max: 8 });
  fc.assert(
    fc.property(place, place, size, size, fc.integer({ min: 1, max: 4 }), (left, top, width, height, channels) => {
      const pixels = randomPixels(4, 3, channels, 7);
      const cut = cutOut(pixels, { left, top, width, height });
      assert.equal([cut.width, cut.height, cut.channels, cut.data.length], [width, height, channels, width * height * channels]);
      for (const [i, value] of cut.data.entries()) {
        const c = i % channels;
        const x = left + (Math.floor(i / channels) % width);
        const y = top + Math.floor(i / channels / width);
        const inside = x >= 0 && x < 4 && y >= 0 && y < 3;
        assert.is(value, inside ? pixels.data[(y * 4 + x) * channels + c] : 0);
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('the middle is a whole number of pixels from the upper left, half a pixel less where it cannot be', () => {
  const pixels = randomPixels(5, 4, 1, 1);
  assert.equal(centerOf(pixels, { width: 3, height: 2 }), { left: 1, top: 1, width: 3, height: 2 });
  assert.equal(centerOf(pixels, { width: 2, height: 1 }), { left: 1, top: 1, width: 2, height: 1 });
  assert.equal(centerOf(pixels, { width: 6, height: 7 }), { left: -1, top: -2, width: 6, height: 7 });
  assert.equal(centerOf(pixels, { width: 5, height: 4 }), { left: 0, top: 0, width: 5, height: 4 });
});

test('pixels of no size are refused for that, whatever their data, and any number of them is taken', async () => {
  const pixels = (width: number, height: number) => ({ data: new Uint8Array(), width, height, channels: 3 });
  await refuses(() => checkPixels('x', pixels(0, 2)), ImageError, 'x: expected a width and a height of at least 1 pixel, found 0 x 2');
  await refuses(() => checkPixels('x', pixels(20_000, 20_000)), ImageError, 'expected 1200000000 bytes');
});

test('grey is the luma to the last bit', () => {
  const pixels = randomPixels(256, 128, 3, 9);
  const { data } = convertChannels(pixels, 1);
  for (const [i, gray] of data.entries()) {
    const [r = 0, g = 0, b = 0] = pixels.data.subarray(3 * i, 3 * i + 3);
    assert.is(gray, Math.floor((19595 * r + 38470 * g + 7471 * b) / 65536 + 0.5));
  }
});

test.run();
