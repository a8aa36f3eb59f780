import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { transformSync } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { ArgumentError, DisposedError, ImageError, LimitError, NotFoundError, ThreadError } from '../../src/errors.ts';
import { decodeOf } from '../../src/image/decoder.ts';
import { DPTImageProcessor } from '../../src/image/dptProcessor.ts';
import { PixelGate } from '../../src/image/pixelGate.ts';
import { BitImageProcessor } from '../../src/image/processor.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { ImageReader, type ImageReaderOptions } from '../../src/image/reader.ts';
import { golden, goldenPath, refuses, withFolder } from '../helpers.ts';
import { countOsThreads } from '../runtime/helpers.ts';

const PHOTOS = goldenPath('image/images');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function withReader(options: ImageReaderOptions, body: (reader: ImageReader) => Promise<void>): Promise<void> {
  const reader = new ImageReader(options);
  try {
    await body(reader);
  } finally {
    await reader.dispose();
  }
}

/** A reader with a decoder whose source is given. */
async function withDecoder(source: string, body: (reader: ImageReader, file: (name: string, text: string) => string) => Promise<void>) {
  await withFolder(async (folder) => {
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const module = pathToFileURL(file('decoder.mjs', source)).href;
    const decode = decodeOf(await import(module), module);
    await withReader({ threads: 1, decoder: { module, decode } }, (reader) => body(reader, file));
  });
}

/** Files of two numbers: the width of a picture of one row, and what all its bytes are. */
const NUMBERS = `
  const text = new TextDecoder().decode(bytes);
  const [width, byte] = text.split(' ').map(Number);
  const picture = { data: new Uint8Array(3 * width).fill(byte), width, height: 1, channels: 3 };`;

test('pictures and what processors make of them are those of the same call in line, to the bit', () =>
  withReader({ threads: 2, exifOrientation: true }, async (reader) => {
    const processors = [new BitImageProcessor({ size: 40, crop_size: 32 }), new DPTImageProcessor({ size: 42, ensure_multiple_of: 14 })];
    const names = readdirSync(PHOTOS).filter((name) => /\.(png|jpg)$/.test(name));
    assert.ok(names.length > 5);
    const asked = names.map((name) => join(PHOTOS, name)).map((path) => ({ path, read: reader.read(path) }));
    for (const { path, read } of asked) assert.equal(await read, await RawImage.read(path, { exifOrientation: true }), path);
    for (const processor of processors) {
      const outputs = names.map((name) => reader.process(processor as BitImageProcessor, join(PHOTOS, name)));
      for (const [i, output] of outputs.entries()) {
        assert.equal(await output, await processor(join(PHOTOS, names[i] as string), { exifOrientation: true }), names[i]);
      }
    }
    assert.ok(reader.seconds.decoding > 0);
  }));

test('it tells how long it read and decoded, in line too', async () => {
  for (const threads of [0, 1]) {
    await withReader({ threads }, async (reader) => {
      const start = performance.now();
      for (let i = 0; i < 8; i++) {
        const before = { ...reader.seconds };
        await reader.read(join(PHOTOS, 'exif-3.jpg'));
        assert.ok(reader.seconds.decoding > before.decoding && (reader.seconds.reading > before.reading || threads === 0));
      }
      const { reading, decoding } = reader.seconds;
      const all = (performance.now() - start) / 1000;
      assert.ok(decoding > 0 && decoding < all && reading >= 0 && reading < all, `${reading} + ${decoding} of ${all} s`);
      assert.is(reading > 0, threads > 0);
      assert.equal([reader.ahead, reader.wholeAhead], [4 * threads, threads]);
    });
  }
});

test('bytes, part of an array too, blobs and URLs are sent; pixels need no thread', () =>
  withReader({ threads: 1 }, async (reader) => {
    const bytes = golden('image/images/exif-3.jpg');
    const expected = await RawImage.read(bytes);
    const embedded = new Uint8Array(bytes.length + 20);
    embedded.set(bytes, 10);
    const url = pathToFileURL(join(PHOTOS, 'exif-3.jpg'));
    for (const input of [bytes, embedded.subarray(10, 10 + bytes.length), new Blob([bytes]), url, expected]) {
      assert.equal(await reader.read(input), expected);
    }
    assert.is(bytes.length, golden('image/images/exif-3.jpg').length, 'the caller keeps them');
  }));

