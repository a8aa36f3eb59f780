import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../src/image/decode.ts';
import type { Segment } from '../../src/tasks/index.ts';
import { goldenPath } from '../helpers.ts';
import { dinov2, encoderFolder, readNpy, withWorkplace } from './helpers.ts';

const HEAD = goldenPath('fb-segment-linear/model.pth');

test('labels of pixels come as text, JSON, tensors and pictures', async () => {
  await withWorkplace(async ({ path, picture }) => {
    const model = await encoderFolder(path('encoder'));
    const image = picture('a.png', { width: 60, height: 40 });
    const args = ['segment', image, '--model', model, '--head', HEAD];
    const { code, stdout, stderr } = await dinov2([...args, '--json', '--output', path('labels.npy'), '--pictures', path('out')]);
    assert.equal([code, stderr], [0, `dinov2: 1 of 1 images, written to ${path('labels.npy')}\n`]);
    const [{ segments, height, width, picture: written }] = JSON.parse(stdout) as [
      { segments: Segment[]; height: number; width: number; picture: string },
    ];
    assert.equal([height, width, written], [40, 60, path('out/a.png.segments.png')]);
    const { dims, data } = readNpy(readFileSync(path('labels.npy')));
    assert.equal(dims, [1, 40, 60]);
    for (const { id, part } of segments) {
      const own = data.filter((label) => label === id).length;
      assert.ok(own > 0 && Math.abs(part - own / data.length) < 1e-6);
    }
    assert.is(new Set(data).size, segments.length);
    const seen = await decodeImage(readFileSync(written), { source: 'a' });
    assert.ok(seen.width > 60 && seen.height === 40);

    const text = (await dinov2(args)).stdout.trimEnd().split('\n');
    assert.equal([text[0], text.length], [image, 1 + segments.length]);
    const [largest] = [...segments].sort((a, b) => b.part - a.part) as [Segment];
    assert.match(text[1] as string, largest.label);
  });
});

test('labels have the names of the data set in the name of the head, or those given', async () => {
  await withWorkplace(async ({ path, picture }) => {
    const head = path('x_voc2012_linear_head.pth');
    copyFileSync(HEAD, head);
    const args = ['segment', picture('a.png', { width: 60, height: 40 }), '--model', await encoderFolder(path('encoder')), '--json'];
    const labels = async (...more: string[]): Promise<string[]> => {
      const [{ segments }] = JSON.parse((await dinov2([...args, ...more])).stdout) as [{ segments: Segment[] }];
      return segments.map(({ id, label }) => `${id} ${label}`);
    };
    const numbers = (await labels('--head', HEAD)).map((label) => Number(label.split(' ')[0]));
    const names = 'background aeroplane bicycle bird boat bottle bus car cat chair cow'.split(' ');
    const named = await labels('--head', head);
    assert.equal(
      named.filter((label) => Number(label.split(' ')[0]) <= 10),
      numbers.filter((id) => id <= 10).map((id) => `${id} ${names[id]}`),
    );
    writeFileSync(path('names.txt'), `${Array.from({ length: 21 }, (_, i) => `kind ${i}`).join('\r\n')}\n`);
    assert.equal(
      await labels('--head', head, '--labels', path('names.txt')),
      numbers.map((id) => `${id} kind ${id}`),
    );
    writeFileSync(path('names.txt'), 'one');
    const { code, stderr } = await dinov2([...args, '--head', head, '--labels', path('names.txt')]);
    assert.is(code, 1);
    assert.match(stderr, '"decode_head.conv_seg.weight"');
  });
});

test('scales and mirror images are averaged where asked for', async () => {
  await withWorkplace(async ({ path, picture }) => {
    const args = ['segment', picture('a.png', { width: 60, height: 40 }), '--model', await encoderFolder(path('encoder')), '--head', HEAD];
    const outputs = await Promise.all(
      [[], ['--flip'], ['--scales', '0.5', '1']].map(async (more) => (await dinov2([...args, ...more])).stdout),
    );
    assert.is(new Set(outputs).size, 3);
    assert.equal((await dinov2([...args, '--scales', '0'])).code, 2);
  });
});

test('a head that is none for segmentation is refused by name', async () => {
  await withWorkplace(async ({ path, picture, model }) => {
    const image = picture('a.png');
    const encoder = await encoderFolder(path('encoder'));
    for (const [args, part] of [
      [['--model', encoder, '--head', goldenPath('fb-linear/model.pth')], 'segmentation head'],
      [['--model', encoder, '--head', path('nope.pth')], 'nope.pth'],
      [['--model', model], 'head'],
    ] as const) {
      const { code, stdout, stderr } = await dinov2(['segment', image, ...args]);
      assert.equal([code, stdout], [1, '']);
      assert.match(stderr, part);
    }
  });
});

test.run();
