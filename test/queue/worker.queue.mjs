// `dinov2 worker` on a real Redis: npm run test:queue. On Debian: apt-get install redis-server.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EMBEDDED_MODEL } from '../../src/index.ts';
import { ImageTasks } from '../../src/tasks/index.ts';
import { hasRedis, until, WorkerProcess, withQueue, withRedis } from './helpers.mjs';

const PHOTOS = fileURLToPath(new URL('../../examples/photos/', import.meta.url));
const NAMES = readdirSync(PHOTOS).filter((name) => /\.(png|jpg)$/.test(name));
const path = (name) => join(PHOTOS, name);

const tasks = await ImageTasks.open(EMBEDDED_MODEL, { threads: 1 });
const expected = new Map();
for (const name of NAMES) expected.set(name, await tasks.run('embed', path(name)));

const float32 = (text) => new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);

async function resultsOf(queue, jobs, counts) {
  const ended = () => counts.completed.size + counts.failed.size;
  await until(`${jobs.length} jobs`, () => ended() === jobs.length);
  return Promise.all(jobs.map(({ id }) => queue.getJob(id)));
}

test('all that a job can ask for gives what the library gives; what is wrong fails at once, by name', () =>
  withRedis(({ url, folder }) =>
    withQueue(url, 'photos', async ({ queue, counts }) => {
      const server = createServer((request, response) => {
        if (request.url === '/away') response.writeHead(302, { location: 'http://127.0.0.2:1/cat.png' }).end();
        else if (request.url === '/none') response.writeHead(404).end();
        else if (request.url === '/endless') {
          const more = () => (response.write(Buffer.alloc(65536)) ? setImmediate(more) : response.once('drain', more));
          response.once('close', () => response.removeAllListeners('drain'));
          more();
        } else response.end(readFileSync(path('chelsea.png')));
      });
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      const origin = `http://127.0.0.1:${server.address().port}`;
      const root = join(folder, 'root');
      mkdirSync(join(root, 'cats'), { recursive: true });
      copyFileSync(path('chelsea.png'), join(root, 'cats/chelsea.png'));
      writeFileSync(join(folder, 'secret.png'), readFileSync(path('coffee.png')));
      symlinkSync(folder, join(root, 'out'));
      symlinkSync(join(folder, 'secret.png'), join(root, 'link.png'));
      symlinkSync('cats/chelsea.png', join(root, 'inside.png'));
      writeFileSync(join(root, 'text.png'), 'no picture');
      const worker = new WorkerProcess([
        'photos',
        '--redis',
        url,
        '--root',
        root,
        '--allow-url',
        origin,
        '--max-bytes',
        '2MB',
        '--max-pixels',
        '400000',
      ]);
      try {
        await worker.ready();
        const add = (name, data) => queue.add(name, data, { attempts: 3 });
        const bytes = readFileSync(path('chelsea.png')).toString('base64');
        const good = [
          await add('embed', { path: 'cats/chelsea.png' }),
          await add('embed', { path: 'inside.png' }),
          await add('embed', { bytes }),
          await add('embed', { url: `${origin}/cat.png` }),
          await add('embed', { bytes, encoding: 'base64', pooling: 'mean' }),
          await add('classify', { bytes, top: 3 }),
          await add('embed', { images: [{ path: 'cats/chelsea.png' }, { path: 'text.png' }, { bytes }] }),
        ];
        const bad = [
          ['embed', { path: '../secret.png' }, /ArgumentError: path: expected a file in the folder of --root/],
          ['embed', { path: 'out/secret.png' }, /ArgumentError: path: expected a file in the folder/],
          ['embed', { path: 'link.png' }, /ArgumentError: path: expected a file in the folder/],
          ['embed', { path: path('coffee.png') }, /ArgumentError: path: expected a file in the folder/],
          ['embed', { path: 'cats' }, /ImageError: cats: expected a file/],
          ['embed', { path: 'nope.png' }, /NotFoundError: nope\.png/],
          ['embed', { path: 'text.png' }, /ImageError: .*expected a PNG or JPEG file/],
          ['embed', { url: 'http://127.0.0.2:1/cat.png' }, /ArgumentError: url: expected one of http/],
          ['embed', { url: `${origin}/away` }, /ArgumentError: url: expected one of http/],
          ['embed', { url: `${origin}/none` }, /NotFoundError: .*404/],
          ['embed', { url: `${origin}/endless` }, /ImageError: .*at most 2000000 bytes/],
          ['embed', { url: 'file:///etc/passwd' }, /ArgumentError: url/],
          ['embed', { bytes: 'A'.repeat(4_000_000) }, /ImageError: bytes: expected at most 2000000 bytes/],
          ['embed', { bytes: '%%%' }, /ArgumentError: bytes: expected base64/],
          ['embed', { bytes: readFileSync(path('coffee.png')).toString('base64'), pooling: 'most' }, /ArgumentError: pooling/],
          ['embed', { bytes, path: 'a.png' }, /ArgumentError: data of the job: expected one of bytes, path, url/],
          ['depth', { bytes }, /ArgumentError: name of the job: expected embed or classify/],
          ['embed', 'cat', /ArgumentError: data of the job: expected an object/],
        ];
        const wrong = [];
        for (const [name, data] of bad) wrong.push(await add(name, data));
        const done = await resultsOf(queue, [...good, ...wrong], counts);
        const values = done.slice(0, good.length).map(({ returnvalue }) => returnvalue);
        const cat = expected.get('chelsea.png');
        for (const value of values.slice(0, 4)) assert.equal(value, cat);
        assert.equal(float32(values[4].embedding), (await tasks.embed(path('chelsea.png'), { pooling: 'mean' })).data);
        assert.equal(values[5], await tasks.run('classify', path('chelsea.png'), { top: 3 }));
        const [first, text, third] = values[6].results;
        assert.equal([first, third, text.error.name], [cat, cat, 'ImageError']);
        for (const [i, job] of done.slice(good.length).entries()) {
          assert.match(job.failedReason, bad[i][2]);
          assert.is(job.attemptsMade, 1, `${job.failedReason}: is not tried again`);
        }
      } finally {
        server.closeAllConnections();
        server.close();
        await worker.kill('SIGTERM');
      }
    }),
  ));

