import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, MemoryError, ThreadError } from '../../src/errors.ts';
import { shortest } from '../../src/files/json.ts';
import { Service, type ServiceOptions } from '../../src/serve/index.ts';
import { PROBLEMS, type ProblemName } from '../../src/serve/problems.ts';
import { VectorIndex } from '../../src/tasks/index.ts';
import type { Float32 } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { gate, png, post, serviceOf, soon, withTasks } from './helpers.ts';

/** Checks that an answer is this problem, and gives its detail. */
async function problem(response: Response, name: ProblemName): Promise<string> {
  const { status, title } = PROBLEMS[name];
  const details = (await response.json()) as { detail: string };
  assert.equal(details, { type: `/openapi.json#/components/responses/${name}`, title, status, detail: details.detail });
  assert.equal([response.status, response.headers.get('content-type')], [status, 'application/problem+json']);
  return details.detail;
}

test('an image is answered in each of the ways to send it as the library answers it', async () => {
  await withTasks(async (tasks) => {
    const service = serviceOf(tasks);
    const image = png(3);
    const expected = await tasks.run('embed', image, { pooling: 'mean' });
    const form = new FormData();
    form.set('image', new Blob([image]), 'a.png');
    const base64 = Buffer.from(image).toString('base64');
    for (const [body, type] of [
      [image, 'image/png'],
      [image, 'IMAGE/JPEG; charset=binary'], // what it is the bytes tell
      [image, 'application/octet-stream'],
      [form, undefined],
      [JSON.stringify({ image: base64 }), 'application/json; charset=utf-8'],
      [JSON.stringify({ image: `data:image/png;base64,${base64}` }), 'application/json'],
    ] as const) {
      const response = await service.fetch(post('/embed?pooling=mean', body, type ? { 'content-type': type } : {}));
      assert.is(response.status, 200, type);
      assert.is(response.headers.get('content-type'), 'application/json');
      assert.equal(await response.json(), expected);
    }
    assert.equal(await (await service.fetch(post('/classify?top=2', image))).json(), await tasks.run('classify', image, { top: 2 }));
    assert.is(((await (await service.fetch(post('/classify'))).json()) as { labels: [] }).labels.length, 3);
    assert.equal(service.errors, []);
  });
});

test('/search gives the images of the index that are most like another', async () => {
  await withTasks(async (tasks) => {
    const embeddings = await Promise.all([1, 2, 3].map((seed) => tasks.embed(png(seed))));
    const vectors = new VectorIndex(8);
    for (const each of embeddings) vectors.add(each);
    const service = serviceOf(tasks, { index: { names: ['a.png', 'b/c.png', 'd.png'], vectors, pooling: 'cls' } });
    const answer = await service.fetch(post('/search?top=2', png(2)));
    const [expected = []] = vectors.search(embeddings[1] as Float32, { k: 2 });
    const names = ['a.png', 'b/c.png', 'd.png'];
    assert.equal(await answer.json(), { neighbors: expected.map(({ row, score }) => ({ image: names[row], score: shortest(score) })) });
    assert.is(expected[0]?.row, 1);
    assert.match(await problem(await service.fetch(post('/search?top=0')), 'InvalidRequest'), 'top: expected an integer of at least 1');
    assert.match(await problem(await service.fetch(post('/search?pooling=cls')), 'InvalidRequest'), 'search: expected options top');
    vectors.dispose();
    assert.match(await problem(await serviceOf(tasks).fetch(post('/search')), 'NotFound'), 'found "/search"');
  });
});

const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'multipart/form-data; boundary=x' };

