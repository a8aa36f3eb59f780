import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, LimitError } from '../../src/errors.ts';
import { convertChannels, cutOut } from '../../src/image/pixels.ts';
import { RESAMPLING, type Resampling, resize } from '../../src/image/resize.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { refuses } from '../helpers.ts';
import { resample } from '../reference/resample.ts';
import { decoded, difference, randomPixels, tensors } from './helpers.ts';

const SMOOTH = RESAMPLING.filter((name) => name !== 'nearest');

test('a photograph becomes the bytes that Pillow makes of it', async () => {
  const goldens = await tensors('resize.safetensors');
  assert.is(goldens.size, 14);
  for (const [name, golden] of goldens) {
    const [file = '', filter, size = ''] = name.split('|');
    const [height = 0, width = 0] = size.split('x').map(Number);
    const { data } = resize(await decoded(file), { width, height, resample: filter as Resampling });
    assert.equal(difference(data, golden.data as Uint8Array), { max: 0, mean: 0 }, name);
  }
});

test('every filter makes Pillow’s bytes in colour and grey, larger and smaller, of the narrowest and tallest', async () => {
  const goldens = [...(await tensors('pillow.safetensors'))].filter(([name]) => name.includes('|'));
  const photo = await decoded('rgb.png');
  assert.is(goldens.length, 84);
  for (const [name, golden] of goldens) {
    const [from = '', mode, filter, to = ''] = name.split('|');
    const [w = 0, h = 0] = from.split('x').map(Number);
    const [width = 0, height = 0] = to.split('x').map(Number);
    const picture = convertChannels(cutOut(photo, { left: 0, top: 0, width: w, height: h }), mode === 'L' ? 1 : 3);
    const { data } = resize(picture, { width, height, resample: filter as Resampling });
    assert.equal(difference(data, golden.data as Uint8Array), { max: 0, mean: 0 }, name);
  }
});

