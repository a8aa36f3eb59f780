import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, utimesSync, writeFileSync } from 'node:fs';
import * as node from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HostError } from '../../src/errors.ts';
import { type Disk, DiskCache } from '../../src/hosts/diskCache.ts';
import type { Download, FileSystem, RemoteFile } from '../../src/hosts/host.ts';
import { host } from '../../src/hosts/node.ts';
import { refuses, withFolder } from '../helpers.ts';

const COMMIT = '0123456789'.repeat(4);
const FILE: RemoteFile = { repo: 'acme/tiny', commit: COMMIT, path: 'model.safetensors', size: 6, hash: 'ab'.repeat(32) };
const FOLDER = 'models--acme--tiny';

const cacheIn = (folder: string, disk: Partial<Disk> = {}): DiskCache =>
  new DiskCache(folder, host.files as FileSystem, { ...node, ...disk } as Disk);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const error = (code: string): Error => Object.assign(new Error(`${code}: refused by a test`), { code });
const refusing = (code: string) => async (): Promise<never> => {
  throw error(code);
};

async function begin(cache: DiskCache, file = FILE): Promise<Download> {
  const download = await cache.begin(file);
  assert.ok(download, 'expected a download, found that it is complete');
  return download;
}

async function store(cache: DiskCache, file = FILE, text = 'abcdef'): Promise<void> {
  const download = await begin(cache, file);
  await download.append(bytes(text));
  await download.commit();
}

