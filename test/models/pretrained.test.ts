import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DisposedError, DTypeError, MemoryError, NotFoundError, ShapeError } from '../../src/errors.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from '../../src/models/dinov2.ts';
import type { ModelInputs, Traced, TraceShape } from '../../src/models/pretrained.ts';
import { type DType, Tensor } from '../../src/tensor/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { refuses, withFolder } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { flatten, pixels, TINY } from './helpers.ts';

const EVERYTHING = { output_hidden_states: true, output_attentions: true };

function assertSameOutput(found: object, expected: object, what = ''): void {
  const all = flatten(found);
  assert.equal([...all.keys()], [...flatten(expected).keys()], what);
  for (const [key, tensor] of flatten(expected)) {
    assert.equal(all.get(key)?.dims, tensor.dims, `${what} ${key}`);
    assertSameBits(all.get(key)?.data as Float32Array, tensor.data, `${what} ${key}`);
  }
}

for (const [name, model] of Object.entries({
  Dinov2Model: new Dinov2Model(TINY),
  Dinov2ForImageClassification: new Dinov2ForImageClassification(TINY),
  Dinov2Backbone: new Dinov2Backbone({ ...TINY, out_features: ['stem', 'stage2'] }),
})) {
  test(`${name}: a trace gives the bits of the eager model, for every shape, batch and request`, async () => {
    for (const [batch, height, width] of [
      [1, 20, 20],
      [3, 20, 20],
      [2, 13, 30],
      [1, 4, 4],
    ] as const) {
      for (const options of [{}, EVERYTHING, { output_attentions: true }, { return_dict: false }]) {
        const traced = (await model.trace({ batch, height, width }, options)) as Traced<object>;
        assert.equal(traced.dims, [batch, 2, height, width]);
        for (const seed of [1, 2]) {
          const picture = pixels(batch, height, width, seed);
          const eager = await (model as Dinov2Model)(picture, options);
          assertSameOutput(await traced(seed === 1 ? picture : { pixel_values: picture }), eager, `${batch} x ${height} x ${width}`);
        }
        traced.dispose();
      }
    }
  });
}

test('a model is traced with inputs as well as with their shape, whose batch is 1 by default', async () => {
  const model = new Dinov2Model(TINY);
  const example = pixels(2, 12, 24);
  for (const traced of [await model.trace(example), await model.trace({ pixel_values: example })])
    assert.equal(traced.dims, [2, 2, 12, 24]);
  assert.equal((await model.trace({ height: 8, width: 4 })).dims, [1, 2, 8, 4]);
});

/** Counts the runs of a model that make tensors. */
function countRuns(model: object): { count: number } {
  const runs = { count: 0 };
  const own = model as { run: (...args: unknown[]) => Promise<object> };
  const { run } = own;
  own.run = (...args) => {
    runs.count += 1;
    return run.apply(model, args);
  };
  return runs;
}

for (const [name, Model] of Object.entries({ Dinov2Model, Dinov2ForImageClassification, Dinov2Backbone })) {
  for (const threads of [1, 2]) {
    test(`${name}, ${threads} threads: calls of one kind, whose steps are repeated, give the bits of a first call`, async () => {
      const config = { ...TINY, out_features: ['stem', 'stage2'] };
      const model = new Model(config, { threads }) as Dinov2Model;
      const fresh = async (picture: Float32, options: object): Promise<object> => {
        using other = new Model(config) as Dinov2Model;
        return await other(picture, options);
      };
      for (const [batch, height, width] of [
        [1, 20, 20],
        [3, 20, 20],
        [2, 13, 30],
      ] as const) {
        for (const options of [{}, EVERYTHING, { output_attentions: true }, { return_dict: false }]) {
          const runs = countRuns(model);
          const given: object[] = [];
          for (const seed of [1, 2, 3, 4]) given.push(await model(pixels(batch, height, width, seed), options));
          for (const [i, output] of given.entries()) {
            assertSameOutput(
              output,
              await fresh(pixels(batch, height, width, i + 1), options),
              `call ${i + 1} of ${batch} x ${height} x ${width}`,
            );
          }
          assert.is(runs.count, 2);
        }
      }
      model.dispose();
    });
  }
}

