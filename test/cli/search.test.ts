import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { INDEX_FILE, readIndex } from '../../src/cli/indexFile.ts';
import { Dinov2Model } from '../../src/index.ts';
import { dinov2, type Workplace, withWorkplace } from './helpers.ts';

/** A folder with six pictures. */
function photos({ picture, path }: Workplace): string {
  mkdirSync(path('photos/more'), { recursive: true });
  for (const name of ['a.png', 'b.png', 'c.png', 'd.png', 'more/e.png', 'more/f.png']) picture(`photos/${name}`);
  return path('photos');
}

const index = (folder: string, model: string, ...rest: string[]) => dinov2(['index', folder, '--model', model, '--threads', '1', ...rest]);

test('index, search and duplicates: an image finds itself first, and its copy', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    writeFileSync(join(folder, 'copy.png'), readFileSync(join(folder, 'c.png')));
    const { code, stdout } = await index(folder, place.model);
    assert.is(code, 0);
    assert.match(stdout, '7 images in the index: 7 embedded, 0 removed or replaced, 0 failed');
    const query = join(folder, 'c.png');
    const found = await dinov2(['search', query, '--index', folder, '--model', place.model, '--top', '3', '--json']);
    assert.is(found.code, 0, found.stderr);
    const [{ image, neighbors }] = JSON.parse(found.stdout);
    assert.is(image, query);
    assert.is(neighbors.length, 3);
    assert.equal(
      neighbors
        .slice(0, 2)
        .map((one: { image: string }) => one.image)
        .sort(),
      [query, join(folder, 'copy.png')],
    );
    assert.ok(neighbors[0].score > 0.999999 && neighbors[2].score < neighbors[1].score);
    const groups = await dinov2(['duplicates', folder, '--threshold', '0.999999', '--json']);
    assert.equal(JSON.parse(groups.stdout), [[query, join(folder, 'copy.png')]]);
  }));

test('an image that is removed after the folder was listed is named, and the others are in the index', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    const { stat } = files;
    files.stat = (async (path: string) => {
      if (path.endsWith('c.png')) rmSync(path, { force: true });
      return stat(path);
    }) as typeof stat;
    syncBuiltinESMExports();
    const { code, stdout, stderr } = await index(folder, place.model).finally(() => {
      files.stat = stat;
      syncBuiltinESMExports();
    });
    assert.is(code, 1);
    assert.match(stdout, '5 images in the index: 5 embedded, 0 removed or replaced, 1 failed');
    assert.match(stderr, /^dinov2: \S*c\.png: expected the image that the folder had, found none/m);
    assert.match((await index(folder, place.model)).stdout, '5 images in the index: 0 embedded, 0 removed or replaced, 0 failed');
  }));

test('an index is brought up to date: new, changed and removed files, and nothing else is embedded', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    await index(folder, place.model);
    const before = readFileSync(join(folder, INDEX_FILE));
    assert.match((await index(folder, place.model)).stdout, '6 images in the index: 0 embedded, 0 removed');
    assert.equal(readFileSync(join(folder, INDEX_FILE)), before);
    rmSync(join(folder, 'a.png'));
    place.picture('photos/b.png', { width: 20, height: 14 });
    utimesSync(join(folder, 'd.png'), 1, 1);
    place.picture('photos/new.png');
    assert.match((await index(folder, place.model)).stdout, '6 images in the index: 3 embedded, 1 removed');
    const updated = readFileSync(join(folder, INDEX_FILE));
    await index(folder, place.model, '--rebuild');
    assert.equal(readFileSync(join(folder, INDEX_FILE)), updated, 'as if made at once');
  }));