test('two workers, one of which is killed at work again and again: each job has its result once, the same as of the library', () =>
  withRedis(({ url, folder }) =>
    withQueue(url, 'many', async ({ queue, counts }) => {
      const output = join(folder, 'output');
      const args = [
        'many',
        '--redis',
        url,
        '--root',
        PHOTOS,
        '--lock-time',
        '3',
        '--concurrency',
        '3',
        '--threads',
        '1',
        '--output',
        output,
      ];
      const workers = [new WorkerProcess(args), new WorkerProcess(args)];
      try {
        for (const worker of workers) await worker.ready();
        const count = 120;
        const asked = Array.from({ length: count }, (_, i) => NAMES[i % NAMES.length]);
        const jobs = await queue.addBulk(asked.map((name, i) => ({ name: 'embed', data: { path: name }, opts: { jobId: `job-${i}` } })));
        for (let kills = 0; kills < 3; kills++) {
          const before = workers[0].done;
          await until('jobs at work', async () => workers[0].done > before + 3 && (await queue.getActiveCount()) > 3);
          assert.equal(await workers[0].kill('SIGKILL'), { code: null, signal: 'SIGKILL' });
          workers[0] = new WorkerProcess(args);
          await workers[0].ready();
        }
        const done = await resultsOf(queue, jobs, counts);
        assert.ok(counts.stalled.size > 0, 'jobs were left by workers that were killed, and returned');
        assert.is(counts.failed.size, 0);
        assert.equal([...new Set(counts.completed.values())], [1], 'each was completed once');
        assert.is(counts.completed.size, count);
        assert.equal(await queue.getJobCounts('wait', 'active', 'delayed', 'failed'), { wait: 0, active: 0, delayed: 0, failed: 0 });
        for (const [i, job] of done.entries()) {
          assert.equal(job.returnvalue, { ...expected.get(asked[i]), file: `job-${i}.npy` });
        }
        const files = readdirSync(output);
        assert.equal(files.filter((name) => !name.endsWith('.tmp')).sort(), jobs.map(({ id }) => `${id}.npy`).sort());
        const { data } = await tasks.embed(path(asked[5]));
        assert.equal(new Uint8Array(readFileSync(join(output, 'job-5.npy')).subarray(-data.byteLength)), new Uint8Array(data.buffer));

        // the same job again, when Redis has forgotten it: the same result, and its file is left alone
        const file = join(output, 'job-7.npy');
        const { mtimeMs, ino } = statSync(file);
        await (await queue.getJob('job-7')).remove();
        counts.completed.delete('job-7');
        const again = await queue.add('embed', { path: asked[7] }, { jobId: 'job-7' });
        await until('the job', () => counts.completed.has('job-7'));
        assert.equal((await queue.getJob(again.id)).returnvalue, done[7].returnvalue);
        assert.equal([statSync(file).mtimeMs, statSync(file).ino], [mtimeMs, ino]);
      } finally {
        for (const worker of workers) await worker.kill('SIGKILL');
      }
    }),
  ));