test('between calls of one kind there may be any other, a trace, and one that fails', async () => {
  const model = new Dinov2Model(TINY);
  const expected = await new Dinov2Model(TINY)(pixels(1, 20, 20, 9));
  const again = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) assertSameOutput(await model(pixels(1, 20, 20, 9)), expected);
  };
  await again();
  const heard: number[] = [];
  await model(pixels(1), { attention_callback: (_, { layer }) => heard.push(layer) });
  await model(pixels(1), { attention_callback: (_, { layer }) => heard.push(layer) });
  assert.equal(heard, [0, 1, 2, 0, 1, 2], 'heard of each time');
  await again();
  const head_mask = new Tensor('float32', new Float32Array([0, 1, 1]), [3]);
  const masked = await model(pixels(1, 20, 20, 9), { head_mask });
  assert.not.equal(masked.last_hidden_state.data, expected.last_hidden_state.data);
  await again();
  const traced = await model.trace({ height: 60, width: 60 });
  await again();
  await traced(pixels(1, 60));
  await again();
  traced.dispose();
  await again();
  await refuses(() => model(pixels(1), { signal: AbortSignal.abort() }), DOMException, 'aborted');
  await again();
  await refuses(() => model(new Tensor('float32', new Float32Array(4), [4])), ShapeError, 'pixel_values');
  await again();
  const all = [9, 1, 9, 2].map((seed) => model(pixels(1, 20, 20, seed)));
  assertSameOutput((await Promise.all(all))[2] as object, expected, 'called at once');
  model.dispose();
  await refuses(() => model(pixels(1)), DisposedError, 'dispose()');
});

test('weights that are read while a run is followed are left alone by the next; while a trace is made they are refused', async () => {
  for (let ticks = 0; ticks < 12; ticks++) {
    const model = new Dinov2Model(TINY);
    await model(pixels(1));
    const run = model(pixels(1));
    for (let i = 0; i < ticks; i++) await null;
    const weights = new Map(model.weights());
    await run;
    for (const { data } of weights.values()) data.fill(42);
    await model(pixels(1));
    assert.ok(
      [...weights.values()].every(({ data }) => data.every((value) => value === 42)),
      `after ${ticks} ticks`,
    );
  }
  const model = new Dinov2Model(TINY);
  const trace = model.trace({ height: 20, width: 20 });
  for (let i = 0; i < 3; i++) await null;
  await refuses(() => [...model.weights()], ArgumentError, 'weights: expected no trace in the making', 'await it');
  await trace;
  assert.is([...model.weights()].length, 61);
});

test('the steps of large batches are not kept, nor those of a run with a large output', async () => {
  const model = new Dinov2Model(TINY);
  const count = async (picture: Float32, options = {}): Promise<number> => {
    const runs = countRuns(model);
    for (let i = 0; i < 4; i++) await model(picture, options);
    return runs.count;
  };
  assert.is(await count(pixels(8)), 2);
  assert.is(await count(pixels(9)), 4);
  assert.is(await count(pixels(1, 80)), 2);
  assert.is(await count(pixels(1, 80), { output_attentions: true }), 4, '3 x 3 x 401 x 401 numbers');
});

test('calibration sees the inputs of calls whose steps would be repeated', async () => {
  const [model, fresh] = [new Dinov2Model(TINY), new Dinov2Model(TINY)];
  for (let i = 0; i < 3; i++) await model(pixels(1));
  const pictures = [1, 2, 3].map((seed) => ({ pixel_values: pixels(1, 20, 20, seed) }));
  assert.equal(await model.calibrate(pictures), await fresh.calibrate(pictures));
  assert.ok((await fresh.calibrate(pictures)).size > 0);
});

test('what a call returns outlives the next ones of its kind, whatever is done with it', async () => {
  const model = new Dinov2Model(TINY);
  const expected = (await model(pixels(1))).last_hidden_state.data.slice();
  for (let i = 0; i < 4; i++) {
    const { last_hidden_state } = await model(pixels(1));
    await model(pixels(1, 20, 20, 2));
    assertSameBits(last_hidden_state.data, expected);
    last_hidden_state.data.fill(Number.NaN);
  }
});

