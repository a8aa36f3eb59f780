import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, LimitError, NotFoundError, ThreadError } from '../../src/errors.ts';
import { ThreadedTasks } from '../../src/serve/node.ts';
import { ImageTasks } from '../../src/tasks/index.ts';
import { withWorkplace } from '../cli/helpers.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { png } from './helpers.ts';

test('a thread answers as the library does, to the bit, and its errors are of the same classes', async () => {
  await withWorkplace(async ({ model, path }) => {
    using here = await ImageTasks.open(model, { limits: { pixels: 10_000 } });
    await using there = await ThreadedTasks.open(model, { limits: { pixels: 10_000 } });
    assert.equal(there.available, here.available);
    const images = Array.from({ length: 10 }, (_, seed) => png(seed + 1));
    const answers = await Promise.all(images.map((image) => there.run('embed', image, { pooling: 'both' }))); // all at once
    for (const [i, image] of images.entries()) assert.equal(answers[i], await here.run('embed', image, { pooling: 'both' }));
    assert.equal(await there.run('classify', png(), { top: 2 }), await here.run('classify', png(), { top: 2 }));
    const vector = await there.embed(png(), { pooling: 'mean' });
    assert.equal(vector.dims, [1, 8]);
    assertSameBits(vector.data, (await here.embed(png(), { pooling: 'mean' })).data);
    assert.is(there.memory, here.memory);

    await refuses(() => there.run('embed', png(), { pooling: 'max' as never }), ArgumentError, 'pooling');
    await refuses(() => there.run('embed', png().slice(0, 60)), ImageError, 'truncated');
    await refuses(() => there.run('embed', png(1, { width: 200, height: 100 })), LimitError, 'at most 10000 pixels');
    await refuses(() => ThreadedTasks.open(path('nope')), NotFoundError, 'nope');
    await refuses(() => ThreadedTasks.open(model, { thread: 1 } as never), ArgumentError, '"thread"');
  });
});

test('a signal stops a question with its reason, and the opening too', async () => {
  await withWorkplace(async ({ model }) => {
    await using tasks = await ThreadedTasks.open(model);
    const gone = new Error('gone');
    assert.is(await tasks.run('embed', png(), {}, { signal: AbortSignal.abort(gone) }).catch((error) => error), gone);
    const leaving = new AbortController();
    const run = tasks.run('embed', png(1, { width: 1000, height: 1000 }), {}, { signal: leaving.signal }).catch((error) => error);
    leaving.abort(gone);
    assert.is(await run, gone);
    assert.is((await tasks.run('embed', png())).embedding.length, 8);
    const opening = new AbortController();
    const opened = ThreadedTasks.open(model, { signal: opening.signal }).catch((error) => error);
    opening.abort(gone);
    assert.is(await opened, gone);
  });
});

test('when the thread is no more, questions have a ThreadError, those that wait and those that come', async () => {
  await withWorkplace(async ({ model }) => {
    const tasks = await ThreadedTasks.open(model);
    const waiting = tasks.run('embed', png(1, { width: 1000, height: 1000 })).catch((error) => error);
    await tasks.dispose();
    assert.instance(await waiting, ThreadError);
    await refuses(() => tasks.run('embed', png()), ThreadError, 'disposed');
  });
});

test.run();
