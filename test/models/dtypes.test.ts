import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type NamedTensor, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCheckpoint, saveCheckpoint } from '../../src/checkpoint/shards.ts';
import { CheckpointError, type Dinov2Error, DTypeError } from '../../src/errors.ts';
import { AutoBackbone, AutoModel, AutoModelForDepthEstimation, AutoModelForImageClassification } from '../../src/models/auto.ts';
import { DepthAnythingForDepthEstimation, type DepthEstimatorOutput, DPTForDepthEstimation } from '../../src/models/depth.ts';
import { Dinov2Backbone, Dinov2ForImageClassification, Dinov2Model } from '../../src/models/dinov2.ts';
import type { FromPretrainedOptions, ModelOptions } from '../../src/models/pretrained.ts';
import { type DType, Tensor } from '../../src/tensor/index.ts';
import type { WeightDType } from '../../src/tensor/matrix/packedMatrix.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { goldenPath, MemoryWriter, refuses, withFolder } from '../helpers.ts';
import { assertSameBits, assertWithinOfLargest, cosine } from '../reference/compare.ts';
import { BUILDS } from '../tensor/matrix/helpers.ts';
import { flatten, goldenCalls, pixels, readTensors, TINY } from './helpers.ts';

const EVERYTHING = { output_hidden_states: true, output_attentions: true };
const DTYPES = ['float32', 'float16', 'int8'] as const;

/** Wide enough that products are cut by panels as well as by rows. */
const WIDE = { ...TINY, hidden_size: 144, num_hidden_layers: 2, initializer_range: 0.1 } as const;

type Runs = (inputs: object) => Promise<object>;
type Loads = (source: string, options?: FromPretrainedOptions) => Promise<Runs & Pick<Dinov2Model, 'dtype' | 'dispose'>>;

function assertSameOutput(found: object, expected: object, what = ''): void {
  const all = flatten(found);
  assert.equal([...all.keys()], [...flatten(expected).keys()], what);
  for (const [key, tensor] of flatten(expected)) assertSameBits(all.get(key)?.data as Float32Array, tensor.data, `${what} ${key}`);
}

/** Goldens of every architecture, and how to load them. */
const GOLDENS: readonly [name: string, load: Loads][] = readdirSync(goldenPath('')).flatMap((name): [string, Loads][] => {
  if (/^(encoder.*|registers)$/.test(name)) return [[name, AutoModel.from_pretrained as Loads]];
  if (/^(registers-)?classify/.test(name)) return [[name, AutoModelForImageClassification.from_pretrained as Loads]];
  if (/^(registers-)?backbone/.test(name)) return [[name, AutoBackbone.from_pretrained as Loads]];
  return [];
});

/** Measured over all goldens, models 48 wide, are 1.2e-3 of the largest value with float16, and with int8 a cosine of 0.9997 (states) and 0.9987 (one vector). */
const FLOAT16_BOUND = 2e-3;
const INT8_COSINE = { states: 0.9995, vector: 0.998 } as const;

for (const [name, load] of GOLDENS) {
  test(`${name}: float16 is within ${FLOAT16_BOUND} of the largest value of the original, int8 within a cosine of 0.998`, async () => {
    let compared = 0;
    for (const [call, { inputs, outputs }] of await goldenCalls(name)) {
      for (const dtype of ['float16', 'int8'] as const) {
        const model = await load(goldenPath(name), { dtype });
        assert.is(model.dtype, dtype);
        for (const [key, { data }] of flatten(await model(Object.fromEntries(inputs)))) {
          const expected = outputs.get(key);
          if (!expected || key === 'loss') continue;
          compared += 1;
          const what = `${call}, ${dtype}: ${key}`;
          if (dtype === 'float16') assertWithinOfLargest(data, expected.data, FLOAT16_BOUND, what);
          else {
            const bound = expected.size / (expected.dims[0] as number) > 300 ? INT8_COSINE.states : INT8_COSINE.vector;
            const found = cosine(data, expected.data);
            assert.ok(found > bound, `${what}: cosine ${found}, expected above ${bound}`);
          }
        }
        model.dispose();
      }
    }
    assert.ok(compared >= 2);
  });
}