test('errors are of the same class with the same message', () =>
  withReader({ threads: 1, limits: { pixels: 10 } }, async (reader) => {
    const broken = Uint8Array.of(1, 2, 3);
    for (const [input, kind] of [
      [broken, ImageError],
      [join(PHOTOS, 'exif-3.jpg'), LimitError],
      [join(PHOTOS, 'nope.jpg'), NotFoundError],
    ] as const) {
      const { message } = (await RawImage.read(input, { limits: { pixels: 10 } }).catch((error: Error) => error)) as Error;
      await refuses(() => reader.read(input), kind, message);
    }
    assert.throws(
      () => new ImageReader({ threads: -1 }),
      (error: Error) => error instanceof ArgumentError,
    );
  }));

test('a decoder of one’s own reads in the thread; what it throws is an ImageError', () =>
  withDecoder(
    `import { isMainThread } from 'node:worker_threads';
    export function decode(bytes) {${NUMBERS}
      if (isMainThread) throw new Error('in the main thread');
      if (!(width > 0)) throw new Error('no numbers');
      return picture;
    }`,
    async (reader, file) => {
      assert.equal((await reader.read(file('a.num', '5 7'))).data, new Uint8Array(15).fill(7));
      await refuses(() => reader.read(file('b.num', 'x')), ImageError, 'decoder.mjs', 'no numbers');
    },
  ));

test('a thread that dies costs its picture alone', () =>
  withDecoder(
    `export async function decode(bytes) {${NUMBERS}
      if (byte === 1) process.exit(7);
      if (byte === 2) { setImmediate(() => { throw new Error('out of the blue'); }); await new Promise(() => {}); }
      return picture;
    }`,
    async (reader, file) => {
      const read = (byte: number): Promise<RawImage> => reader.read(file(`${byte}.num`, `4 ${byte}`));
      const [good, exits, other, throws, last] = [3, 1, 4, 2, 5].map(read) as [Promise<RawImage>, ...Promise<RawImage>[]];
      for (const promise of [exits, throws]) promise?.catch(() => {});
      assert.is((await good).data[0], 3);
      await refuses(() => exits, ThreadError, 'code 7');
      assert.is((await other)?.data[0], 4);
      await refuses(() => throws, ThreadError, 'out of the blue');
      assert.is((await last)?.data[0], 5);
    },
  ));

test('a decoder that hangs is ended by the signal, and the next picture is read', () =>
  withDecoder(
    `export function decode(bytes) {${NUMBERS}
      while (byte === 1);
      return picture;
    }`,
    async (reader, file) => {
      const work = new AbortController();
      assert.is((await reader.read(file('a.num', '4 9'))).width, 4);
      const hanging = reader.read(file('b.num', '4 1'), { signal: work.signal });
      const next = reader.read(file('c.num', '6 2'));
      setTimeout(() => work.abort(new Error('enough')), 50);
      await refuses(() => hanging, Error, 'enough');
      assert.is((await next).width, 6);
      await refuses(() => reader.read(file('c.num', '6 2'), { signal: work.signal }), Error, 'enough');
    },
  ));

test('a picture that is given up before its turn is not read', () =>
  withDecoder(
    `let calls = 0;
    export async function decode(bytes) {${NUMBERS}
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return { ...picture, data: picture.data.fill(calls) };
    }`,
    async (reader, file) => {
      const path = file('a.num', '2 0');
      const work = new AbortController();
      const first = reader.read(path);
      const given = reader.read(path, { signal: work.signal });
      const last = reader.read(path);
      work.abort(new Error('enough'));
      await refuses(() => given, Error, 'enough');
      assert.equal([(await first).data[0], (await last).data[0]], [1, 2]);
    },
  ));

