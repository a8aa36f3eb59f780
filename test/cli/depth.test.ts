import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../src/image/decode.ts';
import { pipeline } from '../../src/tasks/pipeline.ts';
import { assertSameBits } from '../reference/compare.ts';
import { depthModel, dinov2, readNpy, withWorkplace } from './helpers.ts';

interface Estimated {
  image: string;
  kind: string;
  height: number;
  width: number;
  lowest: number;
  highest: number;
  picture?: string;
  png16?: { path: string; offset: number; step: number };
}

test('depth is that of the pipeline, in text, JSON, tensors and pictures', async () => {
  await withWorkplace(async ({ path, picture }) => {
    const model = await depthModel(path('depth'));
    const image = picture('a.png', { width: 50, height: 40 });
    const args = [
      'depth',
      image,
      '--model',
      model,
      '--json',
      '--output',
      path('depth.npy'),
      '--pictures',
      path('out'),
      '--png16',
      path('out'),
    ];
    const { code, stdout } = await dinov2(args);
    assert.is(code, 0);
    const estimate = await pipeline('depth-estimation', model);
    const { predicted_depth } = await estimate(image);
    await estimate.dispose();
    const { dims, data } = readNpy(readFileSync(path('depth.npy')));
    assert.equal(dims, [1, 40, 50]);
    assertSameBits(data, predicted_depth.data);

    const [{ kind, height, width, lowest, highest, picture: colored, png16 }] = JSON.parse(stdout) as [Estimated];
    assert.equal([kind, height, width], ['metric', 40, 50]);
    assert.ok(lowest < highest && Math.abs(lowest - Math.min(...data)) < 1e-6);
    assert.equal([colored, png16], [path('out/a.png.depth.png'), { path: path('out/a.png.depth16.png'), offset: 0, step: 1 / 256 }]);
    const seen = await decodeImage(readFileSync(path('out/a.png.depth.png')), { source: 'a' });
    assert.ok(seen.width > 50 && seen.height === 40);
    assert.is((await decodeImage(readFileSync(path('out/a.png.depth16.png')), { source: 'a' })).width, 50);

    const { stdout: text } = await dinov2(['depth', image, '--model', model]);
    assert.is(text, `${image}  40 x 50  ${lowest.toFixed(2)} to ${highest.toFixed(2)} m\n`);
  });
});

test('relative depth says what is near; colours can be chosen', async () => {
  await withWorkplace(async ({ path, picture }) => {
    const model = await depthModel(path('depth'), 'relative');
    const image = picture('a.png', { width: 50, height: 40 });
    const pictures = ['inferno', 'turbo'].map(async (colormap) => {
      const { code, stdout } = await dinov2(['depth', image, '--model', model, '--pictures', path(colormap), '--colormap', colormap]);
      assert.is(code, 0);
      assert.match(stdout, /relative, [\d.-]+ far to [\d.]+ near/);
      return readFileSync(path(`${colormap}/a.png.depth.png`));
    });
    const [inferno, turbo] = (await Promise.all(pictures)) as [Buffer, Buffer];
    assert.not.ok(inferno.equals(turbo));
  });
});

test('images of different sizes are well, but for a .npy file; one that cannot be read is reported', async () => {
  await withWorkplace(async ({ path, picture }) => {
    const model = await depthModel(path('depth'));
    const images = [picture('a.png', { width: 50, height: 40 }), picture('b.png', { width: 40, height: 50 }), path('c.png')];
    writeFileSync(path('c.png'), 'broken');
    const { code, stderr, stdout } = await dinov2(['depth', ...images, '--model', model, '--output', path('depth.safetensors'), '--json']);
    assert.equal([code, (JSON.parse(stdout) as Estimated[]).length], [1, 2]);
    assert.match(stderr, 'c.png: expected a PNG or JPEG file');
    assert.ok(existsSync(path('depth.safetensors')));
    const stacked = await dinov2(['depth', ...images.slice(0, 2), '--model', model, '--output', path('depth.npy')]);
    assert.is(stacked.code, 1);
    assert.match(stacked.stderr, 'write a .safetensors file');
  });
});

test('a model without depth, and images whose pictures would have one name, are refused', async () => {
  await withWorkplace(async ({ path, model, picture }) => {
    const image = picture('a.png');
    const other = await dinov2(['depth', image, '--model', model]);
    assert.equal([other.code, other.stdout], [1, '']);
    assert.match(other.stderr, 'model_type');
    mkdirSync(path('in'));
    const twice = ['depth', image, picture('in/a.png'), '--model', await depthModel(path('depth')), '--pictures', path('out')];
    const { code, stderr } = await dinov2(twice);
    assert.is(code, 1);
    assert.match(stderr, 'pictures: expected images of different names');
  });
});

test.run();