test('a kind of number goes by the names that transformers.js and others have for it', async () => {
  const names: readonly [ModelOptions['dtype'], WeightDType][] = [
    [undefined, 'float32'],
    ['float32', 'float32'],
    ['fp32', 'float32'],
    ['f32', 'float32'],
    ['float16', 'float16'],
    ['fp16', 'float16'],
    ['f16', 'float16'],
    ['int8', 'int8'],
    ['q8', 'int8'],
  ];
  for (const [dtype, kept] of names) {
    const model = new Dinov2Model(TINY, dtype ? { dtype } : {});
    assert.is(model.dtype, kept);
    model.dispose();
  }
  for (const dtype of ['int4', 'bfloat16', 'uint8', 'toString', 8, null]) {
    await refuses(() => new Dinov2Model(TINY, { dtype: dtype as 'int8' }), DTypeError, 'dtype: expected one of float32', String(dtype));
  }
});

test('weights take half the memory in float16 and about a quarter in int8', () => {
  const large = { ...TINY, hidden_size: 384, num_attention_heads: 6, mlp_ratio: 4 };
  const bytes = (dtype: WeightDType): number => {
    const model = new Dinov2Model(large, { dtype });
    const { memory } = model;
    model.dispose();
    return memory;
  };
  const [float32, float16, int8] = DTYPES.map(bytes) as [number, number, number];
  assert.ok(
    float16 < 0.75 * float32 && int8 < 0.55 * float32,
    `${float32}, ${float16}, ${int8}: room for packing the largest weight included`,
  );
});

for (const dtype of DTYPES) {
  for (const build of BUILDS) {
    test(`${dtype}, ${build}: outputs are the same to the bit on any number of threads, in any batch, and traced`, async () => {
      for (const config of [TINY, WIDE, { ...TINY, use_swiglu_ffn: true }]) {
        const x = pixels(3, 28, 40);
        const single = new Dinov2Model(config, { seed: 3, dtype, build });
        const expected = await single(x, EVERYTHING);
        for (const threads of [1, 2, 3]) {
          const model = new Dinov2Model(config, { seed: 3, dtype, build, threads });
          assert.is(model.threads, threads);
          assertSameOutput(await model(x, EVERYTHING), expected, `${threads} threads`);
          for (let i = 0; i < 3; i++) {
            const { last_hidden_state } = await model(x.slice(i, i + 1));
            assertSameBits(last_hidden_state.data, expected.last_hidden_state.at(i).data, `picture ${i} alone`);
          }
          const traced = await model.trace({ batch: 3, height: 28, width: 40 }, EVERYTHING);
          await traced(pixels(3, 28, 40, 9));
          assertSameOutput(await traced(x), expected, `traced, ${threads} threads`);
          model.dispose();
        }
        single.dispose();
      }
    });
  }
}

test('int8 of both builds differs by what a few inputs rounded to the next integer do: a quarter of what quantising does, at most', async () => {
  for (const seed of [1, 2, 3]) {
    const run = async (options: ModelOptions): Promise<Float32Array> => {
      const model = new Dinov2Model(WIDE, { seed, ...options });
      const { last_hidden_state } = await model(pixels(1, 28));
      model.dispose();
      return last_hidden_state.data;
    };
    const float32 = await run({});
    const [simd, other = simd] = await Promise.all(BUILDS.map((build) => run({ dtype: 'int8', build })));
    const [between, off] = [1 - cosine(simd as Float32Array, other as Float32Array), 1 - cosine(simd as Float32Array, float32)];
    assert.ok(between < off / 4 && off < 5e-4, `seed ${seed}: 1 - cosine: ${between} between builds, ${off} to float32`);
  }
});

test('an int8 model quantises: it differs from float32, and its weights from those that it was made of by half a step at most', () => {
  // what a norm feeds has steps that are divided by its input scales: tensor/matrix/quantize.test.ts
  const [float32, int8] = (['float32', 'int8'] as const).map(
    (dtype) => new Map(Array.from(new Dinov2Model(TINY, { seed: 3, dtype }).weights()).filter(([name]) => !/fc1\.weight$/.test(name))),
  );
  let different = 0;
  for (const [name, { data, dims }] of float32 as Map<string, Float32>) {
    const found = int8?.get(name)?.data as Float32Array;
    const isMatrix = /\.weight$/.test(name) && dims.length === 2;
    if (!isMatrix) {
      assertSameBits(found, data, name);
      continue;
    }
    const columns = dims[1] as number;
    for (let row = 0; row < data.length; row += columns) {
      const own = data.subarray(row, row + columns);
      assertWithinOfLargest(found.subarray(row, row + columns), own, 0.5001 / 127, `${name}, row ${row / columns}`);
      different += own.findIndex((value, i) => value !== found[row + i]) >= 0 ? 1 : 0;
    }
  }
  assert.ok(different > 100);
});

