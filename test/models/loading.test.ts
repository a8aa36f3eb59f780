import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NamedTensor } from '../../src/checkpoint/safetensors.ts';
import { saveCheckpoint } from '../../src/checkpoint/shards.ts';
import { ArgumentError, CheckpointError, NotFoundError } from '../../src/errors.ts';
import type { LoadProgress } from '../../src/hub/progress.ts';
import { Dinov2ForImageClassification, Dinov2Model } from '../../src/models/dinov2.ts';
import type { FromPretrainedOptions } from '../../src/models/pretrained.ts';
import { type DType, Tensor } from '../../src/tensor/index.ts';
import { refuses, withFolder } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { pixels, TINY } from './helpers.ts';

type Weights = Map<string, Tensor>;

const CLASSIFIER = new Dinov2ForImageClassification(TINY, { seed: 5 });
const MODEL = new Dinov2Model(TINY, { seed: 5 });

interface Loads<T> {
  from_pretrained(folder: string, options?: FromPretrainedOptions): Promise<T>;
}

/** Writes the weights of a model, after changing them, and loads them as another. */
async function loadAs<T>(
  kind: Loads<T>,
  model: Dinov2Model | Dinov2ForImageClassification,
  change: (weights: Weights) => void,
  options?: FromPretrainedOptions,
): Promise<T> {
  const weights: Weights = new Map(model.weights());
  change(weights);
  const tensors = [...weights].map(([name, { dtype, dims, data }]): NamedTensor => ({ name, dtype, dims, data }));
  let loaded: T | undefined;
  await withFolder(async (folder) => {
    await model.config.save_pretrained(folder);
    await saveCheckpoint(folder, tensors);
    loaded = await kind.from_pretrained(folder, options);
  });
  return loaded as T;
}

const load = (change: (weights: Weights) => void, options?: FromPretrainedOptions): Promise<Dinov2Model> =>
  loadAs<Dinov2Model>(Dinov2Model, MODEL, change, options);

const rename = (weights: Weights, from: string, to: string): void => {
  for (const [name, tensor] of [...weights]) {
    if (!name.includes(from)) continue;
    weights.delete(name);
    weights.set(name.replace(from, to), tensor);
  }
};

async function assertSame(found: Dinov2Model, expected = MODEL): Promise<void> {
  const run = async (model: Dinov2Model): Promise<Float32Array> => (await model(pixels(1, 24))).last_hidden_state.data;
  assertSameBits(await run(found), await run(expected));
}

test('the order of tensors in the file does not matter', async () => {
  await assertSame(
    await load((weights) => {
      const reversed = [...weights].reverse();
      weights.clear();
      for (const [name, tensor] of reversed) weights.set(name, tensor);
    }),
  );
});

test('the names that transformers 5 uses in memory are known', async () => {
  await assertSame(
    await load((weights) => {
      rename(weights, 'attention.attention.query', 'attention.q_proj');
      rename(weights, 'attention.attention.key', 'attention.k_proj');
      rename(weights, 'attention.attention.value', 'attention.v_proj');
      rename(weights, 'attention.output.dense', 'attention.o_proj');
    }),
  );
});

test('the newer names of the gated feed-forward are known, its input layer in two parts', async () => {
  const gated = new Dinov2Model({ ...TINY, use_swiglu_ffn: true }, { seed: 5 });
  const found = await loadAs<Dinov2Model>(Dinov2Model, gated, (weights) => {
    for (const [name, tensor] of [...weights]) {
      if (!name.includes('weights_in')) continue;
      const half = (tensor.dims[0] as number) / 2;
      weights.delete(name);
      weights.set(name.replace('weights_in', 'gate_proj'), tensor.slice(0, half).clone());
      weights.set(name.replace('weights_in', 'up_proj'), tensor.slice(half).clone());
    }
    rename(weights, 'weights_out', 'down_proj');
  });
  await assertSame(found, gated);
});

test('a classifier’s checkpoint is loaded as a model without head', async () => {
  const found = await loadAs<Dinov2Model>(Dinov2Model, CLASSIFIER, () => {});
  for (const [name, { data }] of found.weights()) {
    const [, own] = [...CLASSIFIER.weights()].find(([n]) => n === `dinov2.${name}`) as [string, Tensor<'float32'>];
    assertSameBits(data, own.data, name);
  }
});

test('a model’s checkpoint is no classifier', async () => {
  await refuses(
    () => loadAs(Dinov2ForImageClassification as Loads<unknown>, MODEL, () => {}),
    CheckpointError,
    '"classifier.weight": expected [5,24], found none',
    '"classifier.bias"',
  );
});

test('missing, left over and misshapen tensors are named with both shapes', async () => {
  const name = 'encoder.layer.1.norm2.bias';
  const found = (change: (weights: Weights) => void, ...parts: string[]): Promise<void> =>
    refuses(() => load(change), CheckpointError, 'configuration', ...parts);
  await found((w) => w.delete(name), `"${name}": expected [12], found none`);
  await found(
    (w) => w.set('encoder.layer.3.norm2.bias', new Tensor('float32', [1], [1])),
    '"encoder.layer.3.norm2.bias": expected no such tensor, found [1]',
  );
  await found((w) => w.set(name, new Tensor('float32', new Float32Array(13), [13])), `"${name}": expected [12], found [13]`);
  await found((w) => w.set(name, new Tensor('float32', new Float32Array(12), [12, 1])), `"${name}": expected [12], found [12,1]`);
  await found((w) => w.set(`dinov2.${name}`, new Tensor('float32', new Float32Array(12), [12])), name, 'expected it once');
  await found(
    (w) => {
      w.delete(name);
      w.set('surprise', new Tensor('float32', [1], []));
    },
    `"${name}"`,
    '"surprise"',
  );
});

