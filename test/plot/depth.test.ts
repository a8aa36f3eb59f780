import { PNG } from 'pngjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { colormap, depthPicture, depthPng, encodeGray16 } from '../../src/plot/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';

const DEPTH = new Tensor('float32', [1, 2, 5, 3, 1.5, 4], [2, 3]);

function colorAt(picture: { data: Uint8Array; width: number }, x: number, y: number): number[] {
  return [...picture.data.subarray((y * picture.width + x) * 3, (y * picture.width + x) * 3 + 3)];
}

test('without a legend each pixel has the colour of its depth: near is the end of the map', () => {
  const colors = colormap('viridis');
  const expected = (parts: number[]): number[] => parts.flatMap((i) => [...colors.subarray(i * 3, i * 3 + 3)]);
  const metric = depthPicture(DEPTH, { kind: 'metric', colormap: 'viridis', legend: false });
  assert.equal([metric.width, metric.height, metric.channels], [3, 2, 3]);
  assertSame(metric.data, expected([255, 192, 0, 128, 224, 64]));
  const relative = depthPicture(DEPTH, { kind: 'relative', colormap: 'viridis', legend: false });
  assertSame(relative.data, expected([0, 64, 255, 128, 32, 192]));
});

test('a legend is beside the picture, which it leaves as it is', () => {
  const depth = new Tensor(
    'float32',
    Float32Array.from({ length: 120 * 160 }, (_, i) => 1 + i / 4000),
    [120, 160],
  );
  const bare = depthPicture(depth, { kind: 'metric', legend: false });
  const picture = depthPicture(depth, { kind: 'metric' });
  assert.is(picture.height, 120);
  assert.ok(picture.width > 160 + 40);
  for (const [x, y] of [
    [0, 0],
    [159, 0],
    [80, 60],
    [159, 119],
  ] as const) {
    assert.equal(colorAt(picture, x, y), colorAt(bare, x, y));
  }
  const bar = Array.from({ length: 120 }, (_, y) => colorAt(picture, 160 + 8 + 7, y).join());
  const colored = bar.filter((color) => color !== '255,255,255' && color !== '0,0,0');
  const inferno = colormap('inferno');
  assert.ok(colored.length > 80);
  const top = Math.floor((1 - 0.5 / colored.length) * 256);
  assert.is(colored[0], [...inferno.subarray(top * 3, top * 3 + 3)].join(), 'the nearest is on top');
  assert.is(colored.at(-1), [...inferno.subarray((255 - top) * 3, (255 - top) * 3 + 3)].join(), 'the farthest below');
});

test('depth that is everywhere the same, and pictures of one pixel, are drawn too', () => {
  for (const dims of [
    [1, 1],
    [40, 3],
    [300, 300],
  ]) {
    const size = dims.reduce((a, b) => a * b);
    const { data, height } = depthPicture(new Tensor('float32', new Float32Array(size).fill(2), dims), { kind: 'metric' });
    assert.is(height, dims[0]);
    assert.equal([...data.subarray(0, 3)], [...colormap('inferno').subarray(128 * 3, 129 * 3)]);
  }
});

function pixelsOf(bytes: Uint8Array): number[] {
  const { data, width, height } = PNG.sync.read(Buffer.from(bytes), { skipRescale: true });
  return Array.from(new Uint16Array(data.buffer, data.byteOffset, width * height * 4)).filter((_, i) => i % 4 === 0);
}

test('metres are kept 256 to a metre, as KITTI does', async () => {
  const { bytes, offset, step } = await depthPng(DEPTH, { kind: 'metric' });
  assert.equal([offset, step], [0, 1 / 256]);
  assert.equal(pixelsOf(bytes), [256, 512, 1280, 768, 384, 1024]);
  const extremes = await depthPng(new Tensor('float32', [-1, 300], [1, 2]), { kind: 'metric' });
  assert.equal(pixelsOf(extremes.bytes), [0, 65535]);
});

test('relative depth takes all 16 bits, and can be had back', async () => {
  const { bytes, offset, step } = await depthPng(DEPTH, { kind: 'relative' });
  const pixels = pixelsOf(bytes);
  assert.equal([Math.min(...pixels), Math.max(...pixels)], [0, 65535]);
  assertWithin(
    pixels.map((pixel) => offset + step * pixel),
    DEPTH.data,
    step / 2 + 1e-6,
  );
  const same = await depthPng(new Tensor('float32', [3, 3], [1, 2]), { kind: 'relative' });
  assert.equal([pixelsOf(same.bytes), same.offset], [[0, 0], 3]);
});

test('what is no depth is refused by name', async () => {
  await refuses(() => depthPicture(DEPTH.reshape(6), { kind: 'metric' }), ShapeError, '(height, width)', '[6]');
  await refuses(() => depthPng(new Tensor('float32', [], [0, 3]), { kind: 'metric' }), ShapeError, '[0,3]');
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await refuses(() => depthPicture(new Tensor('float32', [1, bad], [1, 2]), { kind: 'metric' }), ArgumentError, 'finite');
  }
  await refuses(() => encodeGray16(new Uint16Array(3), { width: 2, height: 2 }), ShapeError, '2 x 2', 'found 3');
});

test.run();
