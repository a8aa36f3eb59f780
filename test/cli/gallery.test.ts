import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hrefOf } from '../../src/cli/gallery.ts';
import { INDEX_FILE } from '../../src/cli/indexFile.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { dinov2, type Workplace, withWorkplace } from './helpers.ts';

const NAMES = ['plain.png', 'a b%20#?&"\'<b>.png', 'javascript:alert(1).png', 'déjà vu 猫.png'];

/** An index of four pictures and a copy of the first, and those of names that want to be escaped. */
async function indexed({ picture, path, model }: Workplace): Promise<string> {
  const folder = path('photos');
  mkdirSync(folder);
  for (const [i, name] of NAMES.entries()) renameSync(picture(`photos/${i}`, { width: 400, height: 300 }), join(folder, name));
  writeFileSync(join(folder, 'copy.png'), readFileSync(join(folder, 'plain.png')));
  assert.is((await dinov2(['index', folder, '--model', model, '--threads', '1'])).code, 0);
  return folder;
}

const unescaped = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[name] as string);

const all = (html: string, pattern: RegExp): string[] => Array.from(html.matchAll(pattern), ([, found]) => unescaped(found as string));

/** The files that a page links, as a browser would find them. */
const linked = (page: string): string[] =>
  all(readFileSync(page, 'utf8'), /href="([^"]*)"/g).map((href) => fileURLToPath(new URL(href, pathToFileURL(page))));

test('search, duplicates and clusters write contact sheets that hold small pictures and link the large ones, whatever their names', () =>
  withWorkplace(async (place) => {
    const folder = await indexed(place);
    const page = place.path('sheets/page.html');
    const query = join(folder, 'plain.png');
    const search = await dinov2(['search', query, '--index', folder, '--model', place.model, '--threads', '1', '--html', page]);
    assert.equal([search.code, search.stdout], [0, ''], search.stderr);
    assert.match(search.stderr, `written to ${page}`);
    const files = [...NAMES, 'copy.png'].map((name) => join(folder, name));
    assert.equal(linked(page).sort(), [query, ...files].sort());
    const html = readFileSync(page, 'utf8');
    assert.equal(all(html, /<bdi title="([^"]*)"/g).sort(), ['plain.png', ...NAMES, 'copy.png'].sort());
    const pictures = all(html, /<img src="data:image\/jpeg;base64,([^"]*)"/g);
    assert.is(pictures.length, 6);
    for (const picture of pictures) {
      const { width, height } = await decodeImage(Buffer.from(picture, 'base64'));
      assert.equal([width, height], [320, 240]);
    }
    assert.is((await dinov2(['duplicates', folder, '--threshold', '0.999999', '--html', page])).code, 0);
    assert.equal(linked(page).sort(), [join(folder, 'copy.png'), query].sort());
    const clusters = await dinov2(['clusters', folder, '--count', '2', '--html', page, '--json']);
    assert.equal(linked(page).sort(), files.sort());
    const found: { clusters: { images: { image: string; score: number }[] }[] } = JSON.parse(clusters.stdout);
    assert.is(found.clusters.length, 2);
    assert.equal(found.clusters.flatMap(({ images }) => images.map(({ image }) => image)).sort(), files.sort());
    assert.is((await dinov2(['clusters', folder, '--html', 'page.txt'])).code, 2);
  }));

test('clusters as text; an image that is gone is told of and named in the sheet', () =>
  withWorkplace(async (place) => {
    const folder = await indexed(place);
    const { stdout } = await dinov2(['clusters', folder, '--count', '1']);
    assert.match(stdout, /^cluster 1: 5 images\n {2}\S+ {2}/);
    assert.is(stdout.trimEnd().split('\n').length, 6);
    assert.match((await dinov2(['clusters', folder, '--count', '6'])).stderr, 'count: expected an integer from 1 to 5');
    rmSync(join(folder, 'plain.png'));
    const page = place.path('page.html');
    const { code, stderr } = await dinov2(['clusters', folder, '--count', '1', '--html', page]);
    assert.is(code, 1);
    assert.match(stderr, 'plain.png: expected');
    assert.match(readFileSync(page, 'utf8'), 'href="./photos/plain.png">no picture');
    rmSync(join(folder, INDEX_FILE));
    assert.match((await dinov2(['clusters', folder])).stderr, 'make it with: dinov2 index');
  }));

test('links go from the page to the file, and are no protocols', () => {
  const page = join('some', 'page.html');
  for (const name of ['javascript:x', 'http:', '..a', 'a/b c', '%2e%2e', '#', '?', '~']) {
    const file = join('some', name);
    const href = hrefOf(page, file);
    assert.match(href, /^\.{1,2}\//);
    assert.is(fileURLToPath(new URL(href, pathToFileURL(resolve(dirname(page), 'page.html')))), resolve(file));
  }
  assert.is(hrefOf(page, join('other', 'x.png')), '../other/x.png');
});

test.run();
