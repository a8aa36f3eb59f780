import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dinov2, errno, Recorder, withWorkplace } from './helpers.ts';

interface Embedded {
  image: string;
  embedding: number[];
}

test('an image that cannot be read is reported, and the others go on', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = [picture('a.png'), path('b.png'), picture('c.png')];
    writeFileSync(path('b.png'), 'broken');
    const { code, stdout, stderr } = await dinov2(['embed', ...images, '--model', model, '--json', '--output', path('out.jsonl')]);
    assert.is(code, 1);
    const found = (JSON.parse(stdout) as Embedded[]).map(({ image }) => image);
    assert.equal(found, [images[0], images[2]]);
    assert.match(stderr, `dinov2: ${images[1]}: expected a PNG or JPEG file`);
    assert.match(stderr, `dinov2: 2 of 3 images, written to ${path('out.jsonl')}\n`);
    assert.is(readFileSync(path('out.jsonl'), 'utf8').trimEnd().split('\n').length, 2);
  });
});

test('with an output, stdout has results only as JSON', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const args = ['embed', picture('a.png'), '--model', model];
    assert.is((await dinov2([...args, '--output', path('a.json')])).stdout, '');
    const both = await dinov2([...args, '--output', path('b.json'), '--json']);
    assert.is(both.stdout, readFileSync(path('b.json'), 'utf8'));
    assert.ok((await dinov2(args)).stdout.startsWith(`${args[1]}  [8]  `));
  });
});

test('an output that is there is replaced', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    writeFileSync(path('a.json'), 'old');
    assert.is((await dinov2(['embed', picture('a.png'), '--model', model, '--output', path('a.json')])).code, 0);
    assert.is((JSON.parse(readFileSync(path('a.json'), 'utf8')) as Embedded[]).length, 1);
  });
});

test('an output that is there stays as it is when nothing comes', async () => {
  await withWorkplace(async ({ model, path }) => {
    writeFileSync(path('a.json'), 'old');
    const { code, stderr } = await dinov2(['embed', path('nope.png'), '--model', model, '--output', path('a.json')]);
    assert.is(code, 1);
    assert.match(stderr, 'nothing written');
    assert.is(readFileSync(path('a.json'), 'utf8'), 'old');
  });
});

test('the embedded model is named a demonstration, once; a model of one’s own is not', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const images = [picture('a.png'), picture('b.png')];
    assert.is((await dinov2(['embed', ...images])).stderr.match(/demonstration/g)?.length, 1);
    assert.is((await dinov2(['embed', ...images, '--model', model])).stderr, '');
  });
});

test('a reader who leaves early ends the work, quietly', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const images = Array.from({ length: 5 }, (_, i) => picture(`${i}.png`));
    let writes = 0;
    const stdout = new Recorder({
      fail: (count) => {
        writes = count;
        return count > 1 ? errno('EPIPE') : undefined;
      },
    });
    const outcome = await dinov2(['embed', ...images, '--model', model], { stdout });
    assert.equal([outcome.code, outcome.stderr, outcome.stdout.split('\n').length, writes], [0, '', 2, 2]);
  });
});

test('a reader who leaves early does not keep an output from being written', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const images = Array.from({ length: 3 }, (_, i) => picture(`${i}.png`));
    const stdout = new Recorder({ fail: () => errno('EPIPE') });
    const { code } = await dinov2(['embed', ...images, '--model', model, '--json', '--output', path('a.json')], { stdout });
    assert.is(code, 0);
    assert.is((JSON.parse(readFileSync(path('a.json'), 'utf8')) as Embedded[]).length, 3);
  });
});

test('a stdout that takes nothing is an error', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const stdout = new Recorder({ fail: () => errno('ENOSPC') });
    const { code, stderr } = await dinov2(['embed', picture('a.png'), '--model', model], { stdout });
    assert.is(code, 1);
    assert.match(stderr, 'dinov2: standard output: ');
    assert.match(stderr, 'ENOSPC');
  });
});

