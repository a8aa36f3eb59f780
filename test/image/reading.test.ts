import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageError, LimitError, NotFoundError } from '../../src/errors.ts';
import { PixelGate } from '../../src/image/pixelGate.ts';
import { BitImageProcessor } from '../../src/image/processor.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { answerQuestion, type Question, type Reply } from '../../src/image/reading.ts';
import { receivedError } from '../../src/sentErrors.ts';
import { refuses, withFolder } from '../helpers.ts';
import { picture, picturePath } from './helpers.ts';

/** The answer of thread 1 of 2, after which it has nothing in the gate. */
async function answer(question: Pick<Question, 'input'> & Partial<Question>): Promise<{ reply: Reply; transfer: readonly unknown[] }> {
  const gate = new PixelGate(2);
  const { value, transfer } = await answerQuestion({ reading: {}, gate: gate.memory, thread: 1, ...question } satisfies Question);
  assert.equal(new Int32Array(gate.memory), new Int32Array(3));
  const reply = value as Reply;
  if ('error' in reply) throw receivedError(reply.error);
  for (const seconds of Object.values(reply.seconds)) assert.ok(seconds >= 0 && seconds < 60, `${seconds} s`);
  return { reply, transfer };
}

test('a picture is answered with its pixels, which are handed over', async () => {
  for (const input of [picturePath('exif-6.jpg'), picture('exif-6.jpg'), new Blob([picture('exif-6.jpg')])]) {
    for (const exifOrientation of [false, true]) {
      const { reply, transfer } = await answer({ input, reading: { exifOrientation } });
      const { pixels } = reply as Reply & { pixels: RawImage };
      assert.equal(pixels, { ...(await RawImage.read(input, { exifOrientation })) });
      assert.equal(transfer, [pixels.data.buffer]);
    }
  }
});

test('with a processor, by what that makes of it', async () => {
  const processor = new BitImageProcessor({ size: 30, crop_size: 28 });
  const { reply, transfer } = await answer({ input: picture('small.png'), processor: processor.to_dict() });
  const { processed } = reply as Reply & { processed: { pixel_values: { data: Float32Array; dims: number[] }; views: unknown } };
  const { pixel_values, views } = await processor(picture('small.png'));
  assert.equal(processed.pixel_values, { data: pixel_values.data, dims: [1, 3, 28, 28] });
  assert.equal(processed.views, views);
  assert.equal(transfer, [processed.pixel_values.data.buffer]);
});

test('what goes wrong is an answer that names the picture', async () => {
  const path = picturePath('small.png');
  await refuses(() => answer({ input: 'no/such.png' }), NotFoundError, 'no/such.png');
  await refuses(() => answer({ input: path, reading: { limits: { pixels: 10 } } }), LimitError, `${path}: expected at most 10 pixels`);
  await refuses(() => answer({ input: path, reading: { limits: { imageBytes: 10 } } }), LimitError, `${path}: expected the file`);
  for (const name of ['small.png', 'gray.jpg']) {
    for (const length of [2, 3, 8, 12, 20, 24, 100])
      await refuses(() => answer({ input: picture(name).subarray(0, length) }), ImageError, 'bytes: ');
  }
});

test('a decoder of one’s own reads it, and keeps its memory', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'decoder.mjs');
    writeFileSync(
      path,
      'export const data = Uint8Array.of(1, 2, 3); export const decode = () => ({ data, width: 1, height: 1, channels: 3 });',
    );
    const decoder = pathToFileURL(path).href;
    const { reply } = await answer({ input: Uint8Array.of(7), decoder });
    const { pixels } = reply as Reply & { pixels: RawImage };
    const { data } = (await import(decoder)) as { data: Uint8Array };
    assert.equal(pixels.data, data);
    assert.is.not(pixels.data.buffer, data.buffer);
  }));

test('a picture enters the gate with its pixels, as its header has them', async () => {
  const entered: number[] = [];
  const { enter } = PixelGate.prototype;
  PixelGate.prototype.enter = function (thread, pixels) {
    entered.push(thread, pixels);
    enter.call(this, thread, pixels);
  };
  try {
    for (const name of ['small.png', 'exif-1.jpg', 'progressive.jpg']) {
      const whole = new Uint8Array(Buffer.concat([Buffer.from('before'), picture(name)]));
      await answer({ input: whole.subarray(6) });
    }
    await refuses(() => answer({ input: Uint8Array.of(1, 2, 3) }), ImageError);
    await refuses(() => answer({ input: picture('exif-1.jpg').subarray(0, 40) }), ImageError);
  } finally {
    PixelGate.prototype.enter = enter;
  }
  assert.equal(entered, [1, 90 * 61, 1, 90 * 61, 1, 640 * 427, 1, 0, 1, 0]);
});

test.run();