const bytesIn = (folder: string): number =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.safetensors'))
    .reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);

test('a saved int8 model has about a quarter of the bytes, is int8 by default when loaded, and gives the same bits', async () => {
  const config = { ...WIDE, num_hidden_layers: 4, mlp_ratio: 4 };
  for (const [Model, options] of [
    [Dinov2Model, {}],
    [Dinov2ForImageClassification, {}],
    [Dinov2Backbone, { out_features: ['stem', 'stage2'] }],
    [Dinov2Model, { use_swiglu_ffn: true }],
  ] as const) {
    for (const max_shard_size of ['5GB', '100KB']) {
      await withFolder(async (folder) => {
        const [plain, small] = [join(folder, 'float32'), join(folder, 'int8')];
        const model = new Model({ ...config, ...options }, { seed: 4, dtype: 'int8' });
        const original = new Model({ ...config, ...options }, { seed: 4 });
        await original.save_pretrained(plain, { max_shard_size });
        await model.save_pretrained(small, { max_shard_size });
        const ratio = bytesIn(small) / bytesIn(plain);
        assert.ok(ratio > 0.25 && ratio < 0.3, `${Model.name}: ${ratio}`);
        const { torch_dtype } = JSON.parse(readFileSync(join(small, 'config.json'), 'utf8')) as { torch_dtype: string };
        assert.is(torch_dtype, 'float32', 'of all that is no int8');

        const expected = await (model as Runs)(pixels(2, 28));
        const loaded = await (Model.from_pretrained as Loads)(small);
        assert.is(loaded.dtype, 'int8');
        assertSameOutput(await loaded(pixels(2, 28)), expected, Model.name);
        const later = await (Model.from_pretrained as Loads)(plain, { dtype: 'int8' });
        assertSameOutput(await later(pixels(2, 28)), expected, `${Model.name}, quantised on loading`);
        for (const m of [model, original, loaded, later]) m.dispose();
      });
    }
  }
});

test('a quantised file is loaded as floats too, as the weights that its integers stand for', async () => {
  await withFolder(async (folder) => {
    const model = new Dinov2ForImageClassification(TINY, { seed: 4, dtype: 'int8' });
    await model.save_pretrained(join(folder, 'int8'));
    await model.save_pretrained(join(folder, 'float32'), { dtype: 'float32' });
    await model.save_pretrained(join(folder, 'float16'), { dtype: 'float16' });
    const load = (source: string, options?: FromPretrainedOptions) =>
      Dinov2ForImageClassification.from_pretrained(join(folder, source), options);
    const expected = new Map(model.weights());
    for (const loaded of [await load('int8', { dtype: 'float32' }), await load('float32')]) {
      assert.is(loaded.dtype, 'float32');
      for (const [name, { data }] of loaded.weights()) assertSameBits(data, expected.get(name)?.data as Float32Array, name);
    }
    assertSameOutput(await (await load('int8', { dtype: 'float32' }))(pixels(1)), await (await load('float32'))(pixels(1)));
    const halves = await load('int8', { dtype: 'float16' });
    assert.is(halves.dtype, 'float16');
    for (const [name, weight] of (await load('float16')).weights()) {
      if (/(attention|mlp|projection|classifier).*weight/.test(name)) {
        assertSameBits(new Map(halves.weights()).get(name)?.data as Float32Array, weight.data, name);
      }
    }
  });
});

type Depth = ((inputs: Float32) => Promise<DepthEstimatorOutput>) & Pick<Dinov2Model, 'dtype' | 'dispose' | 'save_pretrained'>;

/** A depth model wide enough that 8 bits pay in its convolutions. */
const WIDE_DEPTH = {
  backbone_config: { ...TINY, model_type: 'dinov2', out_features: ['stage1', 'stage3'] },
  ...{ neck_hidden_sizes: [64, 72], reassemble_factors: [2, 0.5], fusion_hidden_size: 64, head_hidden_size: 8, initializer_range: 0.06 },
};