test('what a trace returns outlives its next call', async () => {
  const model = new Dinov2Model(TINY);
  const traced = await model.trace({ height: 20, width: 20 });
  const first = await traced(pixels(1, 20, 20, 1));
  const kept = first.last_hidden_state.data.slice();
  await traced(pixels(1, 20, 20, 2));
  assertSameBits(first.last_hidden_state.data, kept);
});

test('a trace refuses inputs of another shape or type, and no shape is traced that is none', async () => {
  const model = new Dinov2Model(TINY);
  const traced = await model.trace({ height: 20, width: 20 });
  await refuses(() => traced(pixels(2)), ShapeError, 'traced', 'expected [1, 2, 20, 20], found [2, 2, 20, 20]');
  await refuses(() => traced(pixels(1, 24)), ShapeError, 'found [1, 2, 24, 24]');
  await refuses(() => traced(pixels(1).to('int32') as unknown as Tensor), DTypeError, 'pixel_values');
  await refuses(() => traced(undefined as never), ArgumentError, 'inputs');
  const trace = (shape: unknown, options?: object) => model.trace(shape as TraceShape, options);
  for (const shape of [undefined, null, 'x', 20]) await refuses(() => trace(shape), ArgumentError, 'trace: expected { height, width }');
  for (const shape of [
    {},
    { height: 20 },
    { height: 3, width: 20 },
    { height: 20.5, width: 20 },
    { batch: 0, height: 20, width: 20 },
    { batch: 1.5, height: 20, width: 20 },
  ]) {
    await refuses(() => trace(shape), ShapeError, 'pixel_values');
  }
  await refuses(() => trace({ height: 20, width: 20 }, { output_attention: true }), ArgumentError, 'output_attention');
  await refuses(() => trace({ height: 1e6, width: 1e6 }), MemoryError, 'engine memory');
  assertSameOutput(await traced(pixels(1)), await model(pixels(1)), 'and the model goes on');
});

test('eager calls and other traces do not disturb a trace', async () => {
  const model = new Dinov2Model(TINY);
  const [a, b] = [await model.trace({ height: 20, width: 20 }), await model.trace({ batch: 2, height: 12, width: 8 })];
  const [x, y] = [pixels(1, 20, 20, 1), pixels(2, 12, 8, 2)];
  const [first, second] = [await a(x), await b(y)];
  await model(pixels(3, 40));
  assertSameOutput(await a(x), first);
  assertSameOutput(await b(y), second);
  a.dispose();
  const c = await model.trace({ height: 40, width: 40 });
  await c(pixels(1, 40));
  assertSameOutput(await b(y), second, 'after another was disposed of');
});

test('memory does not grow from the second run of a shape on, nor when shapes take turns', async () => {
  const model = new Dinov2Model(TINY);
  const shapes = [pixels(1), pixels(4, 28, 40), pixels(2, 60)];
  const round = async (): Promise<number> => {
    for (const x of shapes) await model(x, EVERYTHING);
    return model.memory;
  };
  const after = await round();
  for (let i = 0; i < 9; i++) assert.is(await round(), after, `round ${i + 2}`);
});

test('calls of a trace take no memory, and disposing of it gives its memory back', async () => {
  const model = new Dinov2Model(TINY);
  const cycle = async (): Promise<number> => {
    const traced = await model.trace({ batch: 2, height: 60, width: 60 });
    const before = model.memory;
    for (let i = 0; i < 3; i++) await traced(pixels(2, 60));
    assert.is(model.memory, before);
    traced.dispose();
    traced.dispose();
    return before;
  };
  const after = await cycle();
  for (let i = 0; i < 5; i++) assert.is(await cycle(), after);
});

test('a new trace takes the memory of one disposed of, also where others stand behind it', async () => {
  const model = new Dinov2Model(TINY, { seed: 1 });
  const expected = await model(pixels(4));
  let last = await model.trace({ batch: 4, height: 20, width: 20 });
  let settled = 0;
  for (let round = 0; round < 12; round++) {
    const next = await model.trace({ batch: 4, height: 20, width: 20 });
    last.dispose();
    last = next;
    if (round === 3) settled = model.memory;
  }
  assert.is(model.memory, settled);
  assertSameOutput(await last(pixels(4)), expected, 'the last trace');
  model.dispose();
});