test('interrupted at any file, the next run goes on where it stopped and gives the same bytes', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    await index(folder, place.model);
    const expected = readFileSync(join(folder, INDEX_FILE));
    for (const bytes of [200, 450]) {
      rmSync(join(folder, INDEX_FILE));
      const work = new AbortController();
      const { signal } = work;
      const check = signal.throwIfAborted;
      signal.throwIfAborted = () => {
        if ((statSync(join(folder, `${INDEX_FILE}.journal`), { throwIfNoEntry: false })?.size ?? 0) >= bytes) work.abort();
        check.call(signal);
      };
      const { code, stderr } = await dinov2(['index', folder, '--model', place.model, '--threads', '1'], { signal });
      assert.is(code, 1);
      assert.match(stderr, 'interrupted');
      const kept = (await readIndex(folder))?.images.size as number;
      assert.ok(kept > 0 && kept < 6, `${kept}`);
      const { stdout } = await index(folder, place.model, '--json');
      assert.is(JSON.parse(stdout).added, 6 - kept, 'nothing is embedded again');
      assert.equal(readFileSync(join(folder, INDEX_FILE)), expected);
      assert.equal(
        readdirSync(folder).filter((name) => name.includes('journal')),
        [],
      );
    }
  }));

test('a journal that was cut off anywhere loses its last record alone, and is gone on with', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    await index(folder, place.model);
    const expected = readFileSync(join(folder, INDEX_FILE));
    rmSync(join(folder, INDEX_FILE));
    const journal = join(folder, `${INDEX_FILE}.journal`);
    // a run that is killed when it writes its index: that file cannot be made
    mkdirSync(join(folder, INDEX_FILE));
    assert.is((await index(folder, place.model)).code, 1);
    rmSync(join(folder, INDEX_FILE), { recursive: true });
    assert.is((await readIndex(folder))?.images.size, 6);
    const whole = readFileSync(journal);
    for (const cut of [1, 20, 60]) {
      writeFileSync(journal, whole);
      truncateSync(journal, whole.length - cut);
      assert.is((await readIndex(folder))?.images.size, 5);
    }
    appendFileSync(journal, 'rubbish');
    assert.is(JSON.parse((await index(folder, place.model, '--json')).stdout).added, 1);
    assert.equal(readFileSync(join(folder, INDEX_FILE)), expected);
    assert.is(
      readdirSync(folder).some((name) => /journal|tmp/.test(name)),
      false,
    );
  }));

test('unreadable files are listed at the end, and tried again', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    writeFileSync(join(folder, 'bad.jpg'), 'no picture');
    for (let run = 0; run < 2; run++) {
      const { code, stdout, stderr } = await index(folder, place.model);
      assert.is(code, 1);
      assert.match(stdout, '6 images in the index');
      assert.match(stdout, '1 failed');
      assert.match(stderr.trimEnd().split('\n').at(-1) as string, /bad\.jpg: .*expected/);
    }
  }));

test('the index of another model, or a damaged one, is refused with the way to build it anew', () =>
  withWorkplace(async (place) => {
    const folder = photos(place);
    await index(folder, place.model);
    const other = place.path('other');
    const random = new Dinov2Model(
      { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, image_size: 12, patch_size: 4, initializer_range: 0.5 },
      { seed: 5 },
    );
    await random.save_pretrained(other);
    random.dispose();
    writeFileSync(join(other, 'preprocessor_config.json'), readFileSync(join(place.model, 'preprocessor_config.json')));
    const before = readFileSync(join(folder, INDEX_FILE));
    for (const args of [
      ['index', folder],
      ['search', join(folder, 'a.png'), '--index', folder],
    ]) {
      const { code, stderr } = await dinov2([...args, '--model', other]);
      assert.is(code, 1);
      assert.match(stderr, /found another, .*--rebuild/);
    }
    assert.equal(readFileSync(join(folder, INDEX_FILE)), before);
    writeFileSync(join(folder, INDEX_FILE), before.subarray(0, before.length - 9));
    const damaged = await index(folder, place.model);
    assert.is(damaged.code, 1);
    assert.match(damaged.stderr, /truncated.*--rebuild/);
    assert.is((await index(folder, place.model, '--rebuild')).code, 0);
    assert.equal(readFileSync(join(folder, INDEX_FILE)), before);
    renameSync(join(folder, INDEX_FILE), place.path('elsewhere'));
    const none = await dinov2(['search', join(folder, 'a.png'), '--index', folder, '--model', place.model]);
    assert.match(none.stderr, /make it with: dinov2 index/);
  }));

test.run();