test('an int8 depth model has 8 bits where its work is and float16 in the rest of its head, saved and loaded to the same bits', () =>
  withFolder(async (folder) => {
    for (const Model of [DPTForDepthEstimation, DepthAnythingForDepthEstimation]) {
      const [int8, floats] = (['int8', 'float32'] as const).map((dtype) => new Model(WIDE_DEPTH, { dtype, seed: 2 }) as Depth) as [
        Depth,
        Depth,
      ];
      const { predicted_depth } = await int8(pixels(1));
      const exact = (await floats(pixels(1))).predicted_depth.data;
      const found = cosine(predicted_depth.data, exact);
      assert.ok(found > 0.999 && found < 1, `cosine ${found}`); // measured 0.9998
      await int8.save_pretrained(folder);
      const saved = await openCheckpoint(folder);
      const kinds = (of: RegExp): string[] => [
        ...new Set([...saved.entries].filter(([name]) => of.test(name)).map(([, { dtype }]) => dtype)),
      ];
      assert.equal(kinds(/^neck\.(convs|fusion.*convolution).*weight$/), ['int8']);
      assert.equal(kinds(/^(head|neck.*(projection|projects)).*weight$/), ['float16']);
      assert.equal(kinds(/^(head|neck).*bias$/), ['float32']);
      await saved.close();
      const loaded = (await AutoModelForDepthEstimation.from_pretrained(folder)) as Depth;
      assert.is(loaded.dtype, 'int8');
      assertSameOutput(await loaded(pixels(1)), { predicted_depth });
      for (const model of [int8, floats, loaded]) model.dispose();
    }
  }));

test('a depth model of int8 is near to the original', async () => {
  for (const name of ['depth-dpt', 'depth-anything-relative', 'depth-anything-metric']) {
    const x = (await readTensors(goldenPath(`${name}/io.safetensors`))).get('a.pixel_values') as Float32;
    const depth = async (dtype: 'int8' | 'float32'): Promise<Float32Array> => {
      const model = (await AutoModelForDepthEstimation.from_pretrained(goldenPath(name), { dtype })) as Depth;
      return (await model(x)).predicted_depth.data;
    };
    const found = cosine(await depth('int8'), await depth('float32'));
    assert.ok(found > 0.999, `${name}: cosine ${found}`); // measured 0.9994 and more; the encoder, 48 wide, loses that
  }
});

test('a calibrated model keeps what is no int8 as it was, and is loaded from its own file to the same bits, within a memory limit too', async () => {
  await withFolder(async (folder) => {
    const config = { ...TINY, hidden_size: 192, num_hidden_layers: 8, mlp_ratio: 4, initializer_range: 0.05 };
    const original = new Dinov2Model(config, { seed: 4 });
    await original.save_pretrained(join(folder, 'float32'));
    const calibration = await original.calibrate([pixels(2), pixels(1, 28)]);
    const model = await Dinov2Model.from_pretrained(join(folder, 'float32'), { dtype: 'int8', calibration });
    const weights = new Map(original.weights());
    for (const [name, { data }] of model.weights()) {
      if (/norm|token|lambda/.test(name)) assertSameBits(data, weights.get(name)?.data as Float32Array, name);
    }
    const x = pixels(2, 28, 20, 5);
    const expected = await model(x, EVERYTHING);
    await model.save_pretrained(join(folder, 'int8'));
    for (const options of [{}, { calibration }, { memoryLimit: 3 * 2 ** 20 }]) {
      const loaded = await Dinov2Model.from_pretrained(join(folder, 'int8'), options);
      for (let i = 0; i < 2; i++) assertSameOutput(await loaded(x, EVERYTHING), expected, JSON.stringify(Object.keys(options)));
      if ('memoryLimit' in options) assert.ok(loaded.memory < model.memory, 'blocks are brought in one at a time');
      loaded.dispose();
    }
    const plain = await Dinov2Model.from_pretrained(join(folder, 'float32'), { dtype: 'int8' });
    const off = async (of: Dinov2Model): Promise<number> =>
      1 - cosine((await of(x)).last_hidden_state.data, (await original(x)).last_hidden_state.data);
    const [calibrated, uncalibrated] = [await off(model), await off(plain)];
    assert.ok(calibrated < uncalibrated && calibrated < 5e-4, `1 - cosine: ${calibrated} calibrated, ${uncalibrated} not`);
  });
});

