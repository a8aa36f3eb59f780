import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoImageProcessor, AutoModel, type Tensor } from '../../src/index.ts';
import { readTensors } from '../models/helpers.ts';
import { assertSame } from '../reference/compare.ts';
import { dinov2, readNpy, withWorkplace } from './helpers.ts';

test('features are the patches of the last hidden state, at their places', async () => {
  await withWorkplace(async ({ model: folder, picture, path }) => {
    const image = picture('a.png');
    const { code } = await dinov2(['features', image, '--model', folder, '--output', path('a.npy')]);
    assert.is(code, 0);
    const { dims, data } = readNpy(readFileSync(path('a.npy')));
    assert.equal(dims, [1, 3, 3, 8]);
    const model = await AutoModel.from_pretrained(folder);
    const { last_hidden_state } = await model(await (await AutoImageProcessor.from_pretrained(folder))(image));
    model.dispose();
    assertSame(data, last_hidden_state.at(0).slice(1).data);
  });
});

test('JSON has them as rows of columns of numbers', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const { stdout } = await dinov2(['features', picture('a.png'), '--model', model, '--json', '--output', path('a.npy')]);
    const [{ features }] = JSON.parse(stdout) as [{ features: number[][][] }];
    assert.equal([features.length, features[0]?.length, features[0]?.[0]?.length], [3, 3, 8]);
    assertSame(Float32Array.from(features.flat(2)), readNpy(readFileSync(path('a.npy'))).data);
  });
});

test('--layer counts blocks from both ends', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const args = ['features', picture('a.png'), '--model', model, '--json'];
    const at = async (layer: string): Promise<string> => (await dinov2([...args, '--layer', layer])).stdout;
    assert.is(await at('2'), await at('-1'));
    assert.is(await at('1'), await at('-2'));
    assert.is(new Set([await at('0'), await at('1'), await at('2')]).size, 3);
    for (const layer of ['3', '-3']) {
      const { code, stderr } = await dinov2([...args, '--layer', layer]);
      assert.is(code, 1);
      assert.match(stderr, `layer: expected an integer from -2 to 2, found ${layer}`);
    }
  });
});

test('--size takes the whole image, in whole patches', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = [picture('a.png', { width: 32, height: 16 }), picture('b.png', { width: 10, height: 15 })];
    const { code } = await dinov2(['features', ...images, '--size', '16', '--model', model, '--output', path('out.safetensors')]);
    assert.is(code, 0);
    const tensors = await readTensors(path('out.safetensors'));
    assert.equal(
      images.map((image) => (tensors.get(image) as Tensor).dims),
      [
        [4, 8, 8],
        [6, 4, 8],
      ],
    );
  });
});

test('an image with another grid cannot go into a .npy file, and is reported', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = [
      picture('a.png', { width: 16, height: 16 }),
      picture('b.png', { width: 32, height: 16 }),
      picture('c.png', { width: 8, height: 8 }),
    ];
    const { code, stderr } = await dinov2(['features', ...images, '--size', '16', '--model', model, '--output', path('out.npy')]);
    assert.is(code, 1);
    assert.match(stderr, `${images[1]}: expected [4, 4, 8]`);
    assert.match(stderr, 'found [4, 8, 8]');
    assert.equal(readNpy(readFileSync(path('out.npy'))).dims, [2, 4, 4, 8]);
  });
});

test('a size below a patch is refused with the image', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const image = picture('a.png');
    const { code, stderr } = await dinov2(['features', image, '--size', '3', '--model', model]);
    assert.is(code, 1);
    assert.match(stderr, `dinov2: ${image}: shortestEdge: expected at least a patch, 4 x 4 pixels, found 3`);
  });
});

test.run();
