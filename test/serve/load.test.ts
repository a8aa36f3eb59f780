import { deflateSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageTasks } from '../../src/tasks/index.ts';
import { withWorkplace } from '../cli/helpers.ts';
import { pngFile } from '../reference/png.ts';
import { png } from './helpers.ts';
import { type Answer, postImage, readMetrics, withService } from './process.ts';

/** What the library says of pictures. */
async function withAnswers(
  body: (model: string, pictures: readonly { image: Uint8Array; answer: string }[]) => Promise<void>,
): Promise<void> {
  await withWorkplace(async ({ model }) => {
    using tasks = await ImageTasks.open(model);
    const pictures: { image: Uint8Array; answer: string }[] = [];
    for (let seed = 1; seed <= 4; seed++) {
      const image = png(seed, { width: 200, height: 150 });
      pictures.push({ image, answer: JSON.stringify(await tasks.run('embed', image)) });
    }
    await body(model, pictures);
  });
}

test('of more clients than can be served the excess is refused, and what is answered is right and in time', async () => {
  await withAnswers(async (model, pictures) => {
    await withService(['--model', model, '--queue', '8'], async ({ url }) => {
      const [CLIENTS, REQUESTS] = [40, 5];
      const answers: Answer[] = [];
      await Promise.all(
        Array.from({ length: CLIENTS }, async (_, client) => {
          for (let n = 0; n < REQUESTS; n++) {
            const { image, answer } = pictures[(client + n) % pictures.length] as (typeof pictures)[number];
            const found = await postImage(`${url}/embed`, image);
            answers.push(found);
            if (found.status === 200) assert.is(found.body, answer);
            else {
              assert.is(found.status, 503, found.body);
              assert.match(found.body, '/openapi.json#/components/responses/Busy');
              assert.ok(Number(found.headers['retry-after']) >= 1);
            }
          }
        }),
      );
      const served = answers.filter(({ status }) => status === 200);
      const refused = answers.length - served.length;
      assert.is(answers.length, CLIENTS * REQUESTS);
      assert.ok(served.length >= 20 && refused >= 20, `${served.length} answered, ${refused} refused`);
      const slowest = Math.max(...answers.map(({ time }) => time));
      assert.ok(slowest < 10_000, `${slowest} ms`); // no more than 9 are before any; this machine may have much else to do
      const metrics = await readMetrics(url);
      assert.is(metrics.get('dinov2_requests_total{path="/embed",status="200"}'), served.length);
      assert.is(metrics.get('dinov2_requests_total{path="/embed",status="503"}'), refused);
      assert.equal([metrics.get('dinov2_requests_running'), metrics.get('dinov2_requests_waiting')], [0, 0]);
      const [{ image, answer }] = pictures as [(typeof pictures)[number]];
      assert.is((await postImage(`${url}/embed`, image)).body, answer);
    });
  });
});

if (process.platform === 'linux') {
  test('a flood from one address leaves another its turns', async () => {
    await withAnswers(async (model, pictures) => {
      await withService(['--model', model, '--queue', '8'], async ({ url }) => {
        const [{ image, answer }] = pictures as [(typeof pictures)[number]];
        let isOver = false;
        let refused = 0;
        const flood = Array.from({ length: 30 }, async () => {
          while (!isOver) if ((await postImage(`${url}/embed`, image, { from: '127.0.0.2' })).status === 503) refused += 1;
        });
        for (let n = 0; n < 20; n++) {
          const { status, body } = await postImage(`${url}/embed`, image, { from: '127.0.0.3' });
          assert.equal([status, body], [200, answer]);
        }
        isOver = true;
        await Promise.all(flood);
        assert.ok(refused > 0);
      });
    });
  });
}

test('a bomb of a hundred million pixels is refused, and others are served meanwhile', async () => {
  await withAnswers(async (model, pictures) => {
    await withService(['--model', model], async ({ url }) => {
      const header = Uint8Array.of(0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10, 1, 0, 0, 0, 0); // 10000 x 10000, each pixel a bit of grey
      const bomb = pngFile([
        ['IHDR', header],
        ['IDAT', deflateSync(new Uint8Array(10_000 * 1251))],
        ['IEND', new Uint8Array()],
      ]);
      const before = (await readMetrics(url)).get('process_resident_memory_bytes') as number;
      const [{ image, answer }] = pictures as [(typeof pictures)[number]];
      const answers = await Promise.all([
        ...Array.from({ length: 10 }, () => postImage(`${url}/embed`, bomb)),
        postImage(`${url}/embed`, image),
      ]);
      const good = answers.pop();
      assert.equal([good?.status, good?.body], [200, answer]);
      for (const { status, body } of answers) {
        assert.is(status, 422);
        assert.match(body, 'at most 25000000 pixels, found 10000 x 10000');
      }
      const grown = ((await readMetrics(url)).get('process_resident_memory_bytes') as number) - before;
      assert.ok(grown < 100e6, `${grown} bytes more`);
    });
  });
});

test.run();
