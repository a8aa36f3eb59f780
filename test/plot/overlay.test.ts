import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapeError } from '../../src/errors.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { colormap, drawLine, heatPicture, pcaPicture } from '../../src/plot/index.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';

const GRAY = new RawImage(new Uint8Array(4 * 2 * 3).fill(100), 4, 2, 3);

test('heat goes from the lowest to the highest colour', () => {
  const { data } = heatPicture(GRAY, new Tensor('float32', [0, 0, 1, 1, 0, 0, 1, 1], [2, 4]), { opacity: 1 });
  const colors = colormap('inferno');
  assert.equal([...data.subarray(0, 3), ...data.subarray(9, 12)], [...colors.subarray(0, 3), ...colors.subarray(765)]);
});

test('the background is black, or the photograph in grey', async () => {
  const colors = new Tensor('float32', new Float32Array(24).fill(1), [2, 4, 3]);
  const foreground = new Tensor('float32', [-5, -5, 5, 5, -5, -5, 5, 5], [2, 4]);
  const alone = await pcaPicture({ colors, foreground }, GRAY);
  assert.equal([alone.data[0], alone.data[9]], [0, 255]);
  const over = await pcaPicture({ colors, foreground }, GRAY, { image: GRAY, opacity: 0.5 });
  assert.equal([over.data[0], over.data[9]], [100, 178]);
  await refuses(() => pcaPicture({ colors, foreground }, { width: 5, height: 2 }, { image: GRAY }), ShapeError, 'image', '5 x 2');
  await refuses(() => heatPicture(GRAY, foreground.reshape(8)), ShapeError, 'values', '[8]');
});

test('a line covers its pixels and ends at the border', () => {
  const picture = new RawImage(new Uint8Array(5 * 3 * 3), 5, 3, 3);
  drawLine(picture, { x: -3, y: 1.5 }, { x: 9, y: 1.5 }, { color: [255, 255, 255], width: 1 });
  assert.equal(
    Array.from({ length: 15 }, (_, i) => picture.data[i * 3]),
    [0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0],
  );
});

test.run();
