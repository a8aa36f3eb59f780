import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { softmax, type Tensor } from '../../src/index.ts';
import type { Classification } from '../../src/tasks/index.ts';
import { goldenPath } from '../helpers.ts';
import { readTensors } from '../models/helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { dinov2, encoderFolder, readNpy, withWorkplace } from './helpers.ts';

const PHOTO = new URL('../../examples/photos/chelsea.png', import.meta.url).pathname;

interface Classified {
  image: string;
  labels: Classification[];
}

test('the scores of a photograph are those of PyTorch, in text, JSON and tensors', async () => {
  await withWorkplace(async ({ path }) => {
    const logits = (await readTensors(goldenPath('demo/io.safetensors'))).get('chelsea.logits') as Tensor;
    const expected = [...softmax(logits).data];
    const { code, stdout } = await dinov2(['classify', PHOTO, '--top', '70', '--json', '--output', path('scores.npy')]);
    assert.is(code, 0);
    const { dims, data } = readNpy(readFileSync(path('scores.npy')));
    assert.equal(dims, [1, 70]);
    assertWithin(data, expected, 1e-4);
    const [{ labels }] = JSON.parse(stdout) as [Classified];
    assertWithin(
      labels.map(({ score }) => score),
      expected.sort((a, b) => b - a),
      1e-4,
    );

    const text = (await dinov2(['classify', PHOTO, '--top', '2'])).stdout.split('\n');
    const best = labels.slice(0, 2).map(({ label, score }) => `   ${(100 * score).toFixed(1)} %  ${label}`);
    assert.equal(text, [PHOTO, ...best, '']);
  });
});

test('--top says how many labels, at most all', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const args = ['classify', picture('a.png'), '--model', model, '--json'];
    const labels = async (...more: string[]): Promise<string[]> =>
      (JSON.parse((await dinov2([...args, ...more])).stdout) as Classified[]).flatMap((one) => one.labels.map(({ label }) => label));
    assert.equal((await labels()).sort(), ['blue', 'green', 'red']);
    assert.equal(await labels('--top', '1'), (await labels('--top', '2')).slice(0, 1));
  });
});

test('a linear head of facebookresearch/dinov2 goes on an encoder', async () => {
  await withWorkplace(async ({ picture, path }) => {
    const args = ['classify', picture('a.png'), '--model', await encoderFolder(path('encoder')), '--json', '--top', '10', '--head'];
    const outputs = await Promise.all(
      ['fb-linear', 'fb-linear4'].map(async (head) => (await dinov2([...args, goldenPath(`${head}/model.pth`)])).stdout),
    );
    for (const output of outputs) assert.is((JSON.parse(output) as [Classified])[0].labels.length, 10);
    assert.is.not(outputs[0], outputs[1]);
  });
});

test.run();
