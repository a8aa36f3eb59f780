import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { INDEX_FILE, type IndexModel, Journal, readIndex, writeIndex } from '../../src/cli/indexFile.ts';
import { IndexLock } from '../../src/cli/indexLock.ts';
import { delay } from '../../src/hosts/delay.ts';
import { withFolder } from '../helpers.ts';
import { dinov2, withWorkplace } from './helpers.ts';

const lockFile = (folder: string): string => join(folder, `${INDEX_FILE}.lock`);
const model: IndexModel = { name: 'none', pooling: 'cls', exifOrientation: false, probe: Float32Array.of(1, 2) };
const take = (folder: string, signal = new AbortController().signal): Promise<IndexLock> => IndexLock.take(folder, { signal, onWait() {} });

/** What the lock of a process says that was killed. */
async function deadLock(folder: string): Promise<string> {
  const lock = await take(folder);
  const content = JSON.parse(readFileSync(lockFile(folder), 'utf8'));
  await lock.release();
  return JSON.stringify({ ...content, pid: spawnSync(process.execPath, ['--version']).pid });
}

test('two runs of dinov2 index at once: the second waits, embeds nothing, and nothing is lost', () =>
  withWorkplace(async ({ folder, model: source, picture }) => {
    for (const name of ['a.png', 'b.png', 'c.png']) picture(name);
    const run = () => dinov2(['index', folder, '--model', source, '--threads', '1', '--json']);
    const outcomes = await Promise.all([run(), run()]);
    assert.equal(
      outcomes.map(({ code }) => code),
      [0, 0],
    );
    assert.equal(outcomes.map(({ stdout }) => JSON.parse(stdout).added).sort(), [0, 3]);
    assert.equal(outcomes.filter(({ stderr }) => stderr.includes(`process ${process.pid} is changing the index of ${folder}`)).length, 1);
    assert.equal(Array.from((await readIndex(folder))?.images.keys() ?? []), ['a.png', 'b.png', 'c.png']);
    assert.equal(
      readdirSync(folder).filter((name) => name.startsWith(INDEX_FILE)),
      [INDEX_FILE],
    );
  }));

test('one at a time has the lock, also where that of a killed process is taken over', () =>
  withFolder(async (folder) => {
    for (const content of [undefined, await deadLock(folder)]) {
      if (content) writeFileSync(lockFile(folder), content);
      let [now, most] = [0, 0];
      const work = async (): Promise<void> => {
        const lock = await take(folder);
        now += 1;
        most = Math.max(most, now);
        await delay(5);
        await lock.check();
        now -= 1;
        await lock.release();
      };
      await Promise.all(Array.from({ length: 6 }, work));
      assert.is(most, 1);
      assert.equal(readdirSync(folder), []);
    }
  }));

test('a lock of this process that could not be removed is taken over, and one that it has is waited for', () =>
  withFolder(async (folder) => {
    const first = await take(folder);
    const content = readFileSync(lockFile(folder), 'utf8');
    const second = take(folder);
    await delay(300);
    assert.is(readFileSync(lockFile(folder), 'utf8'), content);
    await first.release();
    await (await second).release();
    writeFileSync(lockFile(folder), content);
    await (await take(folder)).release();
    assert.equal(readdirSync(folder), []);
  }));

test('a lock that was not written to its end, or shows no sign of life for long, is taken over; others are waited for', () =>
  withFolder(async (folder) => {
    const foreign = JSON.stringify({ pid: 1, place: `not ${hostname()}`, token: 'x' });
    const put = (content: string, seconds: number): void => {
      writeFileSync(lockFile(folder), content);
      utimesSync(lockFile(folder), Date.now() / 1000 - seconds, Date.now() / 1000 - seconds);
    };
    for (const [content, seconds] of [
      ['', 11],
      ['{"pid":', 11],
      [foreign, 601],
    ] as const) {
      put(content, seconds);
      await (await take(folder)).release();
    }
    for (const content of ['', foreign]) {
      put(content, 1);
      const work = new AbortController();
      const waiting = take(folder, work.signal);
      setTimeout(() => work.abort(new Error('enough')), 50);
      await waiting.then(
        () => assert.unreachable(),
        ({ message }) => assert.is(message, 'enough'),
      );
      assert.is(readFileSync(lockFile(folder), 'utf8'), content);
    }
  }));

test('who has lost the lock writes no index', () =>
  withFolder(async (folder) => {
    const lock = await take(folder);
    rmSync(lockFile(folder));
    const other = await take(folder);
    await writeIndex(lock, model, []).then(
      () => assert.unreachable(),
      ({ message }) => assert.match(message, 'another process is, too'),
    );
    await lock.release();
    await writeIndex(other, model, []);
    await other.release();
    assert.equal(readdirSync(folder), [INDEX_FILE]);
  }));

test('a journal of many pieces is read whole', () =>
  withFolder(async (folder) => {
    const wide = { ...model, probe: Float32Array.from({ length: 300_000 }, (_, i) => i % 251) };
    const images = [1, 2, 3, 4, 5].map((i) => ({ name: `${i}.png`, size: i, time: -i, vector: wide.probe.map((x) => x * i) }));
    const lock = await take(folder);
    const journal = await Journal.open(lock, wide);
    for (const image of images) await journal.add(image);
    await journal.close();
    await lock.release();
    const index = await readIndex(folder);
    assert.equal(index?.model, wide);
    assert.ok(index?.isPending);
    assert.equal([...(index?.images.values() ?? [])], images);
  }));

test.run();
