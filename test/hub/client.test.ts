import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AccessError, IntegrityError, NetworkError, NotFoundError } from '../../src/errors.ts';
import { HubClient } from '../../src/hub/client.ts';
import { refuses } from '../helpers.ts';
import { cut, disguisedHtml, flipped, type HubServer, html, stalled, status, withHub } from './server.ts';

const REPO = 'acme/tiny';
const WEIGHTS = 'model.safetensors';
const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 + (i >> 8));

async function withClient(
  body: (hub: HubServer, client: HubClient) => Promise<void>,
  options: { token?: string; patience?: number } = {},
): Promise<void> {
  await withHub(async (hub) => {
    hub.push(REPO, { 'config.json': '{}', [WEIGHTS]: BYTES });
    await body(hub, new HubClient({ endpoint: hub.url, retryDelay: 5, ...options }));
  });
}

async function readAll(
  client: HubClient,
  hub: HubServer,
  { from = 0, signal }: { from?: number; signal?: AbortSignal } = {},
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of client.read(hub.file(REPO, WEIGHTS), from, signal)) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

const ranges = (hub: HubServer): (string | undefined)[] =>
  hub.asked.filter(({ path }) => path.startsWith('/content/')).map(({ range }) => range);

test('a repository is described with its commit and the hash and size of each file', () =>
  withClient(async (hub, client) => {
    const { commit, files } = await client.describe(REPO, 'main');
    assert.equal([...files.values()], [hub.file(REPO, 'config.json'), hub.file(REPO, WEIGHTS)]);
    assert.is(commit, hub.file(REPO, WEIGHTS).commit);
    hub.tag(REPO, 'refs/pr/1');
    assert.is((await client.describe(REPO, 'refs/pr/1')).commit, commit);
  }));

test('a file is read from any byte on', () =>
  withClient(async (hub, client) => {
    assert.ok((await readAll(client, hub)).equals(BYTES));
    assert.ok((await readAll(client, hub, { from: 299_999 })).equals(BYTES.subarray(299_999)));
    assert.equal(ranges(hub), [undefined, 'bytes=299999-']);
  }));

test('a server that knows no ranges is read over again', () =>
  withClient(async (hub, client) => {
    hub.misbehave(WEIGHTS, ({ serve }) => serve(undefined, { ranges: false }));
    assert.ok((await readAll(client, hub, { from: 1234 })).equals(BYTES.subarray(1234)));
  }));

test('the token goes to the hub and not to where it redirects', () =>
  withClient(
    async (hub, client) => {
      hub.push(REPO, { [WEIGHTS]: BYTES }, { token: 'hf_secret' });
      await client.describe(REPO, 'main');
      await readAll(client, hub);
      const seen = hub.asked.map(({ path, authorization }) => [path.split('/')[1], authorization]);
      assert.equal(seen, [
        ['api', 'Bearer hf_secret'],
        ['acme', 'Bearer hf_secret'],
        ['content', undefined],
      ]);
    },
    { token: 'hf_secret' },
  ));

test('what fails for a time is tried again', () =>
  withClient(async (hub, client) => {
    hub.misbehave('api', status(503), status(503));
    await client.describe(REPO, 'main');
    hub.misbehave(WEIGHTS, status(500), ({ response }) => response.destroy(), status(429, { 'retry-after': '0' }));
    assert.ok((await readAll(client, hub)).equals(BYTES));
    assert.is(hub.count(WEIGHTS), 4);
  }));

test('a server that asks for time gets it', () =>
  withClient(async (hub, client) => {
    const start = performance.now();
    hub.misbehave('api', status(429, { 'retry-after': '1' }));
    await client.describe(REPO, 'main');
    assert.ok(performance.now() - start >= 1000);
    hub.misbehave('api', status(503, { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() }));
    await refuses(() => client.describe(REPO, 'main'), NetworkError, 'HTTP status 503', 'to be asked again in 3', 's: check');
  }));

test('an answer that breaks off is gone on with where it did', () =>
  withClient(async (hub, client) => {
    hub.misbehave(WEIGHTS, cut(100_000), cut(50_000));
    assert.ok((await readAll(client, hub)).equals(BYTES));
    assert.equal(ranges(hub), [undefined, 'bytes=100000-', 'bytes=150000-']);
  }));

test('a server that never answers is given up after five times', () =>
  withClient(async (hub, client) => {
    hub.misbehave('api', ...Array.from({ length: 9 }, () => status(502)));
    await refuses(
      () => client.describe(REPO, 'main'),
      NetworkError,
      `${hub.url}/api/models/${REPO}`,
      'HTTP status 502, 5 times',
      'connection',
    );
    assert.is(hub.asked.length, 5);
    const nobody = new HubClient({ endpoint: 'http://127.0.0.1:1', retryDelay: 1 });
    await refuses(() => nobody.describe(REPO, 'main'), NetworkError, 'no answer', '5 times');
  }));

test('one that ends at the same byte each time is given up too', () =>
  withClient(async (hub, client) => {
    hub.misbehave(WEIGHTS, cut(1000), ...Array.from({ length: 9 }, () => cut(0)));
    await refuses(() => readAll(client, hub), NetworkError, WEIGHTS, '5 times');
  }));

