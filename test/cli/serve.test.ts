import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Dinov2Model } from '../../src/index.ts';
import { comesTrue } from '../helpers.ts';
import { postImage, readMetrics, withService } from '../serve/process.ts';
import { dinov2, withWorkplace } from './helpers.ts';

interface Neighbors {
  readonly neighbors: readonly { readonly image: string; readonly score: number }[];
}

const bytes = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

test('dinov2 serve answers as dinov2 embed, classify and search do, and ends with 0 on SIGTERM', async () => {
  await withWorkplace(async ({ folder, model, picture }) => {
    const [a, b] = [picture('a.png'), picture('b.png')];
    assert.is((await dinov2(['index', folder, '--model', model])).code, 0);
    await withService(['--model', model, '--index', folder], async (service) => {
      const ask = async (path: string, image = a): Promise<object> => JSON.parse((await postImage(service.url + path, bytes(image))).body);
      const command = async (...args: string[]): Promise<object> =>
        JSON.parse((await dinov2([...args, '--model', model, '--json'])).stdout)[0];
      assert.equal({ image: a, ...(await ask('/embed?pooling=both')) }, await command('embed', a, '--pooling', 'both'));
      assert.equal({ image: b, ...(await ask('/classify?top=2', b)) }, await command('classify', b, '--top', '2'));
      const { neighbors } = (await command('search', b, '--index', folder)) as Neighbors;
      const { neighbors: found } = (await ask('/search', b)) as Neighbors;
      assert.equal(
        found.map(({ image, score }) => [`${folder}/${image}`, score.toFixed(6)]),
        neighbors.map(({ image, score }) => [image, score.toFixed(6)]),
      );
      assert.is(found[0]?.image, 'b.png');
      const { info } = (await (await fetch(`${service.url}/openapi.json`)).json()) as { info: { version: string } };
      assert.is(info.version, (await dinov2(['--version'])).stdout.trim());
      service.child.kill('SIGTERM');
      assert.equal(await service.ended, { code: 0, signal: null });
      assert.is(
        service.stderr,
        `dinov2: ${service.url} answers /embed, /classify, /search, /health, /metrics and /openapi.json\ndinov2: finishing what was accepted\n`,
      );
    });
  });
});

/** Gives each picture one pixel when the file `open` is beside it, however fast the machine is. */
const GATED = `
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
export async function decode() {
  while (!existsSync(new URL('open', import.meta.url))) await setTimeout(5);
  return { data: Uint8Array.of(1, 2, 3), width: 1, height: 1, channels: 3 };
}`;

test('what was accepted is finished before it ends', async () => {
  await withWorkplace(async ({ model, path }) => {
    writeFileSync(path('gated.mjs'), GATED);
    await withService(['--model', model, '--decoder', path('gated.mjs')], async (service) => {
      const answers = Array.from({ length: 10 }, () => postImage(`${service.url}/embed`, Uint8Array.of(1)));
      const isWaiting = async (): Promise<boolean> => (await readMetrics(service.url)).get('dinov2_requests_waiting') === 9;
      assert.ok(await comesTrue(isWaiting));
      service.child.kill('SIGINT');
      assert.ok(await comesTrue(() => service.stderr.includes('finishing what was accepted')));
      writeFileSync(path('open'), '');
      for (const { status } of await Promise.all(answers)) assert.is(status, 200);
      assert.equal(await service.ended, { code: 0, signal: null });
    });
  });
});

test('a service that cannot be is an error in one line', async () => {
  await withWorkplace(async ({ folder, model, picture, path }) => {
    picture('a.png');
    await dinov2(['index', folder, '--model', model]);
    const other = new Dinov2Model(
      { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, image_size: 12, patch_size: 4 },
      { seed: 5 },
    );
    await other.save_pretrained(path('other'));
    other.dispose();
    const processor = 'preprocessor_config.json';
    copyFileSync(`${model}/${processor}`, path(`other/${processor}`));
    const taken = createServer();
    const port = await new Promise<number>((resolve) =>
      taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port)),
    );
    for (const [args, parts] of [
      [['--model', path('nope')], ['nope']],
      [['--model', model, '--index', model], ['expected a folder with dinov2-index.safetensors']],
      [
        ['--model', path('other'), '--index', folder],
        ['expected the model that made its index', '--rebuild'],
      ],
      [['--model', model, '--head', path('nope.safetensors')], ['nope.safetensors']],
      [['--model', model, '--port', String(port)], [`127.0.0.1:${port}: expected a free port`]],
    ] as const) {
      const { code, stdout, stderr } = await dinov2(['serve', '--port', '0', ...args]);
      assert.equal([code, stdout], [1, '']);
      for (const part of parts) assert.match(stderr, part);
      assert.is(stderr.split('\n').length, 2, stderr);
    }
    taken.close();
    for (const args of [
      ['--port', 'x'],
      ['--queue', '-1'],
      ['--max-body', 'much'],
      ['--request-time', '0'],
    ]) {
      assert.is((await dinov2(['serve', ...args])).code, 2, args.join(' '));
    }
  });
});

test.run();
