import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HostError, NotFoundError } from '../../src/errors.ts';
import { StreamedFile } from '../../src/files/stream.ts';
import { refuses } from '../helpers.ts';

const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i);

/** A server's answer in pieces of 7 bytes. */
function answer(bytes = BYTES, { length = String(BYTES.length), status = 200 }: { length?: string; status?: number } = {}): Response {
  let at = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, at + 7));
      at += 7;
    },
  });
  return new Response(body, { status, headers: length ? { 'content-length': length } : {} });
}

test('what is read in order is requested once, what lies before it again', async () => {
  let requests = 0;
  const file = await StreamedFile.open('a', () => {
    requests += 1;
    return answer();
  });
  assert.is(file.size, 100);
  for (const [offset, length, expected] of [
    [0, 8, 1],
    [8, 0, 1],
    [8, 20, 1],
    [50, 50, 1],
    [3, 30, 2],
    [33, 1, 2],
    [0, 100, 3],
  ] as const) {
    assert.equal([...(await file.read(offset, length))], [...BYTES.slice(offset, offset + length)]);
    assert.is(requests, expected, `${length} bytes at ${offset}`);
  }
  await file.close();
});

test('where no length is told, the file is requested once more', async () => {
  let requests = 0;
  const file = await StreamedFile.open('a', () => {
    requests += 1;
    return answer(BYTES, { length: '' });
  });
  assert.is(file.size, 100);
  assert.equal([...(await file.read(0, 100))], [...BYTES]);
  assert.is(requests, 2);
});

test('a status and an early end are refused by name', async () => {
  await refuses(() => StreamedFile.open('a', () => answer(BYTES, { status: 404 })), NotFoundError, 'a:', '404');
  const short = await StreamedFile.open('a', () => answer(BYTES.subarray(0, 60)));
  await refuses(() => short.read(10, 80), HostError, 'a:', 'expected 90 bytes', 'found 60');
});

test.run();
