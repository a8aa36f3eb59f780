import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../src/image/decode.ts';
import { dinov2, withWorkplace } from './helpers.ts';

const sizeOf = async (path: string): Promise<number[]> => {
  const { width, height } = await decodeImage(readFileSync(path));
  return [width, height];
};

test('pca writes a picture an image at its size, or one for all; what cannot be read is reported', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = [picture('a.png', { width: 30, height: 20 }), picture('b.png', { width: 24, height: 32 })];
    writeFileSync(path('c.png'), 'broken');
    const args = ['pca', ...images, path('c.png'), '--size', '16', '--model', model];
    const { code, stderr } = await dinov2([...args, '--output', path('out'), '--layout', 'overlay']);
    assert.is(code, 1);
    assert.match(stderr, 'c.png: expected a PNG or JPEG file');
    assert.equal(readdirSync(path('out')), ['a.png.pca.png', 'b.png.pca.png']);
    assert.equal(await sizeOf(path('out/a.png.pca.png')), [30, 20]);
    await dinov2([...args, '--output', path('all.png')]);
    assert.equal(await sizeOf(path('all.png')), [30 + 8 + 30 + 8 + 24 + 8 + 24, 32]);
  });
});

test('attention shows all heads, one, or the rollout', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const args = ['attention', picture('a.png', { width: 30, height: 20 }), '--size', '16', '--model', model, '--output', path('x.png')];
    assert.is((await dinov2(args)).code, 0);
    assert.equal(await sizeOf(path('x.png')), [30 * 3 + 16, 20 + 17]);
    for (const more of [['--head', '2'], ['--rollout'], ['--head', '1', '--layer', '1', '--point', '29,19']]) {
      assert.is((await dinov2([...args, ...more])).code, 0);
      assert.equal(await sizeOf(path('x.png')), [30, 20]);
    }
    for (const [more, message] of [
      [['--head', '3'], 'head: expected 1 to 2, found 3'],
      [['--layer', '3'], 'layer: expected 1 to 2'],
      [['--rollout', '--head', '1'], 'rollout'],
      [['--point', '31,3'], 'point: expected x from 0 to 30'],
    ] as const) {
      const { code, stderr } = await dinov2([...args, ...more]);
      assert.is(code, 1);
      assert.match(stderr, message);
    }
  });
});

test('--json of pca and attention is one array, also of no pictures', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = [picture('a.png'), picture('b.png')];
    writeFileSync(path('c.png'), 'broken');
    const common = ['--size', '16', '--model', model, '--threads', '1', '--output', path('out'), '--json'];
    for (const command of ['pca', 'attention']) {
      const { stdout } = await dinov2([command, ...images, path('c.png'), ...common]);
      const expected = ['a.png', 'b.png'].map((name) => ({ image: path(name), picture: path(`out/${name}.${command}.png`) }));
      assert.equal(JSON.parse(stdout), expected);
      assert.equal(JSON.parse((await dinov2([command, path('c.png'), ...common])).stdout), []);
    }
  });
});

test('attention of several images wants a folder: one picture would be written over the other', async () => {
  await withWorkplace(async ({ picture, path, model }) => {
    const { code, stderr } = await dinov2(['attention', picture('a.png'), picture('b.png'), '--model', model, '--output', path('one.png')]);
    assert.is(code, 1);
    assert.match(stderr, 'expected a folder');
  });
});

test('match gives coordinates in the pixels of both images', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const image = picture('a.png', { width: 48, height: 32 });
    const args = ['match', image, image, '--size', '16', '--model', model, '--no-refine', '--output', path('m.png'), '--json'];
    const { code, stdout } = await dinov2(args);
    assert.is(code, 0);
    const { a, matches } = JSON.parse(stdout) as { a: object; matches: { a: object; b: object }[] };
    assert.equal(a, { image, width: 48, height: 32 });
    assert.is(matches.length, 24);
    for (const match of matches) assert.equal(match.b, match.a);
    assert.equal(await sizeOf(path('m.png')), [48 + 8 + 48, 32]);
    assert.is((await dinov2([...args, '--point', '5,7'])).code, 0);
    assert.is((await dinov2(['match', image, '--model', model])).code, 2);
    const { stderr } = await dinov2(['match', image, image, '--output', path('m.jpg'), '--model', model]);
    assert.match(stderr, 'output: expected a name that ends in .png');
    assert.not.ok(existsSync(path('m.jpg')));
  });
});

test.run();