test('patches are of 8 bits from a width of 64 on, their scales in the order of the file, as its documentation says', async () => {
  await withFolder(async (folder) => {
    const name = 'embeddings.patch_embeddings.projection.weight';
    for (const hidden_size of [48, 64]) {
      const model = new Dinov2Model(
        { ...TINY, hidden_size, num_attention_heads: 2, patch_size: 14, image_size: 28 },
        { seed: 1, dtype: 'int8' },
      );
      await model.save_pretrained(folder);
      const checkpoint = await openCheckpoint(join(folder, 'model.safetensors'));
      const { dims, data } = await checkpoint.read(name);
      assert.is(checkpoint.entries.has(`${name}_scale`), hidden_size === 64);
      const inputs = (dims[1] as number) * 14 * 14;
      const groups = Math.ceil(inputs / 128);
      const scales = hidden_size === 64 ? (await checkpoint.read(`${name}_scale`)).data : new Float32Array(hidden_size * groups).fill(1);
      const weight = Float32Array.from(data as Float32Array, (x, e) => {
        return x * (scales[Math.floor(e / inputs) * groups + Math.floor((e % inputs) / 128)] as number);
      });
      assertSameBits(new Map(model.weights()).get(name)?.data as Float32Array, weight, `${hidden_size} wide`);
      await checkpoint.close();
      model.dispose();
    }
  });
});

test('weights of zeros are saved as int8 with scales that are read back', async () => {
  await withFolder(async (folder) => {
    const zero = new Dinov2Model({ ...TINY, initializer_range: 0 }, { dtype: 'int8' });
    await zero.save_pretrained(folder);
    assertSameOutput(await (await Dinov2Model.from_pretrained(folder))(pixels(1)), await zero(pixels(1)));
  });
});

test('saving as int8 what is kept as floats is refused, and leaves no file', async () => {
  await withFolder(async (folder) => {
    for (const dtype of ['float32', 'float16'] as const) {
      const model = new Dinov2Model(TINY, { dtype });
      const save = (): Promise<void> => model.save_pretrained(join(folder, 'new'), { dtype: 'int8' });
      await refuses(save, DTypeError, 'dtype "int8" needs a model that was loaded or made with dtype "int8"', dtype);
    }
    assert.equal(readdirSync(folder), []);
  });
});

type Tensors = Map<string, Tensor>;

const files = new Map<string, Uint8Array<ArrayBuffer>>();

/** The files of an int8 model, its tensors changed. */
async function changed(change: (tensors: Tensors) => void): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  if (files.size === 0) {
    await withFolder(async (folder) => {
      await new Dinov2Model(TINY, { seed: 4, dtype: 'int8' }).save_pretrained(folder);
      for (const file of readdirSync(folder)) files.set(file, new Uint8Array(readFileSync(join(folder, file))));
    });
  }
  const tensors: Tensors = new Map();
  await withFolder(async (folder) => {
    const [, bytes] = [...files].find(([name]) => name.endsWith('.safetensors')) as [string, Uint8Array];
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(folder, 'x.safetensors'), bytes);
    for (const [name, tensor] of await readTensors(join(folder, 'x.safetensors'))) tensors.set(name, tensor);
  });
  change(tensors);
  const writer = new MemoryWriter();
  const named = [...tensors].map(([name, { dtype, dims, data }]): NamedTensor => ({ name, dtype, dims, data }));
  await writeSafetensors(writer, named, { format: 'pt' });
  return { 'config.json': files.get('config.json') as Uint8Array<ArrayBuffer>, 'model.safetensors': writer.bytes };
}

const floats = (...values: number[]): Tensor => new Tensor('float32', Float32Array.from(values), [values.length]);
/** Scales of one group each. */
const column = (...values: number[]): Tensor => floats(...values).reshape(values.length, 1);
const QUERY = 'encoder.layer.1.attention.attention.query';
const FC1 = 'encoder.layer.0.mlp.fc1';

