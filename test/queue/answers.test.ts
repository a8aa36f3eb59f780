import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError, MemoryError, NetworkError, NotFoundError, TimeoutError } from '../../src/errors.ts';
import { type AnswerOptions, answerJob, isFatal, isFinal } from '../../src/queue/answers.ts';
import { parseRequest } from '../../src/queue/request.ts';
import { ImageTasks } from '../../src/tasks/index.ts';
import { readNpy, type Workplace, withWorkplace } from '../cli/helpers.ts';
import { refuses } from '../helpers.ts';

async function withTasks(body: (tasks: ImageTasks, options: AnswerOptions, place: Workplace) => Promise<void>): Promise<void> {
  await withWorkplace(async (place) => {
    mkdirSync(place.path('root'));
    const tasks = await ImageTasks.open(place.model, { threads: 1 });
    try {
      await body(tasks, { allowed: { root: place.path('root'), origins: [], maxBytes: 1e6 }, timeout: 60 }, place);
    } finally {
      tasks.dispose();
    }
  });
}

test('a job gives what the library gives, each time: numbers or their bytes, labels, a list for a batch', () =>
  withTasks(async (tasks, options, { picture }) => {
    const file = picture('root/a.png');
    const bytes = readFileSync(file).toString('base64');
    const answer = (name: string, data: object): Promise<object> => answerJob({ id: '1', name, data }, tasks, options);
    const expected = await tasks.run('embed', file);
    for (let i = 0; i < 2; i++) assert.equal(await answer('embed', { path: 'a.png' }), expected);
    assert.equal(await answer('embed', { bytes }), expected);
    const { embedding } = (await answer('embed', { bytes, encoding: 'base64', pooling: 'both' })) as { embedding: string };
    const numbers = new Float32Array(new Uint8Array(Buffer.from(embedding, 'base64')).buffer);
    assert.equal(numbers, (await tasks.embed(file, { pooling: 'both' })).data);
    assert.equal(await answer('classify', { bytes, top: 2 }), await tasks.run('classify', file, { top: 2 }));
    const batch = await answer('embed', { images: [{ path: 'a.png' }, { path: 'nope.png' }, { bytes }] });
    const message = 'nope.png: expected a readable file in the folder of --root, found ENOENT';
    assert.equal(batch, { results: [expected, { error: { name: 'NotFoundError', message } }, expected] });
  }));

test('with an output folder the result is a file too, named by the id, and written once', () =>
  withTasks(async (tasks, options, { picture, path }) => {
    picture('root/a.png');
    const output = path('output');
    const answer = (id: string, name: string, data: object): Promise<object> =>
      answerJob({ id, name, data }, tasks, { ...options, output });
    const one = (await answer('a-1', 'embed', { path: 'a.png' })) as { embedding: number[]; file: string };
    assert.is(one.file, 'a-1.npy');
    const { dims, data } = readNpy(readFileSync(path('output/a-1.npy')));
    assert.equal([dims, data], [[8], (await tasks.embed(path('root/a.png'))).data]);
    const { ino, mtimeMs } = statSync(path('output/a-1.npy'));
    assert.equal(await answer('a-1', 'embed', { path: 'a.png' }), one);
    assert.equal([statSync(path('output/a-1.npy')).ino, statSync(path('output/a-1.npy')).mtimeMs], [ino, mtimeMs]);
    await answer('a-1', 'embed', { path: 'a.png', pooling: 'mean' });
    assert.equal(readNpy(readFileSync(path('output/a-1.npy'))).data, (await tasks.embed(path('root/a.png'), { pooling: 'mean' })).data);

    await answer('batch', 'embed', { images: [{ path: 'nope.png' }, { path: 'a.png' }] });
    const batch = readNpy(readFileSync(path('output/batch.npy')));
    assert.equal(batch.dims, [2, 8]);
    assert.equal(batch.data.subarray(8), data);
    assert.ok(batch.data.subarray(0, 8).every(Number.isNaN));
    const labels = await answer('l', 'classify', { path: 'a.png' });
    assert.equal({ ...JSON.parse(readFileSync(path('output/l.json'), 'utf8')), file: 'l.json' }, labels);

    for (const id of ['../escape', '..', 'a/b', '', 'x'.repeat(300)]) {
      if (id === '') await refuses(() => answer(id, 'embed', { path: 'a.png' }), ArgumentError, 'id of the job');
      else assert.match(((await answer(id, 'embed', { path: 'a.png' })) as { file: string }).file, /^[0-9a-f]{64}\.npy$/);
    }
    assert.is(readdirSync(path('output')).length, 3 + 4);
    assert.equal(readdirSync(path('')).includes('escape.npy'), false);
  }));