test('a server that falls silent is asked again', () =>
  withClient(
    async (hub, client) => {
      hub.misbehave(WEIGHTS, stalled(70_000));
      assert.ok((await readAll(client, hub)).equals(BYTES));
      assert.equal(ranges(hub), [undefined, 'bytes=70000-']);
      hub.misbehave('api', ...Array.from({ length: 5 }, () => () => {}));
      await refuses(() => client.describe(REPO, 'main'), NetworkError, 'no byte for 0.2 s, 5 times');
    },
    { patience: 200 },
  ));

test('a slow consumer is no silent server', () =>
  withClient(
    async (hub, client) => {
      for await (const _ of client.read(hub.file(REPO, WEIGHTS), 299_000)) await new Promise((resolve) => setTimeout(resolve, 150));
      assert.is(hub.count(WEIGHTS), 1);
    },
    { patience: 100 },
  ));

test('web pages, other lengths and other places are refused', () =>
  withClient(async (hub, client) => {
    for (const fault of [html, disguisedHtml]) {
      hub.misbehave('api', fault);
      await refuses(() => client.describe(REPO, 'main'), IntegrityError, 'expected the description of a model', 'HF_ENDPOINT');
    }
    hub.misbehave(WEIGHTS, html);
    await refuses(() => readAll(client, hub), IntegrityError, WEIGHTS, 'a web page', 'development server');
    hub.misbehave(WEIGHTS, disguisedHtml);
    await refuses(() => readAll(client, hub), IntegrityError, WEIGHTS, 'expected 300000 bytes, found 36 bytes');
    hub.misbehave(WEIGHTS, ({ response }) => response.writeHead(200).end(Buffer.concat([BYTES, BYTES]))); // chunked: no length
    await refuses(() => readAll(client, hub), IntegrityError, 'expected 300000 bytes, found more');
    hub.misbehave(WEIGHTS, ({ response }) => response.writeHead(206, { 'content-range': 'bytes 5-299999/300000' }).end('x'));
    await refuses(() => readAll(client, hub, { from: 7 }), IntegrityError, 'expected bytes from 7 on, found bytes from 5 on');
    hub.misbehave(WEIGHTS, flipped(5));
    await readAll(client, hub); // it knows no contents: who stores them does
  }));

test('descriptions that lie are refused', () =>
  withClient(async (hub, client) => {
    const sha = '0'.repeat(40);
    const file = { rfilename: 'a.json', size: 2, blobId: sha };
    for (const [description, problem] of [
      [{ sha: 'main', siblings: [] }, '"main"'],
      [{ sha, siblings: {} }, 'siblings'],
      [{ sha, siblings: [{ ...file, rfilename: '../../etc/passwd' }] }, 'a file "../../etc/passwd"'],
      [{ sha, siblings: [{ ...file, blobId: '../x' }] }, 'hash "../x"'],
      [{ sha, siblings: [{ ...file, size: -1 }] }, 'size -1'],
      [{ sha, siblings: [{ ...file, lfs: { sha256: sha, size: 2 } }] }, `hash "${sha}"`],
    ] as const) {
      hub.misbehave('api', ({ serve }) => serve(Buffer.from(JSON.stringify(description))));
      await refuses(() => client.describe(REPO, 'main'), IntegrityError, 'expected the description of a model', problem);
    }
  }));

test('what is not there, and what is not allowed, is named with what to do', () =>
  withClient(async (hub, client) => {
    await refuses(() => client.describe(REPO, 'v9'), NotFoundError, 'HTTP status 404 (Invalid rev id)', 'revision "v9"');
    await refuses(() => client.describe('acme/none', 'main'), AccessError, '401', 'acme/none does not exist, or is private', 'HF_TOKEN');
    hub.misbehave(WEIGHTS, status(403, { 'x-error-message': 'Access to model acme/tiny is restricted' }));
    await refuses(
      () => readAll(client, hub),
      AccessError,
      'HTTP status 403 (Access to model acme/tiny is restricted)',
      'accept its conditions',
    );
    hub.misbehave(WEIGHTS, status(404));
    await refuses(() => readAll(client, hub), NotFoundError, WEIGHTS, 'found HTTP status 404');
    hub.misbehave(WEIGHTS, status(418));
    await refuses(() => readAll(client, hub), NetworkError, 'HTTP status 418');
    const known = new HubClient({ endpoint: hub.url, token: 'hf_other' });
    await refuses(() => known.describe('acme/none', 'main'), AccessError, 'check that the token may read it');
  }));

test('a signal breaks off requests and pauses, with its reason', () =>
  withClient(async (hub, client) => {
    const reason = new Error('enough');
    const abortSoon = (): AbortSignal => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 50);
      return controller.signal;
    };
    const broken = async (body: () => Promise<unknown>): Promise<void> => assert.is(await body().catch((error) => error), reason);
    hub.misbehave('api', () => {}, status(503, { 'retry-after': '30' }));
    await broken(() => client.describe(REPO, 'main', { signal: abortSoon() }));
    await broken(() => client.describe(REPO, 'main', { signal: abortSoon() }));
    hub.misbehave(WEIGHTS, stalled(70_000));
    await broken(() => readAll(client, hub, { signal: abortSoon() }));
    await broken(() => readAll(client, hub, { signal: AbortSignal.abort(reason) }));
  }));

test.run();