test('the kernels equal the slow resize on any size, number of channels and filter', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 50 }));
  fc.assert(
    fc.property(
      size,
      size,
      size,
      size,
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(...SMOOTH),
      fc.nat(),
      (w, h, width, height, channels, name, seed) => {
        const pixels = randomPixels(w, h, channels, seed);
        assert.equal(resize(pixels, { width, height, resample: name }), resample(pixels, width, height, name));
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test('a part of a resized picture is what would be cut out of it, wherever it lies', () => {
  const size = fc.integer({ min: 1, max: 40 });
  const start = fc.integer({ min: -50, max: 50 });
  fc.assert(
    fc.property(
      size,
      size,
      size,
      size,
      fc.constantFrom(...RESAMPLING),
      start,
      start,
      size,
      size,
      (w, h, width, height, resample, left, top, ...part) => {
        const pixels = randomPixels(w, h, 3, w + h);
        const area = { left, top, width: part[0], height: part[1] };
        assert.equal(resize(pixels, { width, height, resample, area }), cutOut(resize(pixels, { width, height, resample }), area));
      },
    ),
    { seed: 3, numRuns: 500 },
  );
  const tall = randomPixels(2, 300, 3, 14); // it is shortened first
  const area = { left: 1, top: 20, width: 3, height: 15 };
  assert.equal(resize(tall, { width: 5, height: 60, area }), cutOut(resize(tall, { width: 5, height: 60 }), area));
});

test('a pixel that by rounding alone is under a filter has no part in it', () => {
  const pixels = randomPixels(2, 3, 1, 12); // 0.5000000000000001 pixels from the middle of 49
  for (const name of SMOOTH)
    assert.equal(resize(pixels, { width: 49, height: 103, resample: name }), resample(pixels, 49, 103, name), name);
});

test('pictures of black and white overshoot no further than to 0 and 255', () => {
  const pixels = randomPixels(40, 30, 3, 1);
  const extreme = { ...pixels, data: pixels.data.map((x) => (x < 128 ? 0 : 255)) };
  for (const name of SMOOTH)
    assert.equal(resize(extreme, { width: 90, height: 70, resample: name }), resample(extreme, 90, 70, name), name);
});

test('a picture of many strips equals the slow resize, and little engine memory is taken', () => {
  const engine = new Engine();
  const large = randomPixels(1500, 900, 3, 2);
  assert.equal(resize(large, { width: 20, height: 30, resample: 'bicubic' }, engine), resample(large, 20, 30, 'bicubic'));
  const small = randomPixels(6, 5, 3, 3);
  assert.equal(resize(small, { width: 700, height: 800, resample: 'lanczos' }, engine), resample(small, 700, 800, 'lanczos'));
  assert.ok(engine.reserved < 4 * 2 ** 20, `${engine.reserved} bytes`);
  engine.dispose();
});

test('the engine’s memory does not grow from the second run on', () => {
  const engine = new Engine();
  const pixels = randomPixels(300, 200, 3, 4);
  resize(pixels, { width: 100, height: 90 }, engine);
  const { reserved } = engine;
  for (let i = 0; i < 10; i++) resize(pixels, { width: 100, height: 90 }, engine);
  assert.is(engine.reserved, reserved);
  engine.dispose();
});

test('filters go by Pillow’s codes as well as by name, and bicubic is the default', () => {
  const pixels = randomPixels(9, 8, 3, 5);
  RESAMPLING.forEach((name, code) => {
    assert.equal(resize(pixels, { width: 5, height: 6, resample: code }), resize(pixels, { width: 5, height: 6, resample: name }), name);
  });
  assert.equal(resize(pixels, { width: 5, height: 6 }), resize(pixels, { width: 5, height: 6, resample: 'bicubic' }));
});

test('a picture of more than a hundred times its width is shortened first, as Pillow does it', () => {
  for (const [height, isFirst] of [
    [200, false],
    [201, true],
  ] as const) {
    const pixels = randomPixels(2, height, 3, 13);
    const both = resize(pixels, { width: 5, height: 60 });
    assert.equal(both, resample(pixels, 5, 60, 'bicubic'));
    const shortened = resize(resize(pixels, { width: 2, height: 60 }), { width: 5, height: 60 });
    const widened = resize(resize(pixels, { width: 5, height }), { width: 5, height: 60 });
    assert.not.equal(shortened, widened);
    assert.equal(both, isFirst ? shortened : widened);
  }
});

test('a picture of the right size is given back as it is', () => {
  const pixels = randomPixels(9, 8, 3, 6);
  for (const resample of RESAMPLING) assert.is(resize(pixels, { width: 9, height: 8, resample }), pixels);
});

test('a picture of the right width or height is resized in the other direction only', () => {
  const pixels = randomPixels(9, 8, 3, 7);
  assert.equal(resize(pixels, { width: 9, height: 5 }), resample(pixels, 9, 5, 'bicubic'));
  assert.equal(resize(pixels, { width: 4, height: 8 }), resample(pixels, 4, 8, 'bicubic'));
});

test('an unknown filter and an impossible or absurd size are refused by name', async () => {
  const pixels = randomPixels(2, 2, 3, 8);
  await refuses(
    () => resize(pixels, { width: 1, height: 1, resample: 6 }),
    ArgumentError,
    'resample: expected 0 (nearest), 1 (lanczos), 2',
    'found 6',
  );
  await refuses(() => resize(pixels, { width: 1, height: 1, resample: 'cubic' as 'bicubic' }), ArgumentError, 'resample', '"cubic"');
  await refuses(() => resize(pixels, { width: 0, height: 1 }), ImageError, 'resize: expected', '0 x 1');
  await refuses(() => resize(pixels, { width: 1, height: 1.5 }), ImageError, '1 x 1.5');
  await refuses(() => resize(pixels, { width: 20_000, height: 20_000 }), LimitError, '20000 x 20000', 'limits.pixels');
  await refuses(() => resize(pixels, { width: 10, height: 10, limits: { pixels: 99 } }), LimitError, 'at most 99 pixels');
});

test('the nearest pixels are taken in one direction alone, or in both', () => {
  const pixels = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 3, height: 2, channels: 1 };
  const nearest = (width: number, height: number): number[] => [...resize(pixels, { width, height, resample: 'nearest' }).data];
  assert.equal(nearest(3, 4), [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
  assert.equal(nearest(6, 2), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
  assert.equal(nearest(1, 1), [5]);
  assert.is(resize(pixels, { width: 3, height: 2, resample: 'nearest' }), pixels);
});

test('each direction takes little engine memory by itself, however large the picture', () => {
  for (const [width, height, to] of [
    [1500, 1300, { width: 1500, height: 200 }],
    [1500, 20, { width: 1500, height: 1300 }],
    [1300, 1500, { width: 100, height: 1500 }],
  ] as const) {
    const engine = new Engine();
    const pixels = randomPixels(width, height, 3, 10);
    resize(pixels, { ...to, resample: 'bilinear' }, engine);
    assert.ok(engine.reserved < 4 * 2 ** 20, `${width} x ${height}: ${engine.reserved} bytes`);
    engine.dispose();
  }
});

test('a picture whose rows are larger than a strip is resized row by row', () => {
  const wide = randomPixels(400_000, 2, 3, 11);
  assert.equal(resize(wide, { width: 3, height: 2, resample: 'box' }), resample(wide, 3, 2, 'box'));
  assert.equal(resize(wide, { width: 400_000, height: 1, resample: 'box' }), resample(wide, 400_000, 1, 'box'));
});

test.run();