test('a quantised file that is wrong is refused by the name of the tensor, whatever kind of number it is loaded as', async () => {
  const ones = (count: number): number[] => new Array(count).fill(1);
  const refused = async (change: (tensors: Tensors) => void, ...parts: string[]): Promise<void> => {
    const source = await changed(change);
    for (const dtype of [undefined, ...DTYPES]) {
      await refuses(() => Dinov2Model.from_pretrained(source, dtype ? { dtype } : {}), CheckpointError as typeof Dinov2Error, ...parts);
    }
  };
  await refused((t) => t.delete(`${QUERY}.weight_rotated_scale`), `"${QUERY}.weight"`, `int8 without "${QUERY}.weight_rotated_scale"`);
  for (const count of [0, 11, 13, 144]) {
    const found = `"${QUERY}.weight_rotated_scale": expected float32 [12,1], a scale for every 128 inputs, found float32 [${count}]`;
    await refused((t) => t.set(`${QUERY}.weight_rotated_scale`, floats(...ones(count))), found);
  }
  for (const value of [0, -0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await refused(
      (t) => t.set(`${FC1}.weight_rotated_scale`, column(...ones(29), value)),
      `"${FC1}.weight_rotated_scale": expected finite scales above 0, found ${value} at 29`,
    );
  }
  const halves = new Tensor('float16', new Uint16Array(12).fill(15360), [12]);
  await refused((t) => t.set(`${QUERY}.weight_rotated_scale`, halves), `"${QUERY}.weight_rotated_scale"`, 'found float16 [12]');
  await refused((t) => t.set(`${QUERY}.input_scale`, floats(...ones(12))), `"${QUERY}.input_scale": expected no such tensor`);
  await refused((t) => t.set(`${QUERY}.weight_rotated_scale_of`, floats(1)), `"${QUERY}.weight_rotated_scale_of": expected no such tensor`);
  await refused((t) => t.set(`${QUERY}.bias_scale`, floats(1)), `"${QUERY}.bias_scale": expected no such tensor`);
  await refused((t) => t.set(`${QUERY}.weight`, new Tensor('int8', new Int8Array(132), [11, 12])), `"${QUERY}.weight": expected [12,12]`);
  for (const name of ['encoder.layer.0.norm1.bias', 'embeddings.cls_token', `${FC1}.bias`]) {
    const dtype: DType = 'int8';
    await refused((t) => t.set(name, (t.get(name) as Tensor).to(dtype)), `"${name}"`, 'found int8');
  }
});

test('layers of convolutions and heads that a quantised file has as integers too are loaded as the model keeps them', async () => {
  const name = 'embeddings.patch_embeddings.projection.weight';
  const source = await changed((t) => {
    t.set(
      name,
      new Tensor(
        'int8',
        Int8Array.from({ length: 384 }, (_, i) => (i % 255) - 127),
        [12, 2, 4, 4],
      ),
    );
    t.set(`${name}_scale`, column(...new Array(12).fill(0.125)));
  });
  const weight = new Map((await Dinov2Model.from_pretrained(source)).weights()).get(name) as Float32;
  assertSameBits(
    weight.data,
    Float32Array.from({ length: 384 }, (_, i) => ((i % 255) - 127) / 8),
  );
});

test('pixels that are not finite leave no number in the outputs of their picture, and no trace in others', async () => {
  for (const dtype of DTYPES) {
    for (const config of [TINY, { ...TINY, use_swiglu_ffn: true }, { ...TINY, hidden_act: 'relu' }] as const) {
      const model = new Dinov2ForImageClassification(config, { seed: 3, dtype, threads: 2 });
      const plain = await model(pixels(3), EVERYTHING);
      for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const x = pixels(3);
        x.data[2 * 20 * 20 + 77] = special; // of the second picture
        const found = await model(x, EVERYTHING);
        const check = (key: string, of: object): void => {
          const [y, before] = [flatten(found).get(key) as Float32, flatten(of).get(key) as Float32];
          for (const i of [0, 2]) assertSameBits(y.at(i).data, before.at(i).data, `${dtype}, ${key}, picture ${i}`);
          assert.not(y.at(1).data.some(Number.isFinite), `${dtype}, ${special}: a number in ${key}`);
        };
        for (const key of ['logits', 'hidden_states.1', 'hidden_states.3', 'attentions.1', 'attentions.2']) check(key, plain);
      }
      model.dispose();
    }
  }
});

test('a weight that is not finite leaves no number in the outputs of an int8 model', async () => {
  const model = new Dinov2Model(TINY, { seed: 4 });
  for (const special of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await withFolder(async (folder) => {
      await model.config.save_pretrained(folder);
      const tensors = [...model.weights()].map(([name, { dtype, dims, data }]): NamedTensor => {
        if (name === `${FC1}.weight`) data[100] = special;
        return { name, dtype, dims, data };
      });
      await saveCheckpoint(folder, tensors);
      const int8 = await Dinov2Model.from_pretrained(folder, { dtype: 'int8' });
      assert.not((await int8(pixels(1))).last_hidden_state.data.some(Number.isFinite), `${special}`);
      int8.dispose();
    });
  }
});

test.run();
