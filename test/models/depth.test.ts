import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, ConfigError, ShapeError } from '../../src/errors.ts';
import {
  AutoModelForDepthEstimation,
  DepthAnythingForDepthEstimation,
  Dinov2Config,
  Dinov2WithRegistersConfig,
  DPTForDepthEstimation,
} from '../../src/index.ts';
import type { Parameters } from '../../src/nn/parameters.ts';
import type { Engine } from '../../src/runtime/engine.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { golden, goldenPath, refuses, withFolder } from '../helpers.ts';
import { assertAsExactAs, assertSameBits } from '../reference/compare.ts';
import * as reference from '../reference/depth.ts';
import { ACTIVATIONS } from '../reference/ops.ts';
import { pixels, readTensors, repeated, TINY } from './helpers.ts';

type AnyModel = typeof DPTForDepthEstimation;
const CASES: Readonly<Record<string, AnyModel>> = {
  'depth-dpt': DPTForDepthEstimation,
  'depth-anything-relative': DepthAnythingForDepthEstimation as unknown as AnyModel,
  'depth-anything-metric': DepthAnythingForDepthEstimation as unknown as AnyModel,
};

/** The deepest fusion has nothing to fuse with; transformers keeps these tensors all the same. */
const UNUSED = /^neck\.fusion_stage\.layers\.0\.residual_layer1\./;

const backbone_config = { ...TINY, model_type: 'dinov2', out_features: ['stage1', 'stage3'] };
const TINY_DEPTH = {
  backbone_config,
  neck_hidden_sizes: [5, 7],
  reassemble_factors: [2, 0.5],
  fusion_hidden_size: 6,
  head_hidden_size: 3,
  initializer_range: 0.2,
};

/** The depth of a golden in float64: pixels (batch, channels, height, width) -> (batch, height, width) */
async function exactDepth(name: string, pixels: Float32, { max_depth }: { max_depth?: number }): Promise<Float64Array> {
  const weights = await readTensors(goldenPath(`${name}/model.safetensors`));
  const get = (tensor: string): Float32 | undefined => weights.get(tensor) as Float32 | undefined;
  const isDpt = name === 'depth-dpt';
  const [batch, ...size] = pixels.dims as [number, number, number, number];
  const [, height, width] = size;
  const activation = ACTIVATIONS[name.endsWith('metric') ? 'sigmoid' : 'relu'];
  const maps = Array.from({ length: batch }, (_, i) => {
    const encoder = { layers: 4, heads: 4, patch: 14, posEmbed: 'size', norm: !isDpt } as const;
    const stages = reference.stages((tensor) => get(`backbone.${tensor}`), pixels.at(i).data, size, encoder);
    const full = [14 * Math.floor(height / 14), 14 * Math.floor(width / 14)] as const;
    const options = isDpt
      ? ({ readout: 'project', upsample: 'double', size: 'double' } as const)
      : ({ readout: 'ignore', upsample: 'next', size: full } as const);
    return reference.decode(get, stages, options).data.map((x) => activation(x) * (max_depth ?? 1));
  });
  return Float64Array.from(maps.flatMap((map) => [...map]));
}

