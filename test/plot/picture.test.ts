import { PNG } from 'pngjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { captioned, colorPicture, encodePng, sideBySide } from '../../src/plot/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { randomPixels } from '../image/helpers.ts';

const COLORS = new Tensor('float32', [1, 0, 0, 0, 1, 0, 0, 0, 1, 0.2, 0.4, 2], [2, 2, 3]);

test('a colour a patch becomes a block of pixels', async () => {
  const { data, width, height, channels } = await colorPicture(COLORS, { width: 4, height: 2, resample: 'nearest' });
  assert.equal([width, height, channels], [4, 2, 3]);
  const [red, green, blue, other] = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [51, 102, 255],
  ] as [number[], number[], number[], number[]];
  assert.equal([...data], [...red, ...red, ...green, ...green, ...blue, ...blue, ...other, ...other]);
});

test('bicubic is the default, and goes smoothly between', async () => {
  const ramp = new Tensor('float32', [0, 0, 0, 1, 1, 1], [1, 2, 3]);
  const { data } = await colorPicture(ramp, { width: 8, height: 1 });
  const reds = [...data].filter((_, i) => i % 3 === 0);
  assert.equal(
    reds,
    [...reds].sort((a, b) => a - b),
  );
  assert.ok(new Set(reds).size > 4);
});

test('pictures stand side by side, on white where one is lower', async () => {
  const all = sideBySide([new RawImage(new Uint8Array(6), 1, 2, 3), new RawImage(Uint8Array.of(7, 8, 9), 1, 1, 3)], { gap: 1 });
  assert.equal(all.size, [3, 2]);
  assert.equal([...all.data], [0, 0, 0, 255, 255, 255, 7, 8, 9, 0, 0, 0, 255, 255, 255, 255, 255, 255]);
});

test('a caption stands above the picture, which stays as it is, and is larger above a wide one', () => {
  for (const [width, strip] of [
    [60, 17],
    [480, 34],
  ] as const) {
    const picture = randomPixels(width, 9, 3, 1);
    const found = captioned(picture, 'head 1');
    assert.equal([found.width, found.height], [width, 9 + strip]);
    assert.equal(found.data.subarray(width * strip * 3), picture.data);
    const black = found.data.subarray(0, width * strip * 3).filter((x) => x === 0).length;
    assert.ok(black > 0 && black < (width * strip * 3) / 4);
    assert.ok(
      captioned(picture, ' ')
        .data.subarray(0, width * strip * 3)
        .every((x) => x === 255),
    );
  }
});

test('an encoded PNG decodes to the same pixels, by pngjs too', async () => {
  for (const [width, height] of [
    [1, 1],
    [5, 3],
    [64, 40],
  ] as const) {
    const picture = randomPixels(width, height, 3, 1);
    const { data } = PNG.sync.read(Buffer.from(await encodePng(picture))); // RGBA
    assert.equal(
      [...data].filter((_, i) => i % 4 < 3),
      [...picture.data],
    );
    assert.equal(await decodeImage(await encodePng(picture)), picture);
  }
});

test('a picture that is part of a larger array is encoded from its place on', async () => {
  const bytes = Uint8Array.of(9, 9, 1, 2, 3);
  assert.equal([...(await decodeImage(await encodePng({ data: bytes.subarray(2), width: 1, height: 1, channels: 3 }))).data], [1, 2, 3]);
});

test('other dimensions and channels are refused by name', async () => {
  await refuses(() => colorPicture(COLORS.at(0), { width: 1, height: 1 }), ShapeError, 'colors', '[2,3]');
  await refuses(() => encodePng(randomPixels(1, 1, 4, 1)), ArgumentError, '3 channels', '4');
  await refuses(() => sideBySide([randomPixels(1, 1, 1, 1)]), ArgumentError, '3 channels', '1');
  await refuses(() => sideBySide([]), ArgumentError, 'pictures');
  await refuses(() => captioned(randomPixels(1, 1, 1, 1), 'x'), ArgumentError, '3 channels', '1');
});

test.run();
