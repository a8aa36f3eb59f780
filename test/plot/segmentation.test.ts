import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { labelColor, segmentationPicture } from '../../src/plot/index.ts';
import { segmentsOf } from '../../src/tasks/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { randomPixels } from '../image/helpers.ts';

const SEGMENTATION = new Tensor('int32', [0, 0, 1, 7, 7, 7], [2, 3]);
const IMAGE = new RawImage(new Uint8Array(18).fill(100), 3, 2, 3);
const segments = segmentsOf(SEGMENTATION, { 0: 'wall', 1: 'cat' });

test('colours are those of PASCAL VOC without its first', () => {
  const colors = [0, 1, 2, 6, 7, 8, 19].map((id) => labelColor(id));
  assert.equal(colors, [
    [128, 0, 0],
    [0, 128, 0],
    [128, 128, 0],
    [128, 128, 128],
    [64, 0, 0],
    [192, 0, 0],
    [0, 64, 128],
  ]);
  assert.is(new Set(Array.from({ length: 255 }, (_, id) => labelColor(id).join())).size, 255);
});

test('or those of a data set: of PASCAL VOC with black for the background, of ADE20K its own', () => {
  assert.equal(
    [0, 1, 20].map((id) => labelColor(id, 'voc2012')),
    [
      [0, 0, 0],
      [128, 0, 0],
      [0, 64, 128],
    ],
  );
  assert.equal(
    [0, 2, 149].map((id) => labelColor(id, 'ade20k')),
    [
      [120, 120, 120],
      [6, 230, 230],
      [92, 0, 255],
    ],
  );
  assert.equal(labelColor(150, 'ade20k'), labelColor(150));
  const [sky] = segmentationPicture(IMAGE, SEGMENTATION, { segments, opacity: 1, colors: 'ade20k', legend: false }).data;
  assert.is(sky, 120);
});

test('without a legend, labels are mixed into the image', () => {
  const picture = segmentationPicture(IMAGE, SEGMENTATION, { segments, opacity: 0.5, legend: false });
  assert.equal([picture.width, picture.height], [3, 2]);
  const [wall, cat, other] = [
    [114, 50, 50],
    [50, 114, 50],
    [82, 50, 50],
  ] as [number[], number[], number[]];
  assert.equal([...picture.data], [...wall, ...wall, ...cat, ...other, ...other, ...other]);
  assert.equal([...segmentationPicture(IMAGE, SEGMENTATION, { segments, opacity: 0, legend: false }).data], [...IMAGE.data]);
});

test('a legend shows the colours, the largest on top, as many as there is room for', () => {
  const height = 100;
  const ids = Int32Array.from({ length: height * 50 }, (_, i) => Math.floor(i / 50) % 12);
  const segmentation = new Tensor('int32', ids.fill(3, 0, 1000), [height, 50]);
  const image = new RawImage(randomPixels(50, height, 3, 1).data, 50, height, 3);
  const picture = segmentationPicture(image, segmentation, { segments: segmentsOf(segmentation, {}) });
  assert.is(picture.height, height);
  const column = Array.from({ length: height }, (_, y) =>
    [...picture.data.subarray((y * picture.width + 50 + 10) * 3).subarray(0, 3)].join(),
  );
  const colors = column.filter((color, i) => color !== '255,255,255' && color !== column[i - 1]);
  assert.is(colors[0], labelColor(3).join());
  assert.is(colors.length, 4, 'and a line says how many more there are');
});

test('an image of another size, or without colours, is refused', async () => {
  const bad = [new RawImage(new Uint8Array(18), 2, 3, 3), new RawImage(new Uint8Array(6), 3, 2, 1)];
  for (const image of bad) await refuses(() => segmentationPicture(image, SEGMENTATION, { segments }), ShapeError, '[2,3]');
});

test.run();