for (const [name, Model] of Object.entries(CASES)) {
  test(`${name}: the depth is that of transformers, as exact as its own, and that of a trace the same to the bit`, async () => {
    const io = await readTensors(goldenPath(`${name}/io.safetensors`));
    const model = await AutoModelForDepthEstimation.from_pretrained(goldenPath(name), { posEmbed: 'size' });
    assert.instance(model, Model);
    for (const call of ['a', 'b']) {
      const inputs = { pixel_values: io.get(`${call}.pixel_values`) as Float32 };
      const expected = io.get(`${call}.predicted_depth`) as Float32;
      const { predicted_depth } = await model(inputs);
      assert.equal(predicted_depth.dims, expected.dims);
      const exact = await exactDepth(name, inputs.pixel_values, model.config as { max_depth?: number });
      assertAsExactAs(predicted_depth.data, expected.data, exact, 1e-4, call);
      const traced = await model.trace(inputs);
      await traced({ pixel_values: pixelsLike(inputs.pixel_values) });
      assertSameBits((await traced(inputs)).predicted_depth.data, predicted_depth.data, `traced ${call}`);
      assertSameBits((await repeated(model, inputs)).predicted_depth.data, predicted_depth.data, `repeated ${call}`);
    }
    model.dispose();
  });

  test(`${name}: saved and read back, names, weights and configuration are those of the checkpoint`, () =>
    withFolder(async (folder) => {
      const model = await Model.from_pretrained(goldenPath(name));
      await model.save_pretrained(folder);
      const [saved, original] = [
        await readTensors(`${folder}/model.safetensors`),
        await readTensors(goldenPath(`${name}/model.safetensors`)),
      ];
      const used = [...original.keys()].filter((tensor) => !UNUSED.test(tensor));
      assert.equal([...saved.keys()].sort(), used.sort());
      for (const tensor of used)
        assertSameBits(saved.get(tensor)?.data as Float32Array, original.get(tensor)?.data as Float32Array, tensor);
      const again = await Model.from_pretrained(folder);
      const { torch_dtype, ...config } = again.config.to_dict();
      assert.is(torch_dtype, 'float32');
      assert.equal(config, model.config.to_dict());
      model.dispose();
      again.dispose();
    }));
}

function pixelsLike({ dims }: Float32): Float32 {
  const [batch, channels, height, width] = dims as [number, number, number, number];
  return pixels(batch * channels, height, width, 9)
    .reshape(-1)
    .slice(0, batch * channels * height * width)
    .reshape(...dims);
}

test('positions are interpolated as the authors of the backbone do, unless posEmbed says otherwise', async () => {
  const depth = async (posEmbed?: 'offset' | 'size'): Promise<Float32> =>
    (await new DepthAnythingForDepthEstimation(TINY_DEPTH, posEmbed && { posEmbed })(pixels(1, 24, 28))).predicted_depth;
  assertSameBits((await depth()).data, (await depth('offset')).data);
  assert.not.equal((await depth()).data, (await depth('size')).data);
});

test('a picture has the same depth in any batch; what is beyond the last whole patch has none', async () => {
  const model = new DepthAnythingForDepthEstimation({ ...TINY_DEPTH, depth_estimation_type: 'metric', max_depth: 80 });
  const batch = pixels(2, 23, 30);
  const { predicted_depth } = await model(batch);
  assert.equal(predicted_depth.dims, [2, 20, 28]);
  assert.ok(predicted_depth.data.every((x) => x >= 0 && x <= 80));
  assert.ok(new Set(predicted_depth.data).size > 100);
  assertSameBits((await model(batch.slice(1))).predicted_depth.data, predicted_depth.at(1).data);
});

test('the encoder shows its states on request, the depth comes first in a tuple', async () => {
  const model = new DPTForDepthEstimation(TINY_DEPTH);
  const all = await model(pixels(1), { output_hidden_states: true, output_attentions: true });
  assert.equal(Object.keys(all), ['predicted_depth', 'hidden_states', 'attentions']);
  assert.is(all.hidden_states?.length, TINY.num_hidden_layers + 1);
  const [depth] = (await model(pixels(1), { return_dict: false })) as unknown as [Float32];
  assertSameBits(depth.data, all.predicted_depth.data);
});

