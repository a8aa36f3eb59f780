import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { ArgumentError, HostError } from '../../src/errors.ts';
import { jsonFile, type OutputFile, writeFiles } from '../../src/files/output.ts';
import type { FileSystem } from '../../src/hosts/host.ts';
import { refuses, withFolder } from '../helpers.ts';

const failing = (path: string): OutputFile => ({
  path,
  write: async (writer) => {
    await writer.write(Uint8Array.of(1));
    throw new ArgumentError('failed');
  },
});

test('JSON is written as Python writes it for transformers: indented, keys sorted at every depth', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'new', 'a.json');
    await writeFiles([jsonFile(path, { b: [{ z: 1, y: null }], a: { 10: 'x', 9: 'é' } })]);
    const expected = '{"a":{"9":"é","10":"x"},"b":[{"y":null,"z":1}]}';
    assert.is(readFileSync(path, 'utf8'), `${JSON.stringify(JSON.parse(expected), null, 2)}\n`);
  }));

test('no file appears before all are complete, nor any part of one after an error', () =>
  withFolder(async (folder) => {
    const [first, second] = [join(folder, 'first'), join(folder, 'second')];
    await refuses(() => writeFiles([jsonFile(first, 1), failing(second)]), ArgumentError, 'failed');
    assert.equal(readdirSync(folder), []);
    writeFileSync(first, 'before');
    await refuses(() => writeFiles([jsonFile(first, 1), failing(second)]), ArgumentError, 'failed');
    assert.equal(readdirSync(folder), ['first']);
    assert.is(readFileSync(first, 'utf8'), 'before');
    await writeFiles([jsonFile(first, 1), jsonFile(second, 2)]);
    assert.equal([readFileSync(first, 'utf8'), readFileSync(second, 'utf8')], ['1\n', '2\n']);
  }));

test('a place that cannot be written is an error that names it', () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, 'file'), 'before');
    for (const path of [join(folder, 'file', 'a.json'), join(folder, 'x'.repeat(5000)), join(folder, 'a\0b'), folder]) {
      await refuses(
        () => writeFiles([jsonFile(path, 1)]),
        HostError,
        `${path}: expected a place that can be written, found `,
        'write elsewhere',
      );
    }
    assert.equal([readdirSync(folder), readFileSync(join(folder, 'file'), 'utf8')], [['file'], 'before']);
  }));

test('of files that belong together the last is away while the others are replaced', () =>
  withFolder(async (folder) => {
    const paths = ['weights', 'names', 'key'].map((name) => join(folder, name));
    const write = (value: number): Promise<void> => writeFiles(paths.map((path) => jsonFile(path, value)));
    await write(1);
    const seen: string[][] = [];
    const system = host.files as { -readonly [K in keyof FileSystem]: FileSystem[K] };
    const { create, remove } = system;
    system.remove = async (path) => {
      await remove(path);
      seen.push(readdirSync(folder).filter((name) => !name.endsWith('.tmp')));
    };
    system.create = async (path) => {
      const writer = await create(path);
      const commit = async (): Promise<void> => {
        await writer.commit();
        seen.push(readdirSync(folder).filter((name) => !name.endsWith('.tmp')));
      };
      return { write: (bytes) => writer.write(bytes), commit, abort: () => writer.abort() };
    };
    try {
      await write(2);
    } finally {
      Object.assign(system, { create, remove });
    }
    assert.equal(seen, [
      ['names', 'weights'],
      ['names', 'weights'],
      ['names', 'weights'],
      ['key', 'names', 'weights'],
    ]);
    assert.equal(
      paths.map((path) => readFileSync(path, 'utf8')),
      ['2\n', '2\n', '2\n'],
    );
  }));

test.run();