/** The files below a folder, with where links lead. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => !lstatSync(join(folder, path)).isDirectory())
    .map((path) => (lstatSync(join(folder, path)).isSymbolicLink() ? `${path} -> ${readlinkSync(join(folder, path))}` : path))
    .sort();
}

test('the folders are those of huggingface_hub', () =>
  withFolder(async (folder) => {
    const cache = cacheIn(folder);
    await store(cache);
    await store(cache, { ...FILE, path: 'onnx/deep/a.json', hash: 'cd'.repeat(20) });
    await cache.setCommit(FILE.repo, 'main', COMMIT);
    await cache.setCommit(FILE.repo, 'refs/pr/1', COMMIT);
    assert.equal(tree(folder), [
      `${FOLDER}/blobs/${'ab'.repeat(32)}`,
      `${FOLDER}/blobs/${'cd'.repeat(20)}`,
      `${FOLDER}/refs/main`,
      `${FOLDER}/refs/refs/pr/1`,
      `${FOLDER}/snapshots/${COMMIT}/model.safetensors -> ../../blobs/${'ab'.repeat(32)}`,
      `${FOLDER}/snapshots/${COMMIT}/onnx/deep/a.json -> ../../../../blobs/${'cd'.repeat(20)}`,
    ]);
    assert.is(readFileSync(join(folder, FOLDER, 'refs', 'main'), 'utf8'), COMMIT);
    assert.is(readFileSync(join(folder, FOLDER, 'snapshots', COMMIT, 'model.safetensors'), 'utf8'), 'abcdef');
  }));

test('what huggingface_hub has put there is found, its unfinished files left alone', () =>
  withFolder(async (folder) => {
    const [blobs, snapshot] = [join(folder, FOLDER, 'blobs'), join(folder, FOLDER, 'snapshots', COMMIT)];
    for (const path of [blobs, snapshot]) mkdirSync(path, { recursive: true });
    writeFileSync(join(blobs, `${FILE.hash}.incomplete`), 'ab');
    writeFileSync(join(blobs, `${FILE.hash}.1234abcd.incomplete`), 'xyz');
    writeFileSync(join(snapshot, 'config.json'), '{}'); // as on Windows, without a link
    const cache = cacheIn(folder);
    const opened = await cache.open(FILE.repo, COMMIT, 'config.json');
    assert.is(opened?.size, 2);
    await opened?.close();
    assert.is((await begin(cache)).size, 0);
    assert.is(readFileSync(join(blobs, `${FILE.hash}.incomplete`), 'utf8'), 'ab');
    writeFileSync(join(blobs, FILE.hash), 'abcdef');
    assert.is(await cache.begin(FILE), undefined, 'the content is there: it only gets a name');
    assert.is(readFileSync(join(snapshot, FILE.path), 'utf8'), 'abcdef');
  }));

test('content of a wrong length is replaced', () =>
  withFolder(async (folder) => {
    const cache = cacheIn(folder);
    await store(cache, FILE, 'abc');
    await store(cache);
    assert.is(readFileSync(join(folder, FOLDER, 'snapshots', COMMIT, FILE.path), 'utf8'), 'abcdef');
  }));

test('a damaged reference is none', () =>
  withFolder(async (folder) => {
    mkdirSync(join(folder, FOLDER, 'refs'), { recursive: true });
    writeFileSync(join(folder, FOLDER, 'refs', 'main'), '../../etc');
    assert.is(await cacheIn(folder).commitOf(FILE.repo, 'main'), undefined);
  }));

test('what is released is gone on with at once, what is in work is waited for, what is abandoned taken over', () =>
  withFolder(async (folder) => {
    const cache = cacheIn(folder);
    const first = await begin(cache);
    await first.append(bytes('abc'));
    await refuses(() => cache.begin(FILE, AbortSignal.timeout(500)), DOMException, 'timeout');
    await first.release();

    const second = await begin(cache);
    assert.is(second.size, 3);
    await second.append(bytes('d'));
    const [name] = readdirSync(join(folder, FOLDER, 'blobs')) as [string];
    utimesSync(join(folder, FOLDER, 'blobs', name), 1, 1); // as if its process had died long ago
    const third = await begin(cache);
    assert.is(third.size, 4);
    await third.append(bytes('ef'));
    await refuses(() => second.commit(), HostError);
    assert.ok(second.isLost);
    await second.release();
    await third.commit();
    assert.equal(tree(folder).length, 2);
    assert.is(readFileSync(join(folder, FOLDER, 'blobs', FILE.hash), 'utf8'), 'abcdef');
  }));

test('what is finished between two looks is not begun again', () =>
  withFolder(async (folder) => {
    const blobs = join(folder, FOLDER, 'blobs');
    const readdir = async (path: string): Promise<string[]> => {
      writeFileSync(join(blobs, FILE.hash), 'abcdef');
      return node.readdir(path);
    };
    assert.is(await cacheIn(folder, { readdir: readdir as Disk['readdir'] }).begin(FILE), undefined);
    assert.equal(readdirSync(blobs), [FILE.hash]);
  }));

test('an owner that was taken for dead notices, and writes no more', () =>
  withFolder(async (folder) => {
    const cache = cacheIn(folder);
    const first = await begin(cache);
    await first.append(bytes('abc'));
    const [name] = readdirSync(join(folder, FOLDER, 'blobs')) as [string];
    utimesSync(join(folder, FOLDER, 'blobs', name), 1, 1);
    const second = await begin(cache);
    for (let wait = 0; !first.isLost && wait < 50; wait++) await new Promise((resolve) => setTimeout(resolve, 100));
    await refuses(() => first.append(bytes('XXX')), HostError, 'another process');
    await first.release();
    await second.append(bytes('def'));
    await second.commit();
    assert.is(readFileSync(join(folder, FOLDER, 'blobs', FILE.hash), 'utf8'), 'abcdef');
  }));

test('a full disk is named, and what was written is given back', () =>
  withFolder(async (folder) => {
    let isFull = false;
    const open = async (...args: Parameters<typeof node.open>): Promise<node.FileHandle> => {
      const handle = await node.open(...args);
      const write = handle.write.bind(handle) as (...given: unknown[]) => Promise<unknown>;
      return Object.assign(handle, { write: (...given: unknown[]) => (isFull ? refusing('ENOSPC')() : write(...given)) });
    };
    const cache = cacheIn(folder, { open: open as Disk['open'] });
    await store(cache, { ...FILE, path: 'config.json', hash: 'cd'.repeat(20) });
    const before = tree(folder);
    const download = await begin(cache);
    await download.append(bytes('abc'));
    isFull = true;
    await refuses(() => download.append(bytes('def')), HostError, folder, 'a full disk (ENOSPC', 'make room', 'cache_dir');
    await download.release();
    assert.equal(tree(folder), before);
    isFull = false;
    await store(cache);
  }));

test('a cache that cannot be written is named, and still read', () =>
  withFolder(async (folder) => {
    await store(cacheIn(folder));
    const readOnly = cacheIn(folder, { open: refusing('EROFS'), rename: refusing('EROFS'), symlink: refusing('EROFS') });
    const opened = await readOnly.open(FILE.repo, COMMIT, FILE.path);
    assert.is(opened?.size, 6);
    await opened?.close();
    const other = { ...FILE, hash: 'cd'.repeat(20) };
    await refuses(() => readOnly.begin(other), HostError, `${folder}: expected a cache that can be written, found EROFS`, 'cache_dir');
    assert.equal(tree(folder).length, 2);
  }));

test('a folder that cannot be made is named', () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, 'file'), '');
    await refuses(() => cacheIn(join(folder, 'file')).begin(FILE), HostError, join(folder, 'file'), 'ENOTDIR', 'cache_dir');
    if (process.platform === 'linux') await refuses(() => cacheIn('/proc/none').begin(FILE), HostError, '/proc/none', 'cache_dir');
    if (process.getuid?.() === 0) return; // who may write everywhere
    chmodSync(folder, 0o555);
    await refuses(() => cacheIn(join(folder, 'new')).begin(FILE), HostError, 'EACCES').finally(() => chmodSync(folder, 0o755));
  }));

test('where there are no symbolic links, or no links at all, the file itself is there', async () => {
  for (const link of [node.link, refusing('EPERM')]) {
    await withFolder(async (folder) => {
      const cache = cacheIn(folder, { symlink: refusing('EPERM'), link });
      await store(cache);
      const path = join(folder, FOLDER, 'snapshots', COMMIT, FILE.path);
      assert.ok(existsSync(path) && !lstatSync(path).isSymbolicLink());
      assert.is(lstatSync(path).nlink, link === node.link ? 2 : 1);
      assert.is(await cache.begin({ ...FILE, commit: 'f'.repeat(40) }), undefined);
    });
  }
});

test.run();