test('maps are released when they were read, and no enlarged one is ever whole', async () => {
  const fields = { ...TINY_DEPTH, backbone_config: { ...backbone_config, patch_size: 14, image_size: 224 } };
  const wide = { neck_hidden_sizes: [8, 8], reassemble_factors: [4, 1], fusion_hidden_size: 256, add_projection: true };
  const [side, channels] = [32 * 8, 128]; // of the map that the last but one convolution reads
  for (const Model of [DPTForDepthEstimation, DepthAnythingForDepthEstimation]) {
    const model = new Model({ ...fields, ...wide }, { initialize: false });
    const { engine, parameters } = model as unknown as { engine: Engine; parameters: Parameters };
    for (const { allocate } of parameters.all) allocate();
    const weights = engine.reserved;
    const traced = await model.trace({ height: 14 * 32, width: 14 * 32 }); // sets aside what a run takes
    const maps = (engine.reserved - weights) / (4 * side * side * channels);
    assert.ok(maps < 2, `${maps} maps`);
    traced.dispose();
    model.dispose();
  }
});

test('readouts, biases and a projection of the head are as the configuration says', async () => {
  const names = ({ readout_type = 'project', ...fields }: { readout_type?: string; [field: string]: unknown }): string[] =>
    [...new DPTForDepthEstimation({ ...TINY_DEPTH, ...fields, readout_type }).weights()].map(([name]) => name);
  assert.ok(names({}).includes('neck.reassemble_stage.readout_projects.1.0.weight'));
  for (const readout_type of ['ignore', 'add']) assert.not(names({ readout_type }).some((name) => name.includes('readout')));
  const bias = 'neck.fusion_stage.layers.1.residual_layer1.convolution1.bias';
  assert.ok(names({}).includes(bias));
  assert.not(names({ use_bias_in_fusion_residual: false }).includes(bias));
  assert.ok(names({ add_projection: true }).includes('head.projection.weight'));
  assert.not(names({}).includes('head.projection.weight'));
});

test('registers have no part in the maps', async () => {
  const registers = { ...backbone_config, model_type: 'dinov2_with_registers', num_register_tokens: 3 };
  const model = new DepthAnythingForDepthEstimation({ ...TINY_DEPTH, backbone_config: registers });
  assert.is(model.config.posEmbed, 'antialias');
  assert.equal((await model(pixels(1))).predicted_depth.dims, [1, 20, 20]);
  const same = new DepthAnythingForDepthEstimation({ ...TINY_DEPTH, backbone_config: new Dinov2WithRegistersConfig(registers) });
  assert.equal(same.config.to_dict(), model.config.to_dict());
});

test('weights that do not fit, calls and model types that are none are refused by name', async () => {
  const files = { 'config.json': golden('depth-dpt/config.json'), 'model.safetensors': golden('depth-dpt/model.safetensors') };
  const load = (config: object) => () => DPTForDepthEstimation.from_pretrained(files, { config: { ...config } });
  await refuses(load({ add_projection: false }), CheckpointError, '"head.projection.weight"', 'expected no such tensor');
  await refuses(load({ use_bias_in_fusion_residual: true }), CheckpointError, 'residual_layer1.convolution1.bias', 'found none');
  await refuses(load({ fusion_hidden_size: 8 }), CheckpointError, '"head.projection.bias": expected [8], found [16]');
  await refuses(
    () => DepthAnythingForDepthEstimation.from_pretrained(files),
    ConfigError,
    '"model_type"',
    '"depth_anything"',
    'found "dpt"',
  );
  await refuses(() => new DepthAnythingForDepthEstimation(new Dinov2Config(TINY)), ConfigError, '"model_type"', 'found "dinov2"');
  const other = { ...files, 'config.json': new TextEncoder().encode('{"model_type": "glpn"}') };
  await refuses(() => AutoModelForDepthEstimation.from_pretrained(other), ConfigError, 'config.json', '"model_type"', 'found "glpn"');

  const model = new DPTForDepthEstimation(TINY_DEPTH);
  await refuses(() => model(pixels(1), { labels: [1] } as object), ArgumentError, '"labels"');
  await refuses(() => model(pixels(1, 3)), ShapeError, 'at least one patch of 4 x 4');
});

test.run();
