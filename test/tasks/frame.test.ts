import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/errors.ts';
import { BitImageProcessor, Dinov2Config, RawImage } from '../../src/index.ts';
import { patchAlignedSize, patchAt, patchFrame, pointOf, wholePhoto } from '../../src/tasks/index.ts';
import { refuses } from '../helpers.ts';

const CONFIG = new Dinov2Config({ patch_size: 14 });
const PHOTO = new RawImage(new Uint8Array(200 * 100 * 3), 200, 100, 3);

test('patches lie where resizing and cropping have put them', async () => {
  const processor = new BitImageProcessor({ size: 50, crop_size: 28 }); // to 100 x 50, of which 28 x 28 from 36, 11
  const frame = patchFrame(CONFIG, await processor(PHOTO));
  assert.equal(frame, { rows: 2, columns: 2, left: 72, top: 22, patchWidth: 28, patchHeight: 28 });
  assert.equal(pointOf(frame, { row: 1, column: 0 }), { x: 86, y: 64 });
});

test('a whole photograph is covered by its patches, and middles come back to them', async () => {
  const { frame, pixel_values } = await wholePhoto(PHOTO, { processor: new BitImageProcessor(), config: CONFIG, shortestEdge: 42 });
  assert.equal(pixel_values.dims, [1, 3, 42, 84]);
  assert.equal(frame, { rows: 3, columns: 6, left: 0, top: 0, patchWidth: 200 / 6, patchHeight: 100 / 3 });
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 6; column++) assert.equal(patchAt(frame, pointOf(frame, { row, column })), { row, column });
  }
  await refuses(() => patchAt(frame, { x: 201, y: 3 }), ArgumentError, 'point', '200', '201,3');
});

test('the aligned size keeps the proportions as well as whole patches can', () => {
  const at = (width: number, height: number, shortestEdge: number): number[] => {
    const size = patchAlignedSize({ width, height }, { shortestEdge, config: CONFIG });
    return [size.width, size.height];
  };
  assert.equal(at(640, 480, 224), [294, 224]); // 298.7 is nearest to 21 patches
  assert.equal(at(480, 640, 224), [224, 294]);
  assert.equal(at(10, 10, 225), [224, 224]);
  assert.equal(at(1000, 1, 14), [14000, 14]);
});

test('an aligned size below a patch is refused', async () => {
  for (const shortestEdge of [13, 0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    await refuses(
      () => patchAlignedSize({ width: 9, height: 9 }, { shortestEdge, config: CONFIG }),
      ArgumentError,
      'shortestEdge',
      '14 x 14',
    );
  }
});

test.run();
