import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ConfigError, HostError, LimitError, NotFoundError } from '../../src/errors.ts';
import { type ModelSource, openSource, readJson, staysInside } from '../../src/files/source.ts';
import { refuses, withFolder } from '../helpers.ts';

const bytes = new TextEncoder().encode('{"a": 1}');

test('a file is read alike from a folder, a URL, bytes, a buffer and a blob', () =>
  withFolder(async (folder) => {
    const spaced = join(folder, 'a model é');
    mkdirSync(spaced);
    writeFileSync(join(spaced, 'config.json'), bytes);
    const sources: ModelSource[] = [
      spaced,
      pathToFileURL(spaced),
      { 'config.json': bytes },
      { 'config.json': bytes.buffer.slice(0) },
      new Map([['config.json', new Blob([bytes])]]),
    ];
    for (const given of sources) {
      const source = await openSource(given);
      assert.is(await source.has('config.json'), true);
      assert.is(await source.has('model.safetensors'), false);
      assert.equal(await readJson(source, 'config.json'), { a: 1 });
      const file = await source.open('config.json');
      assert.is(file.size, bytes.length);
      assert.equal([...(await file.read(2, 3))], [...bytes.subarray(2, 5)]);
      await refuses(() => file.read(6, 3), HostError, 'expected 3 bytes at 6', 'found 2');
      await file.close();
    }
  }));

test('a folder that is not there is refused by name, with what to give', async () => {
  await refuses(() => openSource('/no/such/folder'), NotFoundError, '/no/such/folder: expected a folder with config.json', 'found neither');
  await refuses(
    () => openSource('dinov2'),
    NotFoundError,
    'dinov2: expected a folder',
    'give its path, or the name',
    '"facebook/dinov2-small"',
  );
});

test('the path of a file is a source of that file alone', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a model.pth');
    writeFileSync(path, bytes);
    writeFileSync(join(folder, 'config.json'), bytes);
    for (const given of [path, pathToFileURL(path)]) {
      const source = await openSource(given);
      assert.equal(await source.list(), ['a model.pth']);
      assert.equal([await source.has('a model.pth'), await source.has('config.json')], [true, false]);
      const file = await source.open('a model.pth');
      assert.equal([...(await file.read(0, bytes.length))], [...bytes]);
      await file.close();
      await refuses(() => source.open('config.json'), NotFoundError, path, 'config.json', 'found a file');
    }
  }));

test('the files of a source are listed', () =>
  withFolder(async (folder) => {
    for (const name of ['b', 'a']) writeFileSync(join(folder, name), bytes);
    assert.equal(await (await openSource(folder)).list(), ['a', 'b']);
    assert.equal(await (await openSource({ b: bytes, a: bytes })).list(), ['b', 'a']);
  }));

test('a path that leads out of its folder is known', () => {
  assert.ok(['a', 'a/b', '.hidden/..b'].every(staysInside));
  assert.ok(!['', '..', 'a/../b', './a', '/a', 'a/', 'C:a', 'a\\b'].some(staysInside));
});

test('a missing file is refused with its name and that of the folder', () =>
  withFolder(async (folder) => {
    await refuses(async () => (await openSource(folder)).open('config.json'), NotFoundError, folder, 'config.json');
    mkdirSync(join(folder, 'config.json'));
    await refuses(async () => (await openSource(folder)).open('config.json'), NotFoundError, folder, 'config.json');
    await refuses(async () => (await openSource({ 'a.txt': bytes })).open('config.json'), NotFoundError, 'config.json', 'a.txt');
    await refuses(async () => (await openSource({})).open('constructor'), NotFoundError, 'constructor');
  }));

test('the URL of a folder on a server is read from there, whether or not it ends in a slash', async () => {
  const config = JSON.stringify({ model_type: 'dinov2' });
  const server = createServer((request, response) => {
    if (request.url === '/a%20model/config.json') response.writeHead(200, { 'content-type': 'application/json' }).end(config);
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'); // as servers for development do
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a%20model`;
  try {
    for (const folder of [url, `${url}/`]) {
      const source = await openSource(new URL(folder));
      assert.equal(await readJson(source, 'config.json'), { model_type: 'dinov2' });
      assert.equal([await source.has('config.json'), await source.has('model.safetensors')], [true, false]);
      await refuses(() => source.open('model.safetensors'), NotFoundError, 'model.safetensors', 'a page');
    }
  } finally {
    server.close();
  }
  const gone = await openSource(new URL('http://127.0.0.1:1/model'));
  await refuses(() => gone.has('config.json'), NotFoundError, 'http://127.0.0.1:1/model/config.json', 'connect-src');
});

test('what is no source is refused', async () => {
  await refuses(() => openSource(undefined as unknown as string), ArgumentError, 'source', 'found nothing');
  await refuses(() => openSource(['a'] as unknown as string), ArgumentError, 'found ["a"]');
  await refuses(() => openSource(new URL('ftp://example.org/model')), ArgumentError, 'ftp://example.org/model');
  await refuses(() => openSource({ 'config.json': '{}' } as unknown as string), ArgumentError, '"config.json"', 'found "{}"');
});

test('broken JSON is refused with file, line and column', async () => {
  const source = await openSource({ 'config.json': new TextEncoder().encode('{\n"a": }') });
  await refuses(() => readJson(source, 'config.json'), ConfigError, 'config.json: line 2, column 6: expected a value, found "}"');
});

test('JSON of more than 16 MiB is refused unread', async () => {
  const source = await openSource({ 'config.json': new Uint8Array(16 * 2 ** 20 + 1) });
  await refuses(() => readJson(source, 'config.json'), LimitError, 'config.json', '16777216', '16777217');
});

test.run();
