import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { HostError, IntegrityError, NetworkError } from '../../src/errors.ts';
import type { DownloadCache, RemoteFile } from '../../src/hosts/host.ts';
import { PieceCache } from '../../src/hosts/pieceCache.ts';
import { memoryStore } from '../../src/hosts/webDownloads.ts';
import { HubClient } from '../../src/hub/client.ts';
import { download } from '../../src/hub/download.ts';
import { refuses } from '../helpers.ts';
import { cut, drip, flipped, type HubServer, status, withHub } from './server.ts';

const REPO = 'acme/tiny';
const WEIGHTS = 'model.safetensors';
const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 + (i >> 8));
const PIECE = 65_536;

interface Place {
  readonly hub: HubServer;
  readonly client: HubClient;
  readonly cache: DownloadCache;
  /** Names of what is there unfinished. */
  unfinished(): readonly string[];
}

const CACHES: Record<string, (folder: string) => Pick<Place, 'cache' | 'unfinished'>> = {
  disk: (folder) => ({
    cache: host.downloads.cache(folder),
    unfinished: () => readdirSync(join(folder, 'models--acme--tiny', 'blobs')).filter((name) => name.includes('incomplete')),
  }),
  pieces: () => ({ cache: new PieceCache(memoryStore(), { piece: PIECE }), unfinished: () => [] }),
};

async function contentOf(cache: DownloadCache, { repo, commit, path }: RemoteFile): Promise<Buffer | undefined> {
  const file = await cache.open(repo, commit, path);
  if (!file) return undefined;
  const bytes = Buffer.from(await file.read(0, file.size));
  await file.close();
  return bytes;
}

const lastRange = (hub: HubServer): string | undefined => hub.asked.at(-1)?.range;

