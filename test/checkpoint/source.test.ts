import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ModelSource, openSource, readJson } from '../../src/checkpoint/source.ts';
import { ArgumentError, ConfigError, HostError, NotFoundError } from '../../src/errors.ts';
import { refuses, withFolder } from './helpers.ts';

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

test('a folder that is not there is refused by name, a hub id with the way to its files', async () => {
  await refuses(
    () => openSource('/no/such/folder'),
    NotFoundError,
    '/no/such/folder: expected a folder with config.json',
    'found no such folder',
  );
  await refuses(() => openSource('facebook/dinov2-base'), NotFoundError, 'https://huggingface.co/facebook/dinov2-base/tree/main');
});

test('a file in place of a folder is refused by name', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'model.safetensors');
    writeFileSync(path, bytes);
    await refuses(() => openSource(path), NotFoundError, path, 'expected a folder', 'found a file');
  }));

test('a missing file is refused with its name and that of the folder', () =>
  withFolder(async (folder) => {
    await refuses(async () => (await openSource(folder)).open('config.json'), NotFoundError, folder, 'config.json');
    mkdirSync(join(folder, 'config.json'));
    await refuses(async () => (await openSource(folder)).open('config.json'), NotFoundError, folder, 'config.json');
    await refuses(async () => (await openSource({ 'a.txt': bytes })).open('config.json'), NotFoundError, 'config.json', 'a.txt');
    await refuses(async () => (await openSource({})).open('constructor'), NotFoundError, 'constructor');
  }));

test('what is no source is refused', async () => {
  await refuses(() => openSource(undefined as unknown as string), ArgumentError, 'source', 'found nothing');
  await refuses(() => openSource(['a'] as unknown as string), ArgumentError, 'found ["a"]');
  await refuses(() => openSource(new URL('https://example.org/model')), ArgumentError, 'https://example.org/model');
  await refuses(() => openSource({ 'config.json': '{}' } as unknown as string), ArgumentError, '"config.json"', 'found "{}"');
});

test('broken JSON is refused with file, line and column', async () => {
  const source = await openSource({ 'config.json': new TextEncoder().encode('{\n"a": }') });
  await refuses(() => readJson(source, 'config.json'), ConfigError, 'config.json: line 2, column 6: expected a value, found "}"');
});

test('JSON of more than 64 MiB is refused unread', async () => {
  const source = await openSource({ 'config.json': new Uint8Array(64 * 2 ** 20 + 1) });
  await refuses(() => readJson(source, 'config.json'), ConfigError, 'config.json', '67108864', '67108865');
});

test.run();
