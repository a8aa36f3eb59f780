import { readFileSync, statSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { goldenPath } from '../helpers.ts';
import { dinov2, withWorkplace } from './helpers.ts';

const LYING = goldenPath('image/images/exif-6.jpg');

test('a file is described as stored, and as the model gets it', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const image = picture('a.png', { width: 40, height: 20 });
    const { code, stdout } = await dinov2(['inspect', image, LYING, '--model', model, '--json']);
    assert.is(code, 0);
    const [png, jpeg] = JSON.parse(stdout);
    assert.equal(
      [png.image, png.format, png.width, png.height, png.bytes, png.orientation],
      [image, 'PNG', 40, 20, statSync(image).size, 1],
    );
    assert.equal(
      [png.pixel_values, png.grid],
      [
        [1, 3, 12, 12],
        [3, 3],
      ],
    );
    assert.equal([jpeg.format, jpeg.orientation], ['JPEG', 6]);
  });
});

test('what the model gets follows --exif-orientation', async () => {
  await withWorkplace(async ({ model, path }) => {
    const config = JSON.parse(readFileSync(`${model}/preprocessor_config.json`, 'utf8'));
    assert.ok(config.do_center_crop);
    const dims = async (...more: string[]): Promise<number[]> => {
      const { stdout } = await dinov2(['inspect', LYING, '--model', path('model'), '--json', ...more]);
      return JSON.parse(stdout)[0].pixel_values;
    };
    assert.equal(await dims(), await dims('--exif-orientation'), 'of a cropped square the sizes are the same');
  });
});

test('a model is described by its configuration, its file and its engine', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const { stdout } = await dinov2(['inspect', picture('a.png'), '--model', model, '--json']);
    const [{ model: found }] = JSON.parse(stdout);
    assert.equal([found.type, found.layers, found.width, found.heads, found.patch, found.labels], ['dinov2', 2, 8, 2, [4, 4], 3]);
    // embeddings: class token, mask token, 10 positions, patches; 2 blocks: 2 norms, 4 projections, 2 scales, MLP; norm; classifier
    const block = 2 * 16 + 4 * (64 + 8) + 2 * 8 + (8 * 32 + 32) + (32 * 8 + 8);
    assert.is(found.parameters, 8 + 8 + 80 + (8 * 48 + 8) + 2 * block + 16 + (16 * 3 + 3));
    assert.equal([found.dtypes, found.stored], [['float32'], 4 * found.parameters]);
    assert.ok(found.memory >= found.stored - 4 * (16 * 3 + 3));
    assert.ok(['simd', 'relaxed'].includes(found.build));
  });
});

test('text has the model once and a block a file', async () => {
  const { code, stdout } = await dinov2(['inspect', LYING, goldenPath('image/images/small.png')]);
  assert.is(code, 0);
  assert.is(stdout.match(/^model$/gm)?.length, 1);
  assert.match(stdout, '8 layers of width 192 with 3 heads, patches of 14 x 14 pixels');
  assert.match(stdout, 'classifier with 70 labels');
  assert.match(stdout, '3.75 million parameters: 7.5 MB of float16 in the file');
  assert.match(stdout, `${LYING}\n  JPEG, `);
  assert.match(stdout, 'EXIF orientation 6\n');
  assert.match(stdout, 'pixel_values [1, 3, 224, 224]: 16 x 16 patches');
});

test('results can be written as JSON', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const args = ['inspect', picture('a.png'), '--model', model];
    assert.is((await dinov2([...args, '--output', path('a.json')])).code, 0);
    assert.is(readFileSync(path('a.json'), 'utf8'), (await dinov2([...args, '--json'])).stdout);
  });
});

test.run();
