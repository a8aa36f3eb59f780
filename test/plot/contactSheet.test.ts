import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contactSheet } from '../../src/plot/index.ts';

const NASTY = `<img src=x onerror=alert(1)>"'&amp;\u0000\n</title><script>`;

test('what is said in a sheet stays text, wherever it stands', () => {
  const picture = { name: NASTY, note: NASTY, href: NASTY, source: NASTY };
  const html = contactSheet({
    title: NASTY,
    note: NASTY,
    groups: [{ title: NASTY, note: NASTY, query: picture, pictures: [picture], rest: [picture] }],
  });
  const escaped = '&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;amp;\ufffd\ufffd&lt;/title&gt;&lt;script&gt;';
  // title, h1, p; h2, small; two figures with href, src, alt, title, name and note each; a list item with href, name and note
  assert.is(html.split(escaped).length - 1, 3 + 2 + 2 * 6 + 3);
  const tags = Array.from(html.matchAll(/<(\w+)/g), ([, tag]) => tag);
  assert.is(tags.filter((tag) => tag === 'img').length, 2);
  assert.not.ok(tags.includes('script'));
  assert.is(html.split('</title>').length, 2);
});

test('a sheet is one file that runs nothing and fetches nothing', () => {
  const picture = { name: 'a.png', href: './a.png', source: 'data:image/jpeg;base64,AAAA' };
  const html = contactSheet({ title: 'x', groups: [{ title: 'y', pictures: [picture, { name: 'gone.png', href: './gone.png' }] }] });
  assert.match(html, /^<!DOCTYPE html>/);
  assert.match(html, `content="default-src 'none'; img-src data: file: 'self'; style-src 'unsafe-inline'"`);
  assert.not.match(html, /https?:|<script|<link|@import|url\(/);
  assert.match(html, '<a class="tile" href="./a.png"><img src="data:image/jpeg;base64,AAAA" alt="a.png"');
  assert.match(html, '<a class="tile" href="./gone.png">no picture</a>');
  assert.not.match(html, '<details');
});

test.run();