for (const [what, request, name, parts] of [
  ['another path', () => post('/embeds'), 'NotFound', ['/embed, /classify', 'found "/embeds"']],
  ['a path of the prototype', () => post('/__proto__'), 'NotFound', ['found "/__proto__"']],
  ['another method', () => new Request('http://localhost/embed'), 'MethodNotAllowed', ['/embed: expected POST, found GET']],
  ['a method for what is read', () => post('/health'), 'MethodNotAllowed', ['/health: expected GET, HEAD, found POST']],
  ['an unknown parameter', () => post('/embed?poling=cls'), 'InvalidRequest', ['expected options pooling, found "poling"']],
  ['a parameter of the prototype', () => post('/embed?__proto__=1'), 'InvalidRequest', ['found "__proto__"']],
  ['an unknown choice', () => post('/embed?pooling=max'), 'InvalidRequest', ['pooling: expected one of cls, mean, both, found "max"']],
  ['a number that is none', () => post('/classify?top=five'), 'InvalidRequest', ['top: expected an integer of at least 1, found "five"']],
  ['a number beyond all', () => post(`/classify?top=${'9'.repeat(400)}`), 'InvalidRequest', ['top: expected an integer']],
  ['no type', () => post('/embed', png(), {}), 'UnsupportedMediaType', ['found no content-type']],
  ['another type', () => post('/embed', 'a', { 'content-type': 'text/plain' }), 'UnsupportedMediaType', ['"text/plain"']],
  [
    'a compressed body',
    () => post('/embed', png(), { 'content-type': 'image/png', 'content-encoding': 'gzip' }),
    'UnsupportedMediaType',
    ['gzip'],
  ],
  ['no body', () => post('/embed', null), 'InvalidBody', ['image: expected the bytes', 'found none']],
  ['an empty body', () => post('/embed', new Uint8Array()), 'InvalidBody', ['found none']],
  ['JSON that is none', () => post('/embed', '{"image": "', JSON_TYPE), 'InvalidBody', ['line 1, column 11']],
  ['JSON in Latin-1', () => post('/embed', Uint8Array.of(0x22, 0xe9, 0x22), JSON_TYPE), 'InvalidBody', ['UTF-8']],
  ['JSON nested without end', () => post('/embed', '['.repeat(100_000), JSON_TYPE), 'InvalidBody', ['levels']],
  ['JSON of another form', () => post('/embed', '["image"]', JSON_TYPE), 'InvalidBody', ['expected {"image": "..."}', 'found ["image"]']],
  ['JSON with a number', () => post('/embed', '{"image":1}', JSON_TYPE), 'InvalidBody', ['found {"image":1}']],
  ['JSON with more', () => post('/embed', '{"image":"","top":1}', JSON_TYPE), 'InvalidBody', ['"top"']],
  ['what is no base64', () => post('/embed', '{"image":"a*b="}', JSON_TYPE), 'InvalidBody', ['base64', '"a*b="']],
  ['a form that is none', () => post('/embed', 'nothing', FORM_TYPE), 'InvalidBody', ['multipart/form-data']],
  ['a form without boundary', () => post('/embed', 'a', { 'content-type': 'multipart/form-data' }), 'InvalidBody', ['multipart/form-data']],
  [
    'a form that is cut off',
    () => post('/embed', '--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc', FORM_TYPE),
    'InvalidBody',
    ['multipart/form-data'],
  ],
  [
    'a form with a text',
    () => post('/embed', '--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc\r\n--x--\r\n', FORM_TYPE),
    'InvalidBody',
    ['found a text'],
  ],
  [
    'a form with another field',
    () => post('/embed', '--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\nabc\r\n--x--\r\n', FORM_TYPE),
    'InvalidBody',
    ['found fields ["photo"]'],
  ],
  ['what is no image', () => post('/embed', 'GIF89a, or so'), 'UnreadableImage', ['expected a PNG or JPEG file']],
  ['an image that is cut off', () => post('/embed', png().slice(0, 60)), 'UnreadableImage', ['truncated']],
  [
    'too many pixels',
    () => post('/embed', png(1, { width: 101, height: 100 })),
    'UnreadableImage',
    ['at most 10000 pixels, found 101 x 100'],
  ],
  ['too many bytes', () => post('/embed', new Uint8Array(100_001)), 'BodyTooLarge', ['at most 100000 bytes']],
] as const) {
  test(`${what} is refused: ${PROBLEMS[name].status}`, async () => {
    await withTasks(
      async (tasks) => {
        const service = serviceOf(tasks, { maxBody: 100_000 });
        const detail = await problem(await service.fetch(request()), name);
        for (const part of parts) assert.match(detail, part);
        assert.is((await service.fetch(post('/embed'))).status, 200);
        assert.equal(service.errors, []);
      },
      { limits: { pixels: 10_000 } },
    );
  });
}

