import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dinov2, withWorkplace } from './helpers.ts';

test('--limit holds for the pictures of every command that takes them, and the others go on', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const [small, large] = [picture('small.png'), picture('large.png', { width: 40, height: 30 })];
    const limit = ['--model', model, '--limit', 'pixels=1199'];
    for (const command of ['embed', 'classify', 'features', 'inspect']) {
      const { code, stdout, stderr } = await dinov2([command, large, small, ...limit]);
      assert.is(code, 1, command);
      assert.match(stderr, `${large}: expected at most 1199 pixels, found 40 x 30: raise it with --limit pixels=VALUE`);
      assert.match(stdout, small);
    }
    for (const command of ['pca', 'attention']) {
      const { code, stderr } = await dinov2([command, large, '--size', '12', '--output', path('out.png'), ...limit]);
      assert.is(code, 1);
      assert.match(stderr, 'at most 1199 pixels, found 40 x 30');
    }
  });
});

test('--limit holds for the files of a model, for the size of a file, and for conversions', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const image = picture('a.png');
    const embed = (limit: string) => dinov2(['embed', '--limit', limit, image, '--model', model]);
    assert.match((await embed('headerBytes=100B')).stderr, /Expected for headerBytes a number above 0, a size like 500MB or none/);
    assert.match((await embed('headerBytes=0.1KB')).stderr, 'config.json: expected JSON of at most 100 bytes');
    assert.match((await embed('tensors=3,pixels=none')).stderr, 'expected at most 3 tensors');
    assert.match((await embed('imageBytes=100')).stderr, 'the file of a picture of at most 100 bytes');
    assert.match((await embed('decodeBytes=100')).stderr, 'in at most 100 bytes of memory');
    assert.is((await embed('decodeBytes=1MiB,imageBytes=1MB')).code, 0);
    for (const command of ['convert', 'quantize']) {
      const { code, stderr } = await dinov2([command, model, '--output', path(command), '--limit', 'tensors=3']);
      assert.is(code, 1);
      assert.match(stderr, 'expected at most 3 tensors');
    }
  });
});

test('--limit seconds stops a command that takes longer', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = Array.from({ length: 40 }, (_, i) => picture(`${i}.png`));
    writeFileSync(path('out.npy'), 'as it was');
    const { code, stderr } = await dinov2(['embed', ...images, '--model', model, '--limit', 'seconds=0.001', '--output', path('out.npy')]);
    assert.is(code, 1);
    assert.match(stderr, 'the command: expected to be done within 0.001 s');
    assert.match(stderr, '--limit seconds=VALUE');
  });
});

test('an unknown limit, and a value that is none, are refused', async () => {
  for (const wrong of ['pixel=1', 'pixels', 'pixels=', 'pixels=0', 'pixels=-1', 'pixels=5MB', 'seconds=x', '__proto__=1']) {
    const { code, stderr } = await dinov2(['embed', 'a.png', '--limit', wrong]);
    assert.is(code, 2, wrong);
    assert.match(stderr, /Expected (NAME=VALUE|for \w+ a number above 0)/);
  }
});

test.run();