test('inputs that a trace cannot take are refused, not passed over', async () => {
  const model = new Dinov2Model(TINY, { seed: 1 });
  const traced = await model.trace({ height: 20, width: 20 });
  const head_mask = new Tensor('float32', [1, 0, 1], [3]);
  await refuses(() => traced({ pixel_values: pixels(1), head_mask } as ModelInputs), ArgumentError, 'head_mask', 'trace');
  await refuses(() => model({ pixel_values: pixels(1), labels: [1] } as ModelInputs), ArgumentError, 'labels');
  model.dispose();
});

test('a disposed trace is refused, those made after it work', async () => {
  const model = new Dinov2Model(TINY);
  const [gone, x] = [await model.trace({ height: 20, width: 20 }), pixels(1)];
  gone.dispose();
  const [a, b] = [await model.trace({ height: 20, width: 20 }), await model.trace({ height: 20, width: 20 })];
  await refuses(() => gone(x), DisposedError, 'used after dispose()');
  const eager = await model(x);
  for (const traced of [a, b]) assertSameOutput(await traced(x), eager);
});

test('a disposed model is refused, its traces too, and takes no memory again', async () => {
  const model = new Dinov2Model(TINY);
  const traced = await model.trace({ height: 20, width: 20 });
  const { last_hidden_state } = await model(pixels(1));
  model.dispose();
  model.dispose();
  for (const use of [
    () => model(pixels(1)),
    () => traced(pixels(1)),
    () => model.trace({ height: 8, width: 8 }),
    () => [...model.weights()],
  ]) {
    await refuses(use, DisposedError, 'used after dispose()');
  }
  await withFolder((folder) => refuses(() => model.save_pretrained(join(folder, 'new')), DisposedError));
  traced.dispose();
  assert.is(model.memory, 0);
  assert.ok(last_hidden_state.data.every(Number.isFinite), 'results stay');
});

test('disposing of a model stops what is running', async () => {
  const model = new Dinov2Model(TINY);
  const running = model(pixels(4), { signal: new AbortController().signal });
  model.dispose();
  await refuses(() => running, DisposedError);
});