test('a worker that is told to end finishes what it has begun, and leaves the rest', () =>
  withRedis(({ url }) =>
    withQueue(url, 'orderly', async ({ queue, counts }) => {
      const worker = new WorkerProcess(['orderly', '--redis', url, '--root', PHOTOS, '--concurrency', '4', '--json']);
      await worker.ready();
      const jobs = await queue.addBulk(Array.from({ length: 80 }, (_, i) => ({ name: 'embed', data: { path: NAMES[i % NAMES.length] } })));
      await until('jobs at work', () => worker.done > 5);
      const { code, signal } = await worker.kill('SIGTERM');
      assert.ok(code === 0 || signal === 'SIGTERM', worker.stderr);
      const { wait, active, completed, failed } = await queue.getJobCounts('wait', 'active', 'completed', 'failed');
      assert.equal([active, failed], [0, 0]);
      assert.ok(wait > 0 && completed > 5, `${wait} wait, ${completed} completed`);
      assert.is(completed + wait, jobs.length);
      const records = worker.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.is(records.length, completed, 'each is told of');
      assert.ok(records.every(({ job, seconds }) => jobs.some(({ id }) => id === job) && seconds > 0));
      assert.is(counts.stalled.size, 0);
    }),
  ));

test('a picture that takes too long fails and may be tried again; what does not end by itself ends with the time of the closing', () =>
  withRedis(({ url, folder }) =>
    withQueue(url, 'slow', async ({ queue, counts }) => {
      writeFileSync(
        join(folder, 'decoder.mjs'),
        `export async function decode(bytes) {
          if (bytes[0] === 0xff) for (;;);
          return { data: new Uint8Array(3 * 32 * 32), width: 32, height: 32, channels: 3 };
        }`,
      );
      const args = ['slow', '--redis', url, '--root', PHOTOS, '--decoder', join(folder, 'decoder.mjs')];
      const worker = new WorkerProcess([...args, '--timeout', '8']);
      await worker.ready();
      const hanging = await queue.add('embed', { path: 'rocket.jpg' }, { attempts: 2 });
      const other = await queue.add('embed', { path: 'chelsea.png' });
      const [job, good] = await resultsOf(queue, [hanging, other], counts);
      assert.match(job.failedReason, /expected a result within 8 s/);
      assert.is(job.attemptsMade, 2);
      assert.is(good.failedReason, undefined);
      assert.is(good.returnvalue.embedding.length, expected.get('chelsea.png').embedding.length);
      await worker.kill('SIGTERM');

      const stubborn = new WorkerProcess([...args, '--lock-time', '3', '--closing-time', '1']);
      await stubborn.ready();
      const left = await queue.add('embed', { path: 'rocket.jpg' });
      await until('the job', async () => (await queue.getActiveCount()) === 1);
      await stubborn.kill('SIGTERM');
      assert.match(stubborn.stderr, /1 job\(s\) not done within 1 s: returned to the queue/);
      const next = new WorkerProcess(['slow', '--redis', url, '--root', PHOTOS, '--lock-time', '3']);
      try {
        await next.ready();
        await until('the job that was left', () => counts.completed.has(left.id));
        assert.equal((await queue.getJob(left.id)).returnvalue, expected.get('rocket.jpg'));
      } finally {
        await next.kill('SIGTERM');
      }
    }),
  ));

test('what nothing can be done without is said by name', () =>
  withRedis(async ({ url, folder }) => {
    const away = new WorkerProcess(['photos', '--redis', url], { cwd: folder });
    assert.equal(await away.ended(), { code: 1, signal: null });
    assert.match(away.stderr, /expected the packages bullmq and ioredis, found none .*npm install bullmq ioredis/);
    const alone = new WorkerProcess(['photos', '--redis', 'redis://user:secret@127.0.0.1:1']);
    assert.equal(await alone.ended(), { code: 1, signal: null });
    assert.match(alone.stderr, /redis:\/\/127\.0\.0\.1:1: expected Redis to answer, found .*ECONNREFUSED/);
    const rootless = new WorkerProcess(['photos', '--redis', url, '--root', join(folder, 'nope')]);
    assert.equal(await rootless.ended(), { code: 1, signal: null });
    assert.match(rootless.stderr, /nope: expected a folder for --root, found none/);
  }));

if (hasRedis()) test.run();
else console.warn('\nNO REDIS: redis-server is not installed, and dinov2 worker was NOT tested. On Debian: apt-get install redis-server\n');