for (const [name, make] of Object.entries(CACHES)) {
  const withPlace = (body: (place: Place) => Promise<void>): Promise<void> =>
    withHub(async (hub, { cache: folder }) => {
      hub.push(REPO, { 'config.json': '{"a": 1}', [WEIGHTS]: BYTES, empty: '' });
      await body({ hub, client: new HubClient({ endpoint: hub.url, retryDelay: 1 }), ...make(folder) });
    });

  test(`${name}: a file of weights, one of git and an empty one are stored once, and read back at any place`, () =>
    withPlace(async ({ hub, client, cache, unfinished }) => {
      for (const path of [WEIGHTS, 'config.json', 'empty', WEIGHTS]) {
        const file = hub.file(REPO, path);
        await download(client, cache, file);
        assert.is((await contentOf(cache, file))?.length, file.size);
      }
      const file = hub.file(REPO, WEIGHTS);
      const opened = await cache.open(REPO, file.commit, WEIGHTS);
      for (const [offset, length] of [
        [0, 300_000],
        [65_530, 20],
        [131_072, 65_536],
        [299_999, 1],
        [5, 0],
      ] as const) {
        assert.ok(Buffer.from((await opened?.read(offset, length)) ?? []).equals(BYTES.subarray(offset, offset + length)), `${offset}`);
      }
      await refuses(() => opened?.read(299_999, 2), HostError, 'expected 2 bytes at 299999', 'found 1');
      await opened?.close();
      assert.is(hub.count(WEIGHTS), 1);
      assert.equal([...(await cache.list(REPO, file.commit))].sort(), ['config.json', 'empty', WEIGHTS]);
      assert.equal(unfinished(), []);
      assert.is(await cache.open(REPO, file.commit, 'other'), undefined);
      assert.is(await cache.open(REPO, '0'.repeat(40), WEIGHTS), undefined);
    }));

  test(`${name}: the same content at another commit is not downloaded again`, () =>
    withPlace(async ({ hub, client, cache }) => {
      await download(client, cache, hub.file(REPO, WEIGHTS));
      hub.push(REPO, { 'config.json': '{"a": 2}', [WEIGHTS]: BYTES });
      await download(client, cache, hub.file(REPO, WEIGHTS));
      assert.ok((await contentOf(cache, hub.file(REPO, WEIGHTS)))?.equals(BYTES));
      assert.is(hub.count(WEIGHTS), 1);
    }));

  test(`${name}: a download that was broken off is gone on with by the next, and tells the progress`, () =>
    withPlace(async ({ hub, client, cache }) => {
      const file = hub.file(REPO, WEIGHTS);
      hub.misbehave(WEIGHTS, cut(200_000), ...Array.from({ length: 5 }, () => status(503)));
      await refuses(() => download(client, cache, file), NetworkError, '503');
      assert.is(await contentOf(cache, file), undefined, 'what is not whole cannot be opened');
      const loaded: number[] = [];
      await download(client, cache, file, { progress: (bytes) => loaded.push(bytes) });
      const kept = name === 'disk' ? 200_000 : 3 * PIECE;
      assert.is(lastRange(hub), `bytes=${kept}-`);
      assert.equal([loaded[0], loaded.at(-1)], [kept, 300_000]);
      assert.ok((await contentOf(cache, file))?.equals(BYTES));
    }));

  test(`${name}: a download that a signal broke off is gone on with`, () =>
    withPlace(async ({ hub, client, cache }) => {
      const file = hub.file(REPO, WEIGHTS);
      const controller = new AbortController();
      hub.misbehave(WEIGHTS, drip({ pieces: 10, pause: 10 }));
      const progress = (bytes: number): void => {
        if (bytes >= 150_000) controller.abort(new RangeError('enough'));
      };
      await refuses(() => download(client, cache, file, { signal: controller.signal, progress }), RangeError, 'enough');
      await download(client, cache, file);
      assert.match(lastRange(hub) ?? '', /^bytes=[1-9]\d*-$/);
      assert.ok((await contentOf(cache, file))?.equals(BYTES));
    }));

  test(`${name}: a byte that is wrong is noticed, and nothing of it stays`, () =>
    withPlace(async ({ hub, client, cache, unfinished }) => {
      for (const path of [WEIGHTS, 'config.json']) {
        const file = hub.file(REPO, path);
        hub.misbehave(path, flipped(5));
        await refuses(() => download(client, cache, file), IntegrityError, `${REPO}: ${path}: expected content with hash ${file.hash}`);
        assert.is(await contentOf(cache, file), undefined);
        assert.equal(unfinished(), []);
        await download(client, cache, file);
        assert.is(lastRange(hub), undefined, 'from the first byte on');
      }
    }));

  test(`${name}: when what was left of an earlier download is wrong, it starts again by itself`, () =>
    withPlace(async ({ hub, client, cache }) => {
      const file = hub.file(REPO, WEIGHTS);
      const wrong = Buffer.from(BYTES);
      wrong[7] = 0;
      hub.misbehave(WEIGHTS, ({ response }) => {
        response.writeHead(200, { 'content-length': wrong.length });
        response.write(wrong.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 20));
      });
      hub.misbehave(WEIGHTS, ...Array.from({ length: 5 }, () => status(503)));
      await refuses(() => download(client, cache, file), NetworkError, '503');
      await download(client, cache, file);
      assert.ok((await contentOf(cache, file))?.equals(BYTES));
      assert.is(lastRange(hub), undefined);
    }));

  if (name === 'disk') {
    test(`${name}: two at the same time share one download`, () =>
      withPlace(async ({ hub, client, cache }) => {
        const file = hub.file(REPO, WEIGHTS);
        hub.misbehave(WEIGHTS, drip({ pieces: 10, pause: 20 }));
        await Promise.all([download(client, cache, file), download(client, cache, file), download(client, cache, file)]);
        assert.is(hub.count(WEIGHTS), 1);
      }));
  }

  test(`${name}: revisions are kept, and unknown ones are unknown`, () =>
    withPlace(async ({ cache }) => {
      const [first, second] = ['a'.repeat(40), 'b'.repeat(40)];
      assert.is(await cache.commitOf(REPO, 'refs/pr/1'), undefined);
      for (const commit of [first, first, second]) {
        await cache.setCommit(REPO, 'refs/pr/1', commit);
        assert.is(await cache.commitOf(REPO, 'refs/pr/1'), commit);
      }
    }));
}

test.run();