test('calls at the same time do not disturb one another, failed and aborted ones among them', async () => {
  const model = new Dinov2Model(TINY);
  const traced = await model.trace({ height: 20, width: 20 });
  const inputs = [pixels(1, 20, 20, 1), pixels(2, 12, 28, 2), pixels(3, 8, 8, 3), pixels(1, 40, 20, 4)] as const;
  const expected: object[] = [];
  for (const x of inputs) expected.push(await model(x, EVERYTHING));
  const controller = new AbortController();
  const { signal } = controller;
  const calls = [
    ...inputs.map((x) => model(x, EVERYTHING)),
    traced(inputs[0]),
    ...inputs.map((x) => model({ pixel_values: x }, { ...EVERYTHING, signal: new AbortController().signal })),
  ];
  const wrong = [model(pixels(1, 3)), model(inputs[0], { signal }), model(inputs[0], { head_mask: inputs[1] })];
  const after = inputs.map((x) => model(x, EVERYTHING));
  controller.abort();
  const settled = await Promise.allSettled(wrong);
  assert.equal(
    settled.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  const found = await Promise.all(calls);
  assertSameOutput(found[4] as object, await model(inputs[0]), 'traced');
  for (const [i, result] of [...found.slice(0, 4), ...found.slice(5), ...(await Promise.all(after))].entries()) {
    assertSameOutput(result, expected[i % 4] as object, `call ${i}`);
  }
});

test('an aborted signal stops a run with its reason, and the next run is as if it had not been', async () => {
  const model = new Dinov2Model(TINY);
  const before = await model(pixels(2));
  const reserved = model.memory;
  const reason = new RangeError('enough');
  await refuses(() => model(pixels(2), { signal: AbortSignal.abort(reason) }), RangeError, 'enough');

  const controller = new AbortController();
  const running = model(pixels(2), { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await refuses(() => running, RangeError, 'enough');
  assertSameOutput(await model(pixels(2)), before);
  assert.is(model.memory, reserved);
  assertSameOutput(await model(pixels(2), { signal: new AbortController().signal }), before, 'with a signal that stays quiet');
});

/** Every weight of a model, rounded to a dtype. */
function weightsAs(model: Dinov2Model | Dinov2ForImageClassification, dtype: DType): Map<string, Float32> {
  return new Map([...model.weights()].map(([name, weight]) => [name, weight.to(dtype).to('float32')]));
}

for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
  for (const max_shard_size of ['5GB', '3KB']) {
    test(`a model saved as ${dtype}, ${max_shard_size} a file, is loaded with the same weights${dtype === 'float32' ? '' : ', rounded'}`, async () => {
      await withFolder(async (folder) => {
        const model = new Dinov2ForImageClassification(TINY, { seed: 7 });
        await model.save_pretrained(folder, { dtype, max_shard_size });
        const shards = readdirSync(folder).filter((file) => file.endsWith('.safetensors'));
        assert.is(shards.length > 1, max_shard_size !== '5GB', `${shards}`);

        const loaded = await Dinov2ForImageClassification.from_pretrained(folder);
        const [found, expected] = [weightsAs(loaded, 'float32'), weightsAs(model, dtype)];
        assert.equal([...found.keys()], [...expected.keys()]);
        for (const [name, { data }] of expected) assertSameBits(found.get(name)?.data as Float32Array, data, name);
        if (dtype === 'float32') assertSameOutput(await loaded(pixels(2), EVERYTHING), await model(pixels(2), EVERYTHING));

        const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as object;
        assert.equal(config, { ...model.config.to_dict(), architectures: ['Dinov2ForImageClassification'], torch_dtype: dtype });
      });
    });
  }
}

test('a saved model is loaded from its files by name too', async () => {
  await withFolder(async (folder) => {
    const model = new Dinov2Model(TINY);
    await model.save_pretrained(folder);
    const files = Object.fromEntries(readdirSync(folder).map((file) => [file, new Uint8Array(readFileSync(join(folder, file)))]));
    const loaded = await Dinov2Model.from_pretrained(files);
    assertSameOutput(await loaded(pixels(1)), await model(pixels(1)));
  });
});

test('saving refuses a dtype it does not write, and leaves no file', async () => {
  await withFolder(async (folder) => {
    const model = new Dinov2Model(TINY);
    for (const dtype of ['int8', 'float64', 'fp16']) {
      await refuses(() => model.save_pretrained(join(folder, 'new'), { dtype: dtype as 'float32' }), DTypeError, 'dtype', dtype);
    }
    assert.equal(readdirSync(folder), []);
  });
});

test('loading takes the options of a new model, and fields in place of those of the file', async () => {
  await withFolder(async (folder) => {
    await new Dinov2Model(TINY).save_pretrained(folder);
    const x = pixels(1, 28);
    const size = await Dinov2Model.from_pretrained(folder, { posEmbed: 'size', config: { output_attentions: true } });
    assertSameOutput(await size(x), await new Dinov2Model(TINY, { posEmbed: 'size' })(x, { output_attentions: true }));
    await refuses(() => Dinov2Model.from_pretrained(folder, { posEmbed: 'nearest' as 'size' }), ArgumentError, 'posEmbed');
    await refuses(() => Dinov2Model.from_pretrained(folder, { dtype: 'int4' as 'fp32' }), DTypeError, 'dtype', 'int4');
    await refuses(() => Dinov2Model.from_pretrained(join(folder, 'none')), NotFoundError, 'none');
  });
});

test('a model that is larger than the memory limit is refused', async () => {
  const large = { ...TINY, hidden_size: 48 };
  await refuses(() => new Dinov2Model(large, { memoryLimit: 2 ** 17 }), MemoryError, 'engine memory');
  await withFolder(async (folder) => {
    await new Dinov2Model(large).save_pretrained(folder);
    // blocks stay in their file, of which one at a time has to fit all the same
    await refuses(() => Dinov2Model.from_pretrained(folder, { memoryLimit: 2 ** 16 }), MemoryError, 'engine memory');
  });
});

test('await using waits for what runs, then disposes', async () => {
  const model = new Dinov2Model(TINY);
  const running = model(pixels(2));
  await model[Symbol.asyncDispose]();
  assert.is((await running).last_hidden_state.dims[0], 2);
  await refuses(() => model(pixels(1)), DisposedError, 'used after dispose()');
});

test('using a model disposes of it', () => {
  const model = new Dinov2Model(TINY);
  model[Symbol.dispose]();
  assert.is(model.memory, 0);
});

test.run();
