import { existsSync, readFileSync } from 'node:fs';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type IndexedImage, type IndexModel, writeIndex } from '../../src/cli/indexFile.ts';
import { IndexLock } from '../../src/cli/indexLock.ts';
import { withFolder } from '../helpers.ts';
import { dinov2, readNpy } from './helpers.ts';

const model: IndexModel = { name: 'some/model', pooling: 'both', exifOrientation: true, probe: Float32Array.of(1, 2, 3) };

async function indexOf(folder: string, images: readonly IndexedImage[]): Promise<void> {
  const lock = await IndexLock.take(folder, { signal: new AbortController().signal, onWait() {} });
  await writeIndex(lock, model, images);
  await lock.release();
}

const imageAt = (i: number, name = `${String(i).padStart(5, '0')}.png`): IndexedImage => ({
  name,
  size: 2 ** 40 + i,
  time: 1_700_000_000_000 + i,
  vector: Float32Array.of(i, -i / 3, Math.fround(1e-30 * i)),
});

test('a .npy file has a vector a row, and a .txt file the names', () =>
  withFolder(async (folder) => {
    const images = [imageAt(0, 'more/ü.png'), imageAt(1, 'a.png')];
    await indexOf(folder, images);
    const { code, stdout } = await dinov2(['export', folder, '--output', `${folder}/vectors.npy`, '--json']);
    assert.is(code, 0);
    assert.equal(JSON.parse(stdout), { images: 2, width: 3, files: [`${folder}/vectors.npy`, `${folder}/vectors.txt`] });
    assert.is(readFileSync(`${folder}/vectors.txt`, 'utf8'), 'a.png\nmore/ü.png\n');
    const { dims, data } = readNpy(readFileSync(`${folder}/vectors.npy`));
    assert.equal(dims, [2, 3]);
    assert.equal(
      [...data],
      [imageAt(1), imageAt(0)].flatMap(({ vector }) => [...vector]),
    );
  }));

test('a Parquet file has names, sizes, times and vectors, in groups of rows', () =>
  withFolder(async (folder) => {
    const images = Array.from({ length: 5000 }, (_, i) => imageAt(i));
    await indexOf(folder, images);
    const path = `${folder}/vectors.parquet`;
    assert.is((await dinov2(['export', folder, '--output', path])).code, 0);
    const file = Uint8Array.from(readFileSync(path)).buffer;
    const metadata = parquetMetadata(file);
    assert.equal(
      metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
      [4096, 904],
    );
    const [pair] = metadata.key_value_metadata ?? [];
    assert.is(pair?.key, 'dinov2_index');
    assert.equal(JSON.parse(pair?.value as string), { model: 'some/model', pooling: 'both', exifOrientation: true, width: 3 });
    const rows = await parquetReadObjects({ file });
    assert.equal(
      rows.map(({ name, size, time, vector }) => ({ name, size, time: (time as Date).getTime(), vector })),
      images.map(({ name, size, time, vector }) => ({ name, size: BigInt(size), time, vector: [...vector] })),
    );
  }));

test('an empty index, and what cannot be', () =>
  withFolder(async (folder) => {
    const path = (name: string): string => `${folder}/${name}`;
    await indexOf(folder, []);
    for (const name of ['none.npy', 'none.parquet']) assert.is((await dinov2(['export', folder, '--output', path(name)])).code, 0);
    assert.equal(await parquetReadObjects({ file: Uint8Array.from(readFileSync(path('none.parquet'))).buffer }), []);
    await indexOf(folder, [imageAt(1, 'two\nlines.png')]);
    assert.match((await dinov2(['export', folder, '--output', path('x.npy')])).stderr, 'more than one line: "two\\nlines.png"');
    assert.not.ok(existsSync(path('x.npy')));
    assert.is((await dinov2(['export', folder, '--output', path('x.parquet')])).code, 0);
    assert.is((await dinov2(['export', folder, '--output', path('x.csv')])).code, 2);
    assert.is((await dinov2(['export', folder])).code, 2);
  }));

test.run();
