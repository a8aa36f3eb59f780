import { readdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type IndexedImage, type IndexModel, indexPath, Journal, readIndex, vectorsOf, writeIndex } from '../../src/cli/indexFile.ts';
import { IndexLock } from '../../src/cli/indexLock.ts';
import { CheckpointError } from '../../src/errors.ts';
import { crc32 } from '../../src/files/crc32.ts';
import { bytes, float32, integer } from '../checkpoint/torchFiles.ts';
import { refuses, withFolder } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';

const journalPath = (folder: string): string => `${indexPath(folder)}.journal`;
const probe = Float32Array.of(1, 2, 3, 4);
const model: IndexModel = { name: 'tiny', pooling: 'cls', exifOrientation: false, probe };
const image: IndexedImage = { name: 'a.png', size: 5, time: 7, vector: Float32Array.of(5, 6, 7, 8) };

/** A record of a journal whose checksum holds. */
function record(json: string, vector: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(json);
  const content = bytes(text, vector);
  return bytes(integer(text.length, 4), integer(vector.length, 4), integer(crc32(content), 4), content);
}

const HEAD = record(JSON.stringify({ dinov2_index: '1', name: 'tiny', pooling: 'cls', exifOrientation: false }), float32(...probe));

/** Images by their names, with features of the width of the model and any bits, and numbers of any file. */
const contents = fc.integer({ min: 1, max: 9 }).chain((width) => {
  const vector = fc.float32Array({ minLength: width, maxLength: width });
  const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('\0'));
  const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  return fc.record({
    model: fc.record(
      {
        name: fc.string(),
        pooling: fc.constantFrom('cls' as const, 'mean' as const, 'both' as const),
        exifOrientation: fc.boolean(),
        probe: fc.float32Array({ minLength: width, maxLength: width, noNaN: true, min: 1, max: 9 }),
      },
      { noNullPrototype: true },
    ),
    images: fc.uniqueArray(fc.record({ name, size: whole, time: whole, vector }), { selector: ({ name }) => name, maxLength: 5 }),
  });
});

/** Calls `change` with the right to change the index of a folder. */
async function locked(folder: string, change: (lock: IndexLock) => Promise<void>): Promise<void> {
  const lock = await IndexLock.take(folder, { signal: new AbortController().signal, onWait: () => {} });
  try {
    await change(lock);
  } finally {
    await lock.release();
  }
}

function assertSame(found: Iterable<IndexedImage> | undefined, expected: readonly IndexedImage[]): void {
  const sorted = (all: Iterable<IndexedImage>) => [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = (all: Iterable<IndexedImage>) => sorted(all).map(({ name, size, time }) => ({ name, size, time }));
  assert.equal(files(found ?? []), files(expected));
  for (const [i, { vector }] of sorted(found ?? []).entries()) assertSameBits(vector, sorted(expected)[i]?.vector as Float32Array);
}

test('what is written is read, from the file and from the journal', () =>
  withFolder(async (folder) => {
    await fc.assert(
      fc.asyncProperty(contents, ({ model, images }) =>
        locked(folder, async (lock) => {
          await writeIndex(lock, model, []);
          const journal = await Journal.open(lock, model);
          for (const one of images) await journal.add(one);
          await journal.close();
          const pending = await readIndex(folder);
          assertSame(pending?.images.values(), images);
          assert.is(pending?.isPending, true);
          await writeIndex(lock, model, images);
          const whole = await readIndex(folder);
          assertSame(whole?.images.values(), images);
          assert.equal([whole?.isPending, whole?.model], [false, model]);
        }),
      ),
      { seed: 1, numRuns: 40 },
    );
    assert.is(readdirSync(folder).length, 1);
  }));

test('features from the file are one tensor without a copy, those of a journal among them with one', () =>
  withFolder((folder) =>
    locked(folder, async (lock) => {
      const images = Array.from({ length: 9 }, (_, i) => ({ ...image, name: `${i}.png`, vector: Float32Array.of(i, 2, 3, 4) }));
      const rows = (of: readonly IndexedImage[]): number[] => Array.from(vectorsOf(of, 4).data);
      await writeIndex(lock, model, images);
      const whole = [...((await readIndex(folder))?.images.values() ?? [])];
      for (const [from, to] of [
        [0, 9],
        [2, 5],
        [8, 9],
      ] as const) {
        const part = whole.slice(from, to);
        const { data, dims } = vectorsOf(part, 4);
        assert.equal(dims, [to - from, 4]);
        assert.is(data.buffer, whole[0]?.vector.buffer);
        assert.equal(
          Array.from(data),
          images.slice(from, to).flatMap(({ vector }) => [...vector]),
        );
      }
      const [a, b, c] = whole as [IndexedImage, IndexedImage, IndexedImage];
      assert.equal(rows([b, a, c]), [1, 2, 3, 4, 0, 2, 3, 4, 2, 2, 3, 4]);
      assert.equal(rows([a, c]), [0, 2, 3, 4, 2, 2, 3, 4]);
      assert.equal(rows([]), []);
      const journal = await Journal.open(lock, model);
      await journal.add({ ...image, name: '1.png' });
      await journal.close();
      const pending = [...((await readIndex(folder))?.images.values() ?? [])].slice(0, 3);
      assert.equal(rows(pending), [0, 2, 3, 4, 5, 6, 7, 8, 2, 2, 3, 4]);
    }),
  ));

test('a record whose feature is no row of numbers is passed over, as one that was cut off', () =>
  withFolder(async (folder) => {
    writeFileSync(journalPath(folder), bytes(HEAD, record(JSON.stringify({ name: 'a', size: 1, time: 1 }), new Uint8Array(7))));
    assertSame((await readIndex(folder))?.images.values(), []);
  }));

for (const [what, json, vector, problem] of [
  ['a feature of another width', JSON.stringify({ name: 'a', size: 1, time: 1 }), float32(1), 'its journal is of another kind'],
  ['a name that is none', JSON.stringify({ name: {}, size: 1, time: 1 }), float32(...probe), 'its journal is of another kind'],
  ['a size that is none', JSON.stringify({ name: 'a', size: [1], time: 1 }), float32(...probe), 'its journal is of another kind'],
  ['no time', JSON.stringify({ name: 'a', size: 1 }), float32(...probe), 'its journal is of another kind'],
  ['no fields', 'null', float32(...probe), 'its journal is of another kind'],
] as const) {
  test(`a journal with ${what} is refused by name, and begun anew with --rebuild`, () =>
    withFolder(async (folder) => {
      writeFileSync(journalPath(folder), bytes(HEAD, record(json, vector)));
      await refuses(() => readIndex(folder), CheckpointError, problem, '--rebuild');
      await locked(folder, async (lock) => {
        const journal = await Journal.open(lock, model);
        await journal.add(image);
        await journal.close();
      });
      assertSame((await readIndex(folder))?.images.values(), [image]);
    }));
}

test.run();