test('of very many problems the first are named, and the others counted', async () => {
  await refuses(
    () => load((weights) => weights.clear()),
    CheckpointError,
    '"embeddings.cls_token": expected [1,1,12], found none',
    'and 56 more',
  );
});

test('half precision is widened, tensor by tensor', async () => {
  const halves = new Map([...MODEL.weights()].map(([name], i) => [name, (['float16', 'bfloat16', 'float32'] as const)[i % 3] as DType]));
  const found = await load((weights) => {
    for (const [name, weight] of [...weights]) weights.set(name, weight.to(halves.get(name) as DType));
  });
  const expected = new Map(MODEL.weights());
  for (const [name, { data }] of found.weights()) {
    assertSameBits(
      data,
      expected
        .get(name)
        ?.to(halves.get(name) as DType)
        .to('float32').data as Float32Array,
      name,
    );
  }
});

test('weights of another kind of number are refused with file, tensor and kind', async () => {
  const name = 'encoder.layer.0.mlp.fc1.weight';
  for (const dtype of ['int8', 'int32', 'uint8'] as const) {
    await refuses(
      () => load((w) => w.set(name, (w.get(name) as Tensor).to(dtype))),
      CheckpointError,
      'model.safetensors',
      `"${name}"`,
      'float32',
      dtype,
    );
  }
});

/** Of 64 bytes. */
function inPieces(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(new Uint8Array(bytes.subarray(at, at + 64)));
      at += 64;
    },
  });
}

test('files that come as streams are asked for once, in shards too, whatever the numbers become', async () => {
  const integers = new Dinov2ForImageClassification(TINY, { dtype: 'int8', seed: 5 });
  for (const [model, dtype] of [
    [CLASSIFIER, 'float32'],
    [integers, 'int8'],
    [integers, 'float32'],
    [CLASSIFIER, 'int8'],
  ] as const) {
    await withFolder(async (folder) => {
      await model.save_pretrained(folder, { max_shard_size: '8KB' });
      const names = readdirSync(folder);
      const requests = new Map(names.map((name) => [name, 0]));
      const files = names.map((name) => {
        const request = (): Response => {
          requests.set(name, (requests.get(name) ?? 0) + 1);
          const bytes = readFileSync(join(folder, name));
          return new Response(inPieces(bytes), { headers: { 'content-length': String(bytes.length) } });
        };
        return [name, request] as const;
      });
      const loaded = await Dinov2ForImageClassification.from_pretrained(Object.fromEntries(files), { dtype });
      const shards = names.filter((name) => name.includes('-of-'));
      assert.ok(shards.length > 1);
      for (const name of shards) assert.is(requests.get(name), 1, `${name}: ${model.dtype} as ${dtype}`);
      const again = await Dinov2ForImageClassification.from_pretrained(folder, { dtype });
      assertSameBits((await loaded(pixels(1, 24))).logits.data, (await again(pixels(1, 24))).logits.data);
    });
  }
});

test('progress goes up to all bytes, and ends with done', async () => {
  const reports: LoadProgress[] = [];
  await load(() => {}, { progress_callback: (info) => reports.push({ ...(info as LoadProgress) }) });
  const bytes = [...MODEL.weights()].reduce((sum, [, weight]) => sum + weight.bytes, 0);
  const last = reports.at(-1) as LoadProgress;
  assert.equal([last.status, last.loaded, last.total, last.progress], ['done', bytes, bytes, 100]);
  const before = reports.slice(0, -1);
  assert.is(before.length, [...MODEL.weights()].length);
  for (const [i, { status, loaded, total, progress }] of before.entries()) {
    assert.is(status, 'progress');
    assert.ok(loaded > (before[i - 1]?.loaded ?? 0) && progress === (loaded / total) * 100);
  }
});

test('an aborted signal stops loading with its reason', async () => {
  await refuses(() => load(() => {}, { signal: AbortSignal.abort(new RangeError('enough')) }), RangeError, 'enough');
  const controller = new AbortController();
  let calls = 0;
  const progress_callback = (): void => {
    calls += 1;
    if (calls === 3) controller.abort(new RangeError('enough'));
  };
  await refuses(() => load(() => {}, { signal: controller.signal, progress_callback }), RangeError, 'enough');
  assert.is(calls, 3);
  await refuses(() => load(() => {}, { signal: 5 as never }), ArgumentError, 'signal');
});

test('what the callback throws reaches the caller', async () => {
  const progress_callback = (): never => {
    throw new RangeError('from the callback');
  };
  await refuses(() => load(() => {}, { progress_callback }), RangeError, 'from the callback');
});

test('a folder with only a configuration is refused', async () => {
  await withFolder(async (folder) => {
    await MODEL.config.save_pretrained(folder);
    await refuses(() => Dinov2Model.from_pretrained(folder), NotFoundError, 'model.safetensors');
  });
});

test.run();
