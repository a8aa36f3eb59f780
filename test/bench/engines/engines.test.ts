import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dinov2 } from '../../../bench/engines/dinov2.ts';
import type { Dtype, Engine } from '../../../bench/engines/engine.ts';
import { ENGINES } from '../../../bench/engines/index.ts';
import { hasPeers } from '../../../bench/engines/install.ts';
import { pattern } from '../../../bench/engines/pattern.ts';
import { buildChild, EngineProcess } from '../../../bench/engines/process.ts';
import { agreement } from '../../../bench/models/speed.ts';
import { Dinov2Model, Tensor } from '../../../src/index.ts';
import { withFolder } from '../../helpers.ts';

/** Runs in milliseconds; its weights are large enough for every part to matter. The pictures have another size than the position embeddings. */
const CONFIG = { hidden_size: 48, num_hidden_layers: 3, num_attention_heads: 3, image_size: 70, patch_size: 14, initializer_range: 0.2 };
const SIZE = 56;

const model = new Dinov2Model(CONFIG, { seed: 1 });
const pixels = pattern(3 * SIZE * SIZE);
const expected = (await model(new Tensor('float32', pixels, [1, 3, SIZE, SIZE]))).last_hidden_state.data;

async function agreementOf(engine: Engine, dtype: Dtype): Promise<ReturnType<typeof agreement>> {
  let found = new Float32Array(0);
  await withFolder(async (folder) => {
    const job = { dtype, threads: 1, size: SIZE };
    const forward = await engine.load(await engine.prepare(model, folder, job), job);
    found = Float32Array.from(await forward(pixels));
  });
  return agreement(found, expected, CONFIG.hidden_size);
}

test('this library as it is published', async () => {
  await buildChild();
  for (const dtype of ['f16', 'int8'] as const) {
    await withFolder(async (folder) => {
      const job = { dtype, threads: 1, size: SIZE };
      const process = await EngineProcess.start(dinov2.name, await dinov2.prepare(model, folder, job), job);
      const output = await process.forward(pixels);
      await process.stop();
      const { difference, cosine } = agreement(output, expected, CONFIG.hidden_size);
      assert.ok(difference > 1e-6, `${dtype}: ${difference}: not ${dtype}`);
      assert.ok(difference < 0.1 && cosine > 0.999, `${dtype}: ${difference}, ${cosine}`);
    });
  }
});

// The peers are packages of bench/, which the tests do without: `npm ci --prefix bench`
const peers = hasPeers() ? test : test.skip;

for (const engine of ENGINES.filter(({ name }) => !name.startsWith('dinov2'))) {
  peers(`${engine.name} in float32 computes the same`, async () => {
    const { difference } = await agreementOf(engine, 'f32');
    assert.ok(difference < 1e-5, String(difference));
  });

  if (!engine.dtypes.includes('int8')) continue;
  peers(`${engine.name} in int8 computes nearly the same`, async () => {
    const { difference, cosine } = await agreementOf(engine, 'int8');
    assert.ok(difference > 1e-3, `${difference}: not quantised`);
    assert.ok(difference < 0.1 && cosine > 0.999, `${difference}, ${cosine}`);
  });
}

test('a process: the same result, times and memory; what goes wrong in it is told', async () => {
  await buildChild();
  await withFolder(async (folder) => {
    const job = { dtype: 'f32', threads: 1, size: SIZE } as const;
    const path = await dinov2.prepare(model, folder, job);
    const process = await EngineProcess.start(dinov2.name, path, job);
    try {
      assert.equal(process.output, expected);
      assert.equal(await process.forward(pixels), expected);
      const run = await process.run();
      assert.ok(run > 0 && run < process.first, `${run}, ${process.first}`);
      const { resident, peak } = await process.memory();
      assert.ok(resident > 10e6 && peak >= resident, `${resident}, ${peak}`);
      const over = process.stop();
      await process.run().then(
        () => assert.unreachable('a run in a process that is gone'),
        (error: Error) => assert.match(error.message, /SIGKILL|EPIPE|closed/), // as soon as either is noticed
      );
      await over;
    } finally {
      await process.stop();
    }

    const weights = join(path, 'model.safetensors');
    writeFileSync(weights, readFileSync(weights).subarray(0, 1000));
    const error = await EngineProcess.start(dinov2.name, path, job).then(
      () => undefined,
      (reason: Error) => reason,
    );
    assert.match(error?.message ?? '', 'model.safetensors');
  });
});

test.after(() => model.dispose());

test.run();
