import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findImages } from '../../src/cli/images.ts';
import { withFolder } from '../helpers.ts';

/** A folder with files of these names. */
async function withFiles(names: string[], body: (at: (name: string) => string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    for (const name of names) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), '');
    }
    await body((name) => join(folder, name));
  });
}

test('a folder stands for the images in and below it, by name', async () => {
  await withFiles(['b.png', 'a.JPG', 'notes.txt', 'in/c.jpeg', 'in/deep/d.PNG', 'e.gif'], async (at) => {
    const { images, problems } = await findImages([at('')]);
    assert.equal(images, ['a.JPG', 'b.png', 'in/c.jpeg', 'in/deep/d.PNG'].map(at));
    assert.equal(problems, []);
  });
});

test('a pattern stands for the files it matches, of any kind', async () => {
  await withFiles(['b.png', 'a.png', 'c.jpg', 'in/d.png'], async (at) => {
    assert.equal((await findImages([at('*.png')])).images, ['a.png', 'b.png'].map(at));
    assert.equal((await findImages([at('**/*.{png,jpg}')])).images, ['a.png', 'b.png', 'c.jpg', 'in/d.png'].map(at));
  });
});

test('files keep the order of the arguments, each once', async () => {
  await withFiles(['a.png', 'b.png'], async (at) => {
    assert.equal((await findImages([at('b.png'), at('*.png'), at('b.png')])).images, ['b.png', 'a.png'].map(at));
  });
});

test('a file whose name looks like a pattern is a file', async () => {
  await withFiles(['[a].png', 'a.png'], async (at) => {
    assert.equal((await findImages([at('[a].png')])).images, [at('[a].png')]);
  });
});

test('what is not there is left for the reader to report', async () => {
  await withFiles([], async (at) => {
    assert.equal(await findImages([at('nope.png')]), { images: [at('nope.png')], problems: [] });
  });
});

test('folders and patterns without images are problems, and the rest is found', async () => {
  await withFiles(['in/notes.txt', 'a.png'], async (at) => {
    const { images, problems } = await findImages([at('in'), at('*.jpg'), at('a.png')]);
    assert.equal(images, [at('a.png')]);
    assert.equal(
      problems.map(({ message }) => message),
      [
        `${at('in')}: expected PNG or JPEG files in this folder, found none`,
        `${at('*.jpg')}: expected files that match this pattern, found none`,
      ],
    );
  });
});

test.run();
