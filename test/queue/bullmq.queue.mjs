import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryError } from '../../src/errors.ts';
import { isFatal, isFinal } from '../../src/queue/answers.ts';
import { work } from '../../src/queue/bullmq.ts';
import { hasRedis, until, withQueue, withRedis } from './helpers.mjs';

process.chdir(fileURLToPath(new URL('.', import.meta.url))); // where BullMQ is

test('a worker that can do no more ends, and its jobs are done by others', () =>
  withRedis(({ url }) =>
    withQueue(url, 'fatal', async ({ queue, counts }) => {
      const failed = [];
      const start = (answer, signal) =>
        work(
          {
            queue: 'fatal',
            url,
            prefix: 'bull',
            concurrency: 1,
            lockTime: 2,
            closingTime: 5,
            answer,
            isFinal,
            isFatal,
            onReady() {},
            onDone() {},
            onFailed: (job) => failed.push(job),
            onTrouble() {},
          },
          signal,
        );
      const job = await queue.add('embed', { path: 'a.png' });
      const broken = await start(() => Promise.reject(new MemoryError('no more memory')), new AbortController().signal).catch(
        (error) => error,
      );
      assert.ok(broken instanceof MemoryError);
      assert.equal([failed.length, await queue.getActiveCount()], [0, 1], 'the job has not failed');
      const ending = new AbortController();
      const other = start(async ({ data }) => data, ending.signal);
      await until('the job', () => counts.completed.has(job.id));
      ending.abort();
      assert.is(await other, 0);
      assert.equal((await queue.getJob(job.id)).returnvalue, { path: 'a.png' });
      assert.is(counts.stalled.get(job.id), 1);
    }),
  ));

if (hasRedis()) test.run();
