import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HostError } from '../../src/errors.ts';
import type { Download, RemoteFile } from '../../src/hosts/host.ts';
import { PieceCache, type PieceStore } from '../../src/hosts/pieceCache.ts';
import { cacheStore, memoryStore, webDownloads } from '../../src/hosts/webDownloads.ts';
import { refuses } from '../helpers.ts';

const FILE: RemoteFile = { repo: 'acme/tiny', commit: '0'.repeat(40), path: 'model.safetensors', size: 10, hash: 'ab'.repeat(32) };
const BYTES = Uint8Array.from({ length: 10 }, (_, i) => i);

/** As much of the Cache API as is used. */
class FakeCaches {
  readonly responses = new Map<string, Response>();
  readonly names: string[] = [];

  async open(name: string): Promise<Cache> {
    this.names.push(name);
    const { responses } = this;
    return {
      match: async (url: string) => responses.get(url)?.clone(),
      put: async (url: string, response: Response) => void responses.set(new URL(url).href, response),
      delete: async (url: string) => responses.delete(url),
      keys: async () => [...responses.keys()].map((url) => ({ url })),
    } as unknown as Cache;
  }
}

async function store(cache: PieceCache): Promise<void> {
  const download = (await cache.begin(FILE)) as Download;
  await download.append(BYTES);
  await download.commit();
}

async function read(cache: PieceCache): Promise<number[] | undefined> {
  const file = await cache.open(FILE.repo, FILE.commit, FILE.path);
  return file && [...(await file.read(0, file.size))];
}

test('the Cache API keeps pieces under addresses of their own', async () => {
  const caches = new FakeCaches();
  const cache = new PieceCache(cacheStore(caches as unknown as CacheStorage, 'models'), { piece: 4 });
  assert.is(await read(cache), undefined);
  await store(cache);
  await cache.setCommit(FILE.repo, 'refs/pr/1', FILE.commit);
  assert.is(await cache.commitOf(FILE.repo, 'refs/pr/1'), FILE.commit);
  assert.equal(await read(cache), [...BYTES]);
  assert.equal(await cache.list(FILE.repo, FILE.commit), [FILE.path]);
  assert.equal(caches.names, ['models']);
  const keys = [...caches.responses.keys()].map((url) => url.replace('https://dinov2-wasm.invalid/', '').replace(FILE.hash, 'HASH'));
  const commit = FILE.commit;
  assert.equal(keys.sort(), [
    'blobs/HASH',
    'blobs/HASH/0',
    'blobs/HASH/1',
    'blobs/HASH/2',
    'refs/acme/tiny/refs/pr/1',
    `snapshots/acme/tiny/${commit}/${FILE.path}`,
  ]);
});

test('a file of which the browser has removed a piece is downloaded again', async () => {
  const pieces = memoryStore();
  const cache = new PieceCache(pieces, { piece: 4 });
  await store(cache);
  const opened = await cache.open(FILE.repo, FILE.commit, FILE.path);
  await pieces.delete(`blobs/${FILE.hash}/1`);
  await refuses(() => opened?.read(0, 10), HostError, 'memory: acme/tiny/model.safetensors', 'piece 1', 'load it again');
  assert.is(await read(cache), undefined);
  const again = (await cache.begin(FILE)) as Download;
  assert.is(again.size, 4);
  await again.append(BYTES.subarray(4));
  await again.commit();
  assert.equal(await read(cache), [...BYTES]);
});

test('a cache that is full is named, and what is whole in it stays', async () => {
  const pieces = memoryStore();
  const cache = new PieceCache(pieces, { piece: 4 });
  await store(cache);
  const full: PieceStore = {
    ...pieces,
    put: async () => {
      throw new DOMException('no room', 'QuotaExceededError');
    },
  };
  const other = (await new PieceCache(full, { piece: 4 }).begin({ ...FILE, hash: 'cd'.repeat(32) })) as Download;
  await refuses(() => other.append(BYTES), HostError, 'memory: expected a cache that can be written', 'full', 'make room');
  await other.release();
  assert.equal(await read(cache), [...BYTES]);
});

test('tabs wait for each other where the host has locks', async () => {
  let last: Promise<void> = Promise.resolve();
  const locked: PieceStore = {
    ...memoryStore(),
    lock: (_, work) => {
      last = last.then(work);
      return last;
    },
  };
  const cache = new PieceCache(locked, { piece: 4 });
  const first = (await cache.begin(FILE)) as Download;
  const second = cache.begin(FILE);
  await first.append(BYTES);
  await first.commit();
  assert.is(await second, undefined, 'it finds what the first has stored');
});

test('a host without the Cache API keeps downloads for one use', async () => {
  const cache = webDownloads.cache('models');
  assert.is(cache.name, 'memory');
  assert.is(await cache.commitOf('acme/tiny', 'main'), undefined);
  assert.is(webDownloads.setting('HF_HOME'), undefined);
});

test.run();
