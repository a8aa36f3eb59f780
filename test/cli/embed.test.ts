import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Tensor } from '../../src/index.ts';
import { goldenPath } from '../helpers.ts';
import { readTensors } from '../models/helpers.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';
import { dinov2, readNpy, withWorkplace } from './helpers.ts';

const PHOTOS = new URL('../../examples/photos', import.meta.url).pathname;

interface Embedded {
  image: string;
  embedding: number[];
}

test('the vectors of a folder of photographs are those of PyTorch', async () => {
  const golden = await readTensors(goldenPath('demo/io.safetensors'));
  const { code, stdout } = await dinov2(['embed', PHOTOS, '--json']);
  assert.is(code, 0);
  const found = JSON.parse(stdout) as Embedded[];
  assert.equal(
    found.map(({ image }) => image),
    ['astronaut.png', 'chelsea.png', 'coffee.png', 'rocket.jpg'].map((name) => `${PHOTOS}/${name}`),
  );
  for (const { image, embedding } of found) {
    if (image.endsWith('.jpg')) continue; // its pixels depend on the decoder
    const states = golden.get(`${image.slice(PHOTOS.length + 1, -4)}.last_hidden_state`) as Tensor<'float32'>;
    assertWithin(embedding, states.at(0).at(0).data, 1e-4, image);
  }
});

test('every format holds the same numbers, exactly', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = [picture('a.png'), picture('b.png', { width: 12, height: 40 })];
    const write = async (name: string): Promise<Uint8Array> => {
      const { code } = await dinov2(['embed', ...images, '--model', model, '--output', path(name)]);
      assert.is(code, 0);
      return readFileSync(path(name));
    };
    const { dims, data } = readNpy(await write('out.npy'));
    assert.equal(dims, [2, 8]);

    await write('out.safetensors');
    const tensors = await readTensors(path('out.safetensors'));
    assert.equal([...tensors.keys()].sort(), images);
    for (const [i, image] of images.entries()) {
      assert.equal(tensors.get(image)?.dims, [8]);
      assertSame((tensors.get(image) as Tensor<'float32'>).data, data.subarray(8 * i, 8 * i + 8));
    }

    const json = JSON.parse(new TextDecoder().decode(await write('out.json'))) as Embedded[];
    assert.equal(
      json.map(({ image }) => image),
      images,
    );
    assertSame(Float32Array.from(json.flatMap(({ embedding }) => embedding)), data);
    const lines = new TextDecoder()
      .decode(await write('out.jsonl'))
      .trimEnd()
      .split('\n');
    assert.equal(
      lines.map((line) => JSON.parse(line)),
      json,
    );
  });
});

test('--pooling chooses the vector: both is cls with mean behind it', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const args = ['embed', picture('a.png'), '--model', model, '--json'];
    const vector = async (...more: string[]): Promise<number[]> =>
      (JSON.parse((await dinov2([...args, ...more])).stdout) as Embedded[])[0]?.embedding as number[];
    const cls = await vector('--pooling', 'cls');
    const mean = await vector('--pooling', 'mean');
    assert.equal(await vector(), cls);
    assert.not.equal(cls, mean);
    assert.equal(await vector('--pooling', 'both'), [...cls, ...mean]);
  });
});

test.run();
