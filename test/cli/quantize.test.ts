import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AutoModel, Tensor } from '../../src/index.ts';
import { dinov2, withWorkplace } from './helpers.ts';

test('dinov2 quantize writes a model that loads without the original, and refuses to write over one', async () => {
  await withWorkplace(async ({ model, picture, path }) => {
    const photo = picture('a.png');
    for (const [folder, options] of [
      ['plain', []],
      ['calibrated', ['--calibrate', photo]],
    ] as const) {
      const output = path(folder);
      const { code, stdout } = await dinov2(['quantize', model, '--output', output, ...options]);
      assert.equal([code, /int8/.test(stdout)], [0, true]);
      assert.match(readFileSync(join(output, 'model.safetensors'), 'latin1'), '"I8"');
      const quantized = await AutoModel.from_pretrained(output);
      assert.is(quantized.dtype, 'int8');
      const { last_hidden_state } = await quantized(new Tensor('float32', new Float32Array(3 * 12 * 12).fill(0.5), [1, 3, 12, 12]));
      assert.ok(last_hidden_state.data.every(Number.isFinite));
      quantized.dispose();
    }
    const again = await dinov2(['quantize', model, '--output', path('plain')]);
    assert.is(again.code, 1);
    assert.match(again.stderr, 'ask to overwrite');
    assert.is((await dinov2(['quantize', model, '--output', path('plain'), '--overwrite'])).code, 0);
  });
});

test('dinov2 quantize refuses to calibrate without images', async () => {
  await withWorkplace(async ({ model, path }) => {
    const { code, stderr } = await dinov2(['quantize', model, '--output', path('q'), '--calibrate', path('nothing')]);
    assert.ok(code > 0);
    assert.match(stderr, 'nothing');
  });
});

test.run();