test('a picture that is given up while its thread starts does not end the use of threads', () =>
  withReader({ threads: 1 }, async (reader) => {
    const work = new AbortController();
    const given = reader.read(join(PHOTOS, 'exif-3.jpg'), { signal: work.signal });
    work.abort(new Error('enough'));
    await refuses(() => given, Error, 'enough');
    assert.is((await reader.read(join(PHOTOS, 'exif-3.jpg'))).width, 90);
    assert.is(reader.ahead, 4);
  }));

test('disposed of, it refuses what is asked for and what was', async () => {
  const reader = new ImageReader({ threads: 1 });
  const asked = reader.read(join(PHOTOS, 'exif-3.jpg'));
  const over = reader.dispose();
  await refuses(() => asked, DisposedError, 'disposed');
  await refuses(() => reader.read(join(PHOTOS, 'exif-3.jpg')), DisposedError, 'disposed');
  await over;
});

test('when it is disposed of no thread of it runs, whatever they were asked', async () => {
  const before = countOsThreads();
  const reader = new ImageReader({ threads: 2 });
  await reader.read(join(PHOTOS, 'exif-3.jpg'));
  const asked = Array.from({ length: 2 }, () => reader.read(join(PHOTOS, 'exif-3.jpg')).catch(() => {}));
  await reader.dispose();
  assert.is(countOsThreads(), before);
  await Promise.all(asked);
});

test('it keeps no process alive that waits for nothing, and one that waits for a picture', () => {
  const program = `
    import { ImageReader } from './dist/index.js';
    const reader = new ImageReader({ threads: 2 });
    console.log((await reader.read(${JSON.stringify(join(PHOTOS, 'exif-3.jpg'))})).width);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH }, // not what colours the output of tests
  });
  assert.equal([status, stderr], [0, '']);
  assert.match(stdout, /^\d+\n$/);
});

test('where threads cannot be started, pictures are read in line, which is said once', async () => {
  const { helpers } = host;
  const said: string[] = [];
  const { warn } = console;
  console.warn = (text: string) => said.push(text);
  const failure = new Error('no such script');
  const start = () => ({ hasStarted: false, failure, ask: () => Promise.reject(failure), stop: async () => {} });
  Object.assign(host, { helpers: { start, answer: () => {} } });
  try {
    await withReader({ threads: 2 }, async (reader) => {
      const path = join(PHOTOS, 'exif-3.jpg');
      const images = await Promise.all([path, path, path].map((one) => reader.read(one)));
      for (const image of images) assert.equal(image, await RawImage.read(path));
      assert.is(reader.ahead, 0);
    });
  } finally {
    Object.assign(host, { helpers });
    console.warn = warn;
  }
  assert.is(said.length, 1);
  assert.match(said[0] as string, 'no such script');
});

test('the gate lets in what there is room for, or one picture alone, and forgets those that are gone', async () => {
  const gate = new PixelGate(2);
  gate.enter(0, 200_000_000); // alone
  const gateModule = transformSync(readFileSync(new URL('../../src/image/pixelGate.ts', import.meta.url), 'utf8'), { loader: 'ts' }).code;
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    import('data:text/javascript,${encodeURIComponent(gateModule)}').then(({ PixelGate }) => {
      const gate = new PixelGate(workerData);
      parentPort.postMessage('before');
      gate.enter(1, 30e6);
      parentPort.postMessage('in');
    });`;
  const worker = new Worker(source, { eval: true, workerData: gate.memory });
  const next = (): Promise<string> => new Promise((resolve) => worker.once('message', resolve));
  assert.is(await next(), 'before');
  const second = next();
  const early = await Promise.race([second, new Promise((resolve) => setTimeout(() => resolve('waits'), 100))]);
  assert.is(early, 'waits');
  gate.leave(0);
  assert.is(await second, 'in');
  gate.enter(0, 20e6); // beside it: 50 million in all
  await worker.terminate();
  gate.leave(1);
  gate.leave(1);
  gate.leave(0);
  gate.enter(0, 200_000_000);
  gate.leave(0);
  assert.equal(new Int32Array(gate.memory), new Int32Array(3));
});

test.run();