test('what says that it is too large is not read, and of what does not say so no more than is allowed', async () => {
  await withTasks(async (tasks) => {
    const service = serviceOf(tasks, { maxBody: 10_000 });
    let [pulled, cancelled] = [0, 0];
    const endless = (): ReadableStream =>
      new ReadableStream(
        {
          pull(controller) {
            pulled += 1;
            controller.enqueue(new Uint8Array(1000));
          },
          cancel() {
            cancelled += 1;
          },
        },
        { highWaterMark: 0 },
      );
    const type = { 'content-type': 'image/png' };
    await problem(await service.fetch(post('/embed', endless(), { ...type, 'content-length': '10001' })), 'BodyTooLarge');
    assert.equal([pulled, cancelled], [0, 0]);
    await problem(await service.fetch(post('/embed', endless(), type)), 'BodyTooLarge');
    assert.equal([pulled, cancelled], [11, 1]);
  });
});

test('a body that never ends is given up, and so is one whose client went away', async () => {
  await withTasks(async (tasks) => {
    const service = serviceOf(tasks, { bodyTime: 50 });
    const never = (): ReadableStream => new ReadableStream({ start: (controller) => controller.enqueue(png()) });
    assert.match(await problem(await service.fetch(post('/embed', never())), 'RequestTimeout'), 'within 0.05 s');
    const leaving = new AbortController();
    const answer = serviceOf(tasks).fetch(new Request(post('/embed', never()), { signal: leaving.signal }));
    await soon();
    leaving.abort();
    await problem(await answer, 'ClientClosedRequest');
    const left = new Request(post('/embed'), { signal: AbortSignal.abort() });
    await problem(await service.fetch(left), 'ClientClosedRequest');
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) });
    assert.match(await problem(await service.fetch(post('/embed', broken)), 'ClientClosedRequest'), 'reset');
  });
});

test('requests wait up to a number, others are told when to come again, and who went away is not computed', async () => {
  const door = gate();
  const { answerer, open } = door;
  const service = serviceOf(answerer, { waiting: 2 });
  const leaving = new AbortController();
  const first = service.fetch(post('/embed', 'a'));
  const second = service.fetch(new Request(post('/embed', 'bb'), { signal: leaving.signal }));
  const third = service.fetch(post('/embed', 'ccc'));
  await soon();
  const refused = await service.fetch(post('/embed'));
  assert.is(refused.headers.get('retry-after'), '1');
  await problem(refused, 'Busy');
  leaving.abort();
  await problem(await second, 'ClientClosedRequest');
  open();
  assert.equal(await (await first).json(), { embedding: [1] });
  await soon();
  open();
  assert.equal(await (await third).json(), { embedding: [3] });
  assert.is(door.seen, 2);
});

test('who sends a lot holds up itself', async () => {
  const { answerer, open } = gate();
  const service = serviceOf(answerer, { waiting: 4 });
  const order: string[] = [];
  const ask = async (client: string): Promise<number> => {
    const { status } = await service.fetch(post('/embed', client), { client });
    if (status === 200) order.push(client);
    return status;
  };
  const greedy = Array.from({ length: 5 }, () => ask('greedy'));
  await soon();
  const modest = [ask('b'), ask('c')];
  for (let i = 0; i < 5; i++) {
    await soon();
    open();
  }
  assert.equal(await Promise.all(greedy), [200, 200, 200, 503, 503]);
  assert.equal(await Promise.all(modest), [200, 200]);
  assert.equal(order, ['greedy', 'greedy', 'b', 'c', 'greedy']);
});

test('a request that takes too long is given up, waiting or running', async () => {
  const { answerer } = gate();
  const service = serviceOf(answerer, { requestTime: 50 });
  const answers = await Promise.all([service.fetch(post('/embed')), service.fetch(post('/embed'))]);
  for (const answer of answers) assert.match(await problem(answer, 'TimedOut'), 'within 0.05 s');
});

test('closing finishes what was accepted and refuses what comes', async () => {
  const { answerer, open } = gate();
  const service = serviceOf(answerer);
  const ready = (path = '/health'): Promise<Response> => service.fetch(new Request(`http://localhost${path}`));
  assert.equal(await (await ready()).json(), { status: 'ok' });
  const [first, second] = [service.fetch(post('/embed', 'a')), service.fetch(post('/embed', 'b'))];
  await soon();
  const closed = service.close();
  await problem(await service.fetch(post('/embed')), 'Closing');
  await problem(await ready(), 'Closing');
  await problem(await ready('/health/ready'), 'Closing');
  assert.is((await ready('/health/live')).status, 200);
  open();
  assert.is((await first).status, 200);
  await soon();
  open();
  assert.is((await second).status, 200);
  await closed;
  await service.close();
});

