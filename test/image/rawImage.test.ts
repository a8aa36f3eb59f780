import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, LimitError, NotFoundError } from '../../src/errors.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { resize } from '../../src/image/resize.ts';
import { goldenPath, refuses, withFolder } from '../helpers.ts';
import { decoded, picture, picturePath, randomPixels } from './helpers.ts';

const SMALL = await decoded('small.png');

function assertSmall(image: RawImage): void {
  assert.instance(image, RawImage);
  assert.equal(image.size, [90, 61]);
  assert.is(image.channels, 3);
  assert.equal(image.data, SMALL.data);
}

test('a file is read from a path, a file: URL, a data: URL, a Blob and bytes', async () => {
  const path = picturePath('small.png');
  const bytes = picture('small.png');
  const { buffer } = bytes;
  const dataUrl = `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`;
  for (const input of [
    path,
    pathToFileURL(path),
    pathToFileURL(path).href,
    dataUrl,
    new Blob([bytes]),
    bytes,
    buffer,
    Buffer.from(bytes),
  ]) {
    assertSmall(await RawImage.read(input));
  }
  assertSmall(await RawImage.fromURL(dataUrl));
  assertSmall(await RawImage.fromBlob(new Blob([bytes])));
});

test('a path with spaces and letters beyond ASCII is read, also as a file: URL', async () => {
  await withFolder(async (folder) => {
    const path = join(folder, 'zwei Kätzchen %20.png');
    writeFileSync(path, picture('small.png'));
    assertSmall(await RawImage.read(path));
    assertSmall(await RawImage.read(pathToFileURL(path)));
  });
});

test('a file is read over http; what is not there is refused with URL and status', async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/small.png' ? 200 : 404;
    response.end(picture('small.png'));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    assertSmall(await RawImage.read(`${url}/small.png`));
    assertSmall(await RawImage.fromURL(new URL(`${url}/small.png`)));
    await refuses(() => RawImage.read(`${url}/other.png`), NotFoundError, `${url}/other.png`, '404');
  } finally {
    await new Promise((closed) => server.close(closed));
  }
  await refuses(() => RawImage.read(`${url}/small.png`), NotFoundError, 'no answer');
});

test('pixels are taken as they are, ImageData with its four channels', async () => {
  const { data } = randomPixels(4, 3, 4, 1);
  const image = await RawImage.read({ data: new Uint8ClampedArray(data), width: 4, height: 3 });
  assert.equal([image.width, image.height, image.channels], [4, 3, 4]);
  assert.equal(image.data, data);
  assert.equal((await RawImage.read({ data, width: 4, height: 4, channels: 3 })).channels, 3);
  assert.is(await RawImage.read(image), image);
});

test('a given decoder takes the place of the own one', async () => {
  const given: Uint8Array[] = [];
  const decode = async (bytes: Uint8Array) => {
    given.push(bytes);
    return randomPixels(2, 1, 4, 2);
  };
  const image = await RawImage.read(Uint8Array.of(1, 2, 3), { decode });
  assert.equal([image.width, image.height, image.channels], [2, 1, 4]);
  assert.equal(given, [Uint8Array.of(1, 2, 3)]);
  await refuses(() => RawImage.read(Uint8Array.of(1), { decode, limits: { pixels: 1 } }), LimitError, 'at most 1 pixels', '2 x 1');
});

test('EXIF orientation is followed only when asked for', async () => {
  const stored = await RawImage.read(picturePath('exif-6.jpg'));
  const upright = await RawImage.read(picturePath('exif-6.jpg'), { exifOrientation: true });
  assert.equal(stored.size, [90, 61]);
  assert.equal(upright.size, [61, 90]);
  assertSmall(await RawImage.read(picturePath('small.png'), { exifOrientation: true }));
});

test('what is no picture is refused, naming it', async () => {
  await refuses(() => RawImage.read('no/such.png'), NotFoundError, 'no/such.png');
  await refuses(() => RawImage.read(goldenPath('image')), ImageError, 'image', 'a folder');
  await refuses(() => RawImage.read(goldenPath('image/images.json')), ImageError, 'images.json', 'PNG or JPEG');
  await refuses(() => RawImage.read(new File(['no picture'], 'notes.txt')), ImageError, 'notes.txt');
  await refuses(() => RawImage.read('data:text/plain,hello'), ImageError, 'data:text/plain,hello');
  await refuses(() => RawImage.read('file:///%zz.png'), ArgumentError, 'file:///%zz.png');
  for (const input of [undefined, null, 7, {}, [1]]) await refuses(() => RawImage.read(input as never), ArgumentError, 'image');
});

