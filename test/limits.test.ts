import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCheckpoint } from '../src/checkpoint/shards.ts';
import { ArgumentError, ImageError, LimitError } from '../src/errors.ts';
import { openSource } from '../src/files/source.ts';
import { AutoImageProcessor, AutoModel, EMBEDDED_MODEL, pipeline, RawImage } from '../src/index.ts';
import { DEFAULT_LIMITS, type LimitName, limitOf, within } from '../src/limits.ts';
import { readConfig } from '../src/models/config.ts';
import { encodePng } from '../src/plot/index.ts';
import { refuses } from './helpers.ts';

test('a limit is a number above 0, or Infinity, and one that there is', async () => {
  for (const name of Object.keys(DEFAULT_LIMITS) as LimitName[]) {
    assert.is(limitOf(name), DEFAULT_LIMITS[name]);
    assert.is(limitOf(name, { [name]: undefined }), DEFAULT_LIMITS[name]);
    assert.is(limitOf(name, { [name]: 7 }), 7);
    assert.is(limitOf(name, { [name]: Number.POSITIVE_INFINITY }), Number.POSITIVE_INFINITY);
    for (const wrong of [0, -1, Number.NaN, '7']) {
      await refuses(() => limitOf(name, { [name]: wrong } as never), ArgumentError, `limits.${name}: expected a number above 0`);
    }
  }
  await refuses(() => limitOf('pixels', { pixel: 1 } as never), ArgumentError, 'limits', '"pixel"');
});

test('what decoding a PNG takes of memory is checked on its header', async () => {
  const png = await encodePng(new RawImage(new Uint8Array(40 * 30 * 3), 40, 30, 3));
  const needed = png.length + 30 * (1 + 40 * 3) + 40 * 30 * 3;
  const read = (decodeBytes: number): Promise<RawImage> => RawImage.read(png, { limits: { decodeBytes } });
  await refuses(() => read(needed - 1), LimitError, `at most ${needed - 1} bytes`, `found ${needed}`, 'limits.decodeBytes');
  assert.is((await read(needed)).width, 40);
});

/** A JPEG file of these sizes, sequential or progressive, whose scan is zeros. */
function emptyJpeg(width: number, height: number, { luma, isProgressive }: { luma: number; isProgressive: boolean }): Uint8Array {
  const kind = isProgressive ? 0xc2 : 0xc0;
  const frame = [0xff, kind, 0, 17, 8, height >> 8, height & 255, width >> 8, width & 255, 3, 1, luma, 0, 2, 0x11, 0, 3, 0x11, 0];
  const scan = [0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, isProgressive ? 0 : 63, 0];
  return Uint8Array.of(0xff, 0xd8, ...frame, ...scan, ...new Uint8Array(1e5), 0xff, 0xd9);
}

test('what decoding a JPEG takes of memory is checked on its header: coefficients only where all are kept, by their sampling', async () => {
  const size = 2000;
  const blocks = 250 * 250;
  for (const [luma, isProgressive, kept] of [
    [0x11, false, 0],
    [0x22, false, 0],
    [0x11, true, 3 * blocks],
    [0x22, true, 1.5 * blocks],
  ] as const) {
    const jpeg = emptyJpeg(size, size, { luma, isProgressive });
    const needed = 2 * jpeg.length + 3 * size * size + kept * 128;
    const read = (decodeBytes: number): Promise<RawImage> => RawImage.read(jpeg, { limits: { decodeBytes } });
    await refuses(() => read(needed - 1), LimitError, `found ${needed}`, 'limits.decodeBytes');
    await refuses(() => read(needed), ImageError, 'table'); // it came to be decoded
  }
});

test('the file of a picture is not read beyond its limit, whatever says how long it is', async () => {
  const limits = { imageBytes: 1000 };
  const blob = new Blob([new Uint8Array(1001)]);
  await refuses(() => RawImage.read(blob, { limits }), LimitError, 'of at most 1000 bytes', 'found 1001', 'limits.imageBytes');
  await refuses(() => RawImage.read(new URL('./limits.test.ts', import.meta.url), { limits }), LimitError, 'limits.test.ts: expected');
  let sent = 0;
  const server = createServer((request, response) => {
    if (request.url === '/known') response.setHeader('content-length', 1e9);
    const pour = setInterval(() => {
      sent += 600;
      response.write(new Uint8Array(600));
    }, 1);
    response.on('close', () => clearInterval(pour));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await refuses(() => RawImage.read(`${url}/known`, { limits }), LimitError, 'of at most 1000 bytes', 'found 1000000000');
    await refuses(() => RawImage.read(`${url}/endless`, { limits }), LimitError, 'of at most 1000 bytes');
    assert.ok(sent < 1e5, `${sent} bytes sent`);
    const late = { limits: { imageBytes: 1e12, seconds: 0.2 } };
    await refuses(() => RawImage.read(`${url}/endless`, late), LimitError, 'within 0.2 s', 'limits.seconds');
    const reason = new Error('enough');
    assert.is(await RawImage.read(url, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error), reason);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('limits reach the files of a model through from_pretrained', async () => {
  const load = (limits: object) => () => AutoModel.from_pretrained(EMBEDDED_MODEL, { limits });
  await refuses(load({ headerBytes: 100 }), LimitError, 'config.json', 'at most 100 bytes');
  await refuses(load({ tensors: 5 }), LimitError, 'safetensors', 'at most 5 tensors');
  await refuses(load({ checkpointBytes: 1e5 }), LimitError, 'safetensors', 'at most 100000 bytes');
  await refuses(load({ tensor: 5 }), ArgumentError, '"tensor"');
  const source = await openSource(EMBEDDED_MODEL, { headerBytes: 100 });
  await refuses(() => readConfig(source), LimitError, 'config.json');
  await refuses(() => openCheckpoint(source), LimitError, 'a header of at most 100 bytes');
});

test('limits of a processor and of a pipeline hold for each call, unless it has its own', async () => {
  const image = { data: new Uint8Array(300), width: 10, height: 10, channels: 3 };
  const processor = await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL, { limits: { pixels: 99 } });
  await refuses(() => processor(image), LimitError, 'at most 99 pixels');
  await refuses(() => processor(image, { limits: { pixels: 100 } }), LimitError, 'resize', 'at most 100 pixels', 'limits.pixels');
  assert.equal((await processor(image, { limits: {} })).pixel_values.dims.slice(0, 2), [1, 3]);
  assert.not('limits' in processor.config);

  const classify = await pipeline('image-classification', EMBEDDED_MODEL, { limits: { pixels: 99 } });
  try {
    await refuses(() => classify(image), LimitError, 'at most 99 pixels');
    assert.is((await classify(image, { limits: {}, top_k: 2 })).length, 2);
    await refuses(() => classify([image], { limits: { seconds: 1e-3 } }), LimitError, 'image-classification', 'within 0.001 s');
  } finally {
    await classify.dispose();
  }
});

test('work within a time ends with it, with its result, and by the signal of the caller', async () => {
  const never = (signal: AbortSignal | undefined): Promise<never> =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  await refuses(() => within('it', { limits: { seconds: 0.01 } }, never), LimitError, 'it: expected to be done within 0.01 s');
  assert.is(await within('it', { limits: { seconds: 1e9 } }, async () => 5), 5);
  const caller = new AbortController();
  const stopped = within('it', { limits: { seconds: 100 }, signal: caller.signal }, never).catch((error: unknown) => error);
  caller.abort('why');
  assert.is(await stopped, 'why');
});

test.run();
