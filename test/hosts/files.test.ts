import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HostError, NotFoundError } from '../../src/errors.ts';
import type { FileSystem } from '../../src/hosts/host.ts';
import { temporaryName } from '../../src/hosts/temporary.ts';
import { refuses, withFolder } from '../helpers.ts';
import { host } from '../host.ts';

const files = host.files as FileSystem;

test('a file is whole under its name, or not there', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'new', 'a');
    const writer = await files.create(path);
    await writer.write(Uint8Array.of(1, 2));
    await writer.write(Uint8Array.of(3));
    assert.not(readdirSync(join(folder, 'new')).includes('a'));
    await writer.commit();
    assert.equal([...readFileSync(path)], [1, 2, 3]);
    const other = await files.create(path);
    await other.write(Uint8Array.of(4));
    await other.abort();
    assert.equal(readdirSync(join(folder, 'new')), ['a']);
    assert.equal([...readFileSync(path)], [1, 2, 3]);
    await files.remove(path);
    await files.remove(path);
    assert.equal(readdirSync(join(folder, 'new')), []);
  }));

test('what a process has left behind that is no more is removed by who writes the same file next, and nothing else', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a.npy');
    const ended = execFileSync(process.execPath, ['-e', 'process.stdout.write(String(process.pid))'], { encoding: 'utf8' });
    const own = await temporaryName(path);
    const stale = own.replace(`.${process.pid}.`, `.${ended}.`);
    const ofOthers = [
      own,
      own.replace(/a\.npy\.\w+/, 'a.npy.elsewhere').replace(`.${process.pid}.`, `.${ended}.`),
      stale.replace('a.npy', 'b.npy'),
    ];
    const noTemporaries = [`${path}.${ended}.tmp`, `${stale}.txt`, stale.replace('.tmp', ''), `${path}.tmp`];
    for (const file of [stale, ...ofOthers, ...noTemporaries]) writeFileSync(file, '');
    await (await files.create(path)).abort();
    assert.equal(
      readdirSync(folder)
        .map((name) => join(folder, name))
        .sort(),
      [...ofOthers, ...noTemporaries].sort(),
    );
  }));

test('a place that cannot be written is an error that names it', () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, 'file'), '');
    await refuses(
      () => files.create(join(folder, 'file', 'a')),
      HostError,
      join(folder, 'file', 'a'),
      'a place that can be written',
      'write elsewhere',
    );
    mkdirSync(join(folder, 'a', 'b'), { recursive: true });
    const writer = await files.create(join(folder, 'a'));
    await refuses(() => writer.commit(), HostError, `${join(folder, 'a')}: expected a place that can be written`);
    await writer.abort();
    await refuses(() => files.remove(join(folder, 'a')), HostError, join(folder, 'a'));
    assert.equal(readdirSync(folder), ['a', 'file']);
  }));

test('any bytes of a file can be asked for, in any order', () =>
  withFolder(async (folder) => {
    const bytes = Uint8Array.from({ length: 2 ** 21 }, (_, i) => (i * i) >> 5);
    writeFileSync(join(folder, 'a'), bytes);
    const file = await files.open(join(folder, 'a'));
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    for (let i = 0, offset = 0; i < 300; i++) {
      const length = Math.min(random(i % 20 === 0 ? 2 ** 20 : 2 ** 16), bytes.length - offset);
      assert.ok(Buffer.from(bytes.buffer, offset, length).equals(await file.read(offset, length)), `${length} from ${offset}`);
      offset = i % 3 === 0 ? random(bytes.length) : offset + length; // mostly on from there
    }
    await refuses(() => file.read(bytes.length - 1, 2), HostError, 'expected 2 bytes', 'found 1');
    await file.close();
  }));

test('a file that is written to while it is open is refused; one that is replaced or removed is read as it was', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a');
    const size = 2 ** 20;
    const fresh = async () => {
      writeFileSync(path, new Uint8Array(size).fill(7));
      utimesSync(path, 1_600_000_000, 1_600_000_000);
      return files.open(path);
    };
    const changes: (readonly [problem: string, change: () => void])[] = [
      ['expected the file that was opened, found that it was written to', () => writeFileSync(path, new Uint8Array(size).fill(9))],
      ['expected the file that was opened, found that it was written to', () => appendFileSync(path, 'x')],
      ['the file became shorter', () => writeFileSync(path, '12')],
    ];
    for (const [problem, change] of changes) {
      const file = await fresh();
      assert.equal([...(await file.read(0, 2))], [7, 7]);
      change();
      await refuses(() => file.read(size - 2, 2), HostError, `${path}: expected`, problem, 'while it was read');
      await file.close();
    }
    for (const change of [() => rmSync(path), () => renameSync(join(folder, 'b'), path)]) {
      writeFileSync(join(folder, 'b'), 'other');
      const file = await fresh();
      change();
      assert.equal([...(await file.read(size - 2, 2))], [7, 7]);
      await file.close();
    }
    await refuses(() => files.open(join(folder, 'none')), NotFoundError, 'found none');
  }));

test.run();