test('data that disagrees with the size is refused', async () => {
  const data = new Uint8Array(12);
  await refuses(() => new RawImage(data, 2, 2, 4), ImageError, 'expected 16 bytes', 'found 12');
  await refuses(() => new RawImage(data, 2, 2, 5), ImageError, '1 to 4 channels', 'found 5');
  await refuses(() => new RawImage(data, 0, 2, 3), ImageError, '0 x 2');
  await refuses(() => RawImage.read({ data, width: 7, height: 1 }), ImageError, 'channels');
  await refuses(() => RawImage.read({ data, width: Number.NaN, height: 1 }), ImageError, 'NaN');
  await refuses(() => RawImage.read({ data, width: 2 } as never), ImageError, 'found 2 x undefined');
  await refuses(() => RawImage.read({ data: [1, 2, 3] as never, width: 1, height: 1 }), ImageError, 'Uint8Array', 'Array');
  await refuses(() => RawImage.read({ data, width: 2, height: 2 }, { limits: { pixels: 3 } }), LimitError, 'at most 3');
});

test('channels are converted as Pillow does it', async () => {
  const rgba = new RawImage(Uint8Array.of(10, 20, 30, 40, 255, 128, 1, 0), 2, 1, 4);
  assert.equal([...rgba.rgb().data], [10, 20, 30, 255, 128, 1]);
  assert.equal([...rgba.grayscale().data], [18, 151]); // as Image.new('RGB', (1, 1), (10, 20, 30)).convert('L')
  assert.equal([...rgba.rgb().rgba().data], [10, 20, 30, 255, 255, 128, 1, 255]);
  assert.is(rgba.rgba(), rgba);
  const gray = new RawImage(Uint8Array.of(7, 9), 2, 1, 1);
  assert.equal([...gray.rgb().data], [7, 7, 7, 9, 9, 9]);
  const grayAlpha = new RawImage(Uint8Array.of(7, 1, 9, 2), 2, 1, 2);
  assert.equal([...grayAlpha.rgba().data], [7, 7, 7, 1, 9, 9, 9, 2]);
  assert.equal([...grayAlpha.grayscale().data], [7, 9]);
  await refuses(() => gray.convert(2), ArgumentError, 'channels', 'found 2');
});

test('resize is Pillow’s, bilinear by default', async () => {
  const image = new RawImage(SMALL.data, 90, 61, 3);
  assert.equal((await image.resize(20, 30)).data, resize(SMALL, { width: 20, height: 30, resample: 2 }).data);
  assert.equal((await image.resize(20, 30, { resample: 'lanczos' })).data, resize(SMALL, { width: 20, height: 30, resample: 1 }).data);
  await refuses(() => image.resize(0, 3), ImageError, '0 x 3');
});

/** 1 to 12 in rows of four. */
const COUNTED = new RawImage(
  Uint8Array.from({ length: 12 }, (_, i) => i + 1),
  4,
  3,
  1,
);

test('crop takes columns and rows up to the last, as far as the picture reaches', async () => {
  assert.equal([...(await COUNTED.crop([1, 0, 2, 1])).data], [2, 3, 6, 7]);
  assert.equal([...(await COUNTED.crop([2, 2, 9, 9])).data], [11, 12]);
  assert.equal([...(await COUNTED.crop([-5, -5, 0, 0])).data], [1]);
  await refuses(() => COUNTED.crop([4, 0, 9, 9]), ImageError, 'crop [4,0,9,9] of 4 x 3');
  await refuses(() => COUNTED.crop([0.5, 0, 1, 1]), ArgumentError, 'integers');
});

test('the middle is cut out, half a pixel up and left, with black around what is too small', async () => {
  assert.equal([...(await COUNTED.center_crop(2, 2)).data], [2, 3, 6, 7]);
  assert.equal([...(await COUNTED.center_crop(1, 5)).data], [0, 2, 6, 10, 0]);
  assert.equal([...(await COUNTED.center_crop(5, 1)).data], [0, 5, 6, 7, 8]);
  await refuses(() => COUNTED.center_crop(0, 1), ImageError, 'center_crop');
});

test('pixels become a tensor, channels first or last', () => {
  const image = new RawImage(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), 3, 2, 2);
  assert.equal(image.toTensor().dims, [2, 2, 3]);
  assert.equal([...image.toTensor().data], [1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12]);
  assert.equal(image.toTensor('HWC').dims, [2, 3, 2]);
  assert.equal([...image.toTensor('HWC').data], [...image.data]);
});

test('a clone has data of its own', () => {
  const copy = COUNTED.clone();
  assert.equal(copy, COUNTED);
  assert.is.not(copy.data, COUNTED.data);
});

test('what is no crop is shown as it was given', async () => {
  await refuses(() => COUNTED.crop([0, 0.5, 1, 2]), ArgumentError, 'crop: expected four integers, found [0,0.5,1,2]');
  await refuses(() => COUNTED.crop([3, 1, 2, 1]), ImageError, 'crop [3,1,2,1] of 4 x 3 pixels', 'found 0 x 1');
});

test.run();
