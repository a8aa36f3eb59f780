import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../src/image/decode.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { encodeJpeg } from '../../src/plot/index.ts';

test('a picture comes back as a JPEG of its size, within what JPEG loses', async () => {
  const [width, height] = [37, 21];
  const slope = Uint8Array.from({ length: width * height * 3 }, (_, i) => [i % 111, Math.floor(i / 111) * 9, 200][i % 3] as number);
  const bytes = encodeJpeg(new RawImage(slope, width, height, 3), { quality: 95 });
  const found = await decodeImage(bytes);
  assert.equal([found.width, found.height], [width, height]);
  const worst = Math.max(...found.data.map((x, i) => Math.abs(x - (slope[i] as number))));
  assert.ok(worst <= 12, `${worst}`);
  assert.ok(encodeJpeg(new RawImage(slope, width, height, 3), { quality: 10 }).length < bytes.length);
  assert.throws(() => encodeJpeg(new RawImage(new Uint8Array(4), 2, 2, 1)), /expected 3 channels/);
});

test.run();