test('paths lead nowhere outside of the root, nor anywhere without one; URLs only where they may', () =>
  withTasks(async (tasks, options, { picture, path }) => {
    picture('secret.png');
    picture('root/a.png');
    symlinkSync(path('secret.png'), path('root/link.png'));
    symlinkSync(path(''), path('root/out'));
    symlinkSync('a.png', path('root/inside.png'));
    symlinkSync('loop.png', path('root/loop.png'));
    const answer = (data: object, allowed: object = {}): Promise<object> =>
      answerJob({ id: '1', name: 'embed', data }, tasks, { ...options, allowed: { ...options.allowed, ...allowed } });
    assert.ok(await answer({ path: 'inside.png' }));
    const outside = [
      '../secret.png',
      'link.png',
      'out/secret.png',
      'out/root/../secret.png',
      path('secret.png'),
      path('root/a.png'),
      '..',
      'a.png\0',
    ];
    for (const one of outside) await refuses(() => answer({ path: one }), ArgumentError, 'expected a file in the folder of --root');
    for (const one of ['nope.png', 'loop.png', 'out/nope.png']) await refuses(() => answer({ path: one }), NotFoundError, one);
    await refuses(() => answer({ path: '.' }), ImageError, 'expected a file');
    await refuses(() => answer({ path: 'a.png' }, { root: undefined }), ArgumentError, 'without --root');
    await refuses(() => answer({ path: 'a.png' }, { maxBytes: 100 }), ImageError, 'at most 100 bytes');
    for (const url of [
      'http://127.0.0.1/a.png',
      'file:///etc/passwd',
      'https://user:pass@good.example/a.png',
      'https://good.example.evil/a.png',
      'no URL',
    ]) {
      await refuses(() => answer({ url }), ArgumentError, 'without --allow-url');
      await refuses(() => answer({ url }, { origins: ['https://good.example'] }), ArgumentError, 'https://good.example');
    }
    await refuses(() => answer({ url: 'data:image/png;base64,AAAA' }, { origins: ['*'] }), ArgumentError, 'url');
    await refuses(() => answer({ url: 'http://127.0.0.1:1/a.png' }, { origins: ['*'] }), NetworkError, 'found no answer');
  }));

test('what a job may be is checked, by name', async () => {
  for (const [name, data, message] of [
    ['depth', { bytes: '' }, 'name of the job'],
    ['embed', null, 'data of the job'],
    ['embed', {}, 'data of the job: expected one of bytes, path, url'],
    ['embed', { path: 1 }, 'data of the job: expected one of bytes, path, url'],
    ['embed', { path: 'a', bytes: 'b' }, 'data of the job: expected one of'],
    ['embed', { images: [] }, 'images: expected a list'],
    ['embed', { images: [{ path: 'a' }], path: 'b' }, 'images: expected a list'],
    ['embed', { images: [{ path: 'a' }, 'b'] }, 'images[1]: expected one of'],
    ['embed', { images: [{ path: 'a', pooling: 'mean' }] }, 'images[0]: expected one of'],
    ['embed', { path: 'a', encoding: 'hex' }, 'encoding: expected array or base64'],
  ] as const) {
    await refuses(() => parseRequest(name, data), ArgumentError, message);
  }
  assert.equal(parseRequest('classify', { images: [{ url: 'b' }], top: 3 }), {
    task: 'classify',
    places: [{ url: 'b' }],
    isBatch: true,
    encoding: 'array',
    options: { top: 3 },
  });
});

test('an option of the task that is wrong is refused before a picture is looked for, and one that takes too long is ended', () =>
  withTasks(async (tasks, options, { path }) => {
    const answer = (name: string, data: object): Promise<object> => answerJob({ id: '1', name, data }, tasks, options);
    await refuses(() => answer('embed', { path: 'nope.png', pooling: 'most' }), ArgumentError, 'pooling');
    await refuses(() => answer('classify', { path: 'nope.png', colour: 1 }), ArgumentError, 'colour');
    writeFileSync(path('root/slow.png'), 'x');
    const never: ImageTasks['embed'] = (_, __, { signal } = {}) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const slow = Object.assign(Object.create(tasks), { embed: never, check: () => {} }) as ImageTasks;
    await refuses(
      () => answerJob({ id: '1', name: 'embed', data: { path: 'slow.png' } }, slow, { ...options, timeout: 0.05 }),
      TimeoutError,
      '0.05 s',
    );
  }));

test('what is tried again, and what ends the worker', () => {
  assert.equal([new ImageError('a'), new ArgumentError('a'), new NotFoundError('a')].map(isFinal), [true, true, true]);
  assert.equal([new NetworkError('a'), new TimeoutError('a'), new MemoryError('a'), new Error('a')].map(isFinal), [
    false,
    false,
    false,
    false,
  ]);
  assert.equal([new MemoryError('a'), new NetworkError('a'), new Error('a')].map(isFatal), [true, false, false]);
});

test.run();
