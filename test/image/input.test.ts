import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { ArgumentError, HostError, ImageError, LimitError, NotFoundError } from '../../src/errors.ts';
import { type FileInput, readBytes } from '../../src/image/input.ts';
import { refuses, withFolder } from '../helpers.ts';

const BYTES = new Uint8Array(randomBytes(1000));

async function withServer(answer: RequestListener, body: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('bytes come from wherever they are, with a name for messages', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a b.bin');
    writeFileSync(path, BYTES);
    const named: [FileInput, string][] = [
      [BYTES, 'bytes'],
      [BYTES.buffer, 'bytes'],
      [new Blob([BYTES]), 'blob'],
      [new File([BYTES], 'mine.png'), 'mine.png'],
      [path, path],
      [pathToFileURL(path), path],
      [pathToFileURL(path).href.replace('file:', 'FILE:'), path],
    ];
    for (const [input, source] of named) assert.equal(await readBytes(input), { bytes: BYTES, source }, source);
    assert.is((await readBytes(BYTES)).bytes, BYTES, 'as they are');
  }));

test('long URLs are shortened in messages to 80 letters, others not', async () => {
  const text = (length: number): string => 'data:,'.padEnd(length, 'x');
  assert.is((await readBytes(text(80))).source, text(80));
  assert.is((await readBytes(text(81))).source, `${text(77)}...`);
  assert.is((await readBytes(text(81))).bytes.length, 75);
});

test('no more is taken than limits.imageBytes, from wherever', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a.bin');
    writeFileSync(path, BYTES);
    const body: RequestListener = ({ url }, response) => {
      if (url === '/known') response.setHeader('content-length', 1000);
      response.write(BYTES.subarray(0, 600), () => setTimeout(() => response.end(BYTES.subarray(600)), 20)); // in two pieces
    };
    await withServer(body, async (url) => {
      for (const input of [new Blob([BYTES]), path, `${url}/known`, `${url}/unknown`]) {
        assert.equal((await readBytes(input, { limits: { imageBytes: 1000 } })).bytes, BYTES);
        await refuses(() => readBytes(input, { limits: { imageBytes: 999 } }), LimitError, 'of at most 999 bytes', 'found 1000');
      }
    });
  }));

test('of an answer that is compressed on its way the bytes count that come out', () =>
  withServer(
    (_, response) => {
      const compressed = gzipSync(BYTES); // random bytes become more
      assert.ok(compressed.length > 1000);
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': compressed.length }).end(compressed);
    },
    async (url) => assert.equal((await readBytes(url, { limits: { imageBytes: 1000 } })).bytes, BYTES),
  ));

test('an answer that is none, or breaks off, or comes late is refused with the URL', () =>
  withServer(
    (request, response) => {
      if (request.url === '/late') return;
      if (request.url === '/none') response.destroy();
      else if (request.url === '/half')
        response.writeHead(200, { 'content-length': 1000 }).write(BYTES.subarray(0, 500), () => response.destroy());
      else response.writeHead(Number(request.url?.slice(1))).end();
    },
    async (url) => {
      for (const status of [404, 410, 500]) {
        await refuses(
          () => readBytes(`${url}/${status}`),
          NotFoundError,
          `${url}/${status}: expected an image, found HTTP status ${status}`,
        );
      }
      await refuses(() => readBytes(`${url}/none`), NotFoundError, `${url}/none: expected an image, found no answer`, 'CORS');
      await refuses(() => readBytes(`${url}/half`), NotFoundError, `${url}/half: expected a whole image, found that the answer broke off`);
      const late = `${url}/late: expected to be done within 0.05 s`;
      await refuses(() => readBytes(`${url}/late`, { limits: { seconds: 0.05 } }), LimitError, late);
      const work = new AbortController();
      setTimeout(() => work.abort(new RangeError('enough')), 50);
      await refuses(() => readBytes(`${url}/late`, { signal: work.signal }), RangeError, 'enough');
      await refuses(() => readBytes(url, { signal: 'x' as never }), ArgumentError, 'signal');
    },
  ));

test('folders, what is no source, and paths on a host without files are refused', async () => {
  await withFolder((folder) => refuses(() => readBytes(folder), ImageError, `${folder}: expected a PNG or JPEG file, found a folder`));
  for (const [input, found] of [
    [null, 'Null'],
    [7, 'Number'],
    [{}, 'Object'],
  ] as const) {
    await refuses(() => readBytes(input as never), ArgumentError, `image: expected a path, URL, Blob, bytes`, `found ${found}`);
  }
  const { files } = host;
  Object.assign(host, { files: undefined });
  try {
    await refuses(() => readBytes('a.png'), HostError, 'expected a host with files for a.png', 'Blob');
    assert.is((await readBytes('data:,x')).bytes.length, 1);
  } finally {
    Object.assign(host, { files });
  }
});

test.run();