for (const format of ['npy', 'safetensors', 'json', 'jsonl']) {
  test(`an interrupt during the work leaves no part of a .${format} file`, async () => {
    await withWorkplace(async ({ folder, model, picture, path }) => {
      const images = [picture('a.png'), picture('b.png'), picture('c.png')];
      const before = readdirSync(folder);
      const work = new AbortController();
      const stdout = new Recorder({
        fail: () => {
          work.abort(); // with the first result
          return undefined;
        },
      });
      const args = ['embed', ...images, '--model', model, '--json', '--output', path(`out.${format}`)];
      const outcome = await dinov2(args, { stdout, signal: work.signal });
      assert.is(outcome.code, 1);
      assert.is(outcome.stderr, 'dinov2: interrupted\n');
      assert.equal(readdirSync(folder), before);
    });
  });
}

test('a bar shows the progress where stderr is a terminal and the results are not on it', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const args = ['embed', picture('a.png'), path('nope.png'), picture('b.png'), '--model', model];
    const stderrOf = async (more: string[], isSeen: { stdout: boolean; stderr: boolean }): Promise<string> => {
      const stdout = new Recorder({ isTTY: isSeen.stdout });
      const { stderr } = await dinov2([...args, ...more], { stdout, stderr: new Recorder({ isTTY: isSeen.stderr }) });
      assert.match(stderr, 'nope.png');
      return stderr;
    };
    const output = ['--output', path('a.json')];
    assert.match(await stderrOf(output, { stdout: true, stderr: true }), 'of 3 images, ');
    assert.match(await stderrOf([], { stdout: false, stderr: true }), 'of 3 images, ');
    assert.not.match(await stderrOf([], { stdout: true, stderr: true }), 'of 3 images');
    assert.not.match(await stderrOf(output, { stdout: true, stderr: false }), '░');
  });
});

test('--build and --pos-embed reach the model', async () => {
  await withWorkplace(async ({ model, picture }) => {
    const args = ['features', picture('a.png'), '--size', '24', '--model', model];
    const outputs = new Set<string>();
    for (const rule of ['offset', 'size', 'antialias']) outputs.add((await dinov2([...args, '--pos-embed', rule])).stdout);
    assert.is(outputs.size, 3);
    assert.is((await dinov2(args)).stdout, [...outputs][0]);
    const [inspected] = JSON.parse((await dinov2(['inspect', args[1] as string, '--model', model, '--build', 'simd', '--json'])).stdout);
    assert.is(inspected.model.build, 'simd');
  });
});

test('images are turned upright where --exif-orientation asks for it', async () => {
  const photo = new URL('../goldens/image/images/exif-3.jpg', import.meta.url).pathname;
  await withWorkplace(async ({ model }) => {
    for (const command of ['embed', 'classify', 'features']) {
      const lying = await dinov2([command, photo, '--model', model, '--json']);
      const upright = await dinov2([command, photo, '--model', model, '--json', '--exif-orientation']);
      assert.equal([lying.code, upright.code], [0, 0]);
      assert.is.not(lying.stdout, upright.stdout);
    }
  });
});

test('an output in a folder that is not there makes the folder', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    assert.is((await dinov2(['embed', picture('a.png'), '--model', model, '--output', path('new/er/a.npy')])).code, 0);
    assert.ok(existsSync(path('new/er/a.npy')));
  });
});

if (process.platform === 'linux') {
  test('an output in a folder that the system does not let be made is an error', async () => {
    await withWorkplace(async ({ model, picture }) => {
      const { code, stderr } = await dinov2(['embed', picture('a.png'), '--model', model, '--output', '/proc/nope/a.npy']);
      assert.is(code, 1);
      assert.match(stderr, '/proc/nope/a.npy: expected a place that can be written');
    });
  });
}

test.run();