test('closing gives up what is not done in time', async () => {
  const { answerer } = gate();
  const service = serviceOf(answerer);
  const answer = service.fetch(post('/embed'));
  await soon();
  await service.close({ timeLimit: 20 });
  await problem(await answer, 'Closing');
});

test('an error of our own is for the log and not for the client; after one of a thread it is not alive', async () => {
  for (const [error, status] of [
    [new MemoryError('/secret/place'), 200],
    [new TypeError('/secret/place'), 200],
    [new ThreadError('/secret/place'), 500],
  ] as const) {
    const { answerer } = gate();
    const service = serviceOf({
      ...answerer,
      run: async () => {
        throw error;
      },
    });
    assert.not.match(await problem(await service.fetch(post('/embed')), 'InternalError'), 'secret');
    assert.equal(service.errors, [error]);
    assert.is((await service.fetch(new Request('http://localhost/health/live'))).status, status);
    assert.is(service.errors.length, 1); // it is heard of once
  }
});

test('/metrics has what was answered, as Prometheus reads it', async () => {
  await withTasks(async (tasks) => {
    const gauges: ServiceOptions['gauges'] = () => [{ name: 'mine', help: 'What I count.', value: 1.5 }];
    const service = serviceOf(tasks, { gauges });
    for (const path of ['/embed', '/embed', '/embed?pooling=x', '/nope', '/nope/2']) await service.fetch(post(path));
    const response = await service.fetch(new Request('http://localhost/metrics'));
    assert.is(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const lines = (await response.text()).split('\n');
    assert.is(lines.pop(), '');
    const values = new Map<string, number>();
    let family = '';
    for (const line of lines) {
      const [, kind, name] = /^# (HELP|TYPE) (\w+) .+$/.exec(line) ?? [];
      if (kind === 'HELP') family = name as string;
      if (kind) assert.is(name, family);
      else {
        const [, key = '', value = ''] = /^(\w+(?:\{(?:\w+="[^"\\]*",?)+\})?) (\S+)$/.exec(line) ?? [];
        assert.ok(key.startsWith(family) && Number.isFinite(Number(value)) && !values.has(key), line);
        values.set(key, Number(value));
      }
    }
    assert.is(values.get('dinov2_requests_total{path="/embed",status="200"}'), 2);
    assert.is(values.get('dinov2_requests_total{path="/embed",status="400"}'), 1);
    assert.is(values.get('dinov2_requests_total{path="other",status="404"}'), 2);
    assert.is(values.get('dinov2_request_duration_seconds_count{path="/embed"}'), 3);
    assert.is(values.get('dinov2_request_duration_seconds_bucket{path="/embed",le="+Inf"}'), 3);
    const buckets = [...values].filter(([key]) => key.startsWith('dinov2_request_duration_seconds_bucket{path="/embed"')).map(([, n]) => n);
    assert.equal(buckets.length, 12);
    assert.equal(
      buckets,
      [...buckets].sort((a, b) => a - b),
    );
    assert.ok((values.get('dinov2_request_duration_seconds_sum{path="/embed"}') as number) > 0);
    assert.equal([values.get('mine'), values.get('dinov2_model_memory_bytes')], [1.5, tasks.memory]);
    assert.equal([values.get('dinov2_requests_running'), values.get('dinov2_requests_waiting')], [0, 0]);
  });
});

test('HEAD is GET without a body', async () => {
  await withTasks(async (tasks) => {
    const response = await serviceOf(tasks).fetch(new Request('http://localhost/health', { method: 'HEAD' }));
    assert.equal([response.status, response.headers.get('content-type'), await response.text()], [200, 'application/json', '']);
  });
});

for (const [option, value] of [
  ['maxBody', 0],
  ['concurrency', 1.5],
  ['waiting', -1],
  ['bodyTime', 2 ** 31],
  ['requestTime', '1'],
  ['maxBodies', 1],
] as const) {
  test(`an option ${option} that is ${value} is refused`, async () => {
    await refuses(() => new Service(gate().answerer, { [option]: value } as never), ArgumentError, option);
  });
}

test.run();
