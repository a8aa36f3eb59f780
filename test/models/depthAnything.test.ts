import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CheckpointError, ConfigError } from '../../src/errors.ts';
import {
  AutoConfig,
  AutoModelForDepthEstimation,
  DepthAnythingConfig,
  DepthAnythingForDepthEstimation,
  type FromPretrainedOptions,
} from '../../src/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { dict, tensor, torchZip } from '../checkpoint/torchFiles.ts';
import { goldenPath, refuses } from '../helpers.ts';
import { assertSameBits, assertWithinOfLargest } from '../reference/compare.ts';
import { readTensors } from './helpers.ts';

const RELATIVE = 'depth-anything-relative';
const METRIC = 'depth-anything-metric';
const HEADS = { num_attention_heads: 4 };

/** The names that the authors' files have (depth_anything/dpt.py, depth_anything_v2/dpt.py and blocks.py), by those of transformers. */
function originalName(name: string): string {
  const fusion = (level: string): string => `depth_head.scratch.refinenet${4 - Number(level)}`;
  return name
    .replace('backbone.embeddings.cls_token', 'pretrained.cls_token')
    .replace('backbone.embeddings.mask_token', 'pretrained.mask_token')
    .replace('backbone.embeddings.position_embeddings', 'pretrained.pos_embed')
    .replace('backbone.embeddings.patch_embeddings.projection', 'pretrained.patch_embed.proj')
    .replace('backbone.layernorm', 'pretrained.norm')
    .replace(/^backbone\.encoder\.layer\.(\d+)/, 'pretrained.blocks.$1')
    .replace('attention.output.dense', 'attn.proj')
    .replace(/layer_scale(\d)\.lambda1/, 'ls$1.gamma')
    .replace(/^neck\.reassemble_stage\.layers\.(\d)\.projection/, 'depth_head.projects.$1')
    .replace(/^neck\.reassemble_stage\.layers\.(\d)\.resize/, 'depth_head.resize_layers.$1')
    .replace(/^neck\.convs\.(\d)/, (_, level) => `depth_head.scratch.layer${Number(level) + 1}_rn`)
    .replace(/^neck\.fusion_stage\.layers\.(\d)\.projection/, (_, level) => `${fusion(level)}.out_conv`)
    .replace(
      /^neck\.fusion_stage\.layers\.(\d)\.residual_layer(\d)\.convolution(\d)/,
      (_, level, unit, conv) => `${fusion(level)}.resConfUnit${unit}.conv${conv}`,
    )
    .replace('head.conv1', 'depth_head.scratch.output_conv1')
    .replace('head.conv2', 'depth_head.scratch.output_conv2.0')
    .replace('head.conv3', 'depth_head.scratch.output_conv2.2');
}

/** The golden's tensors in a file as the authors have them. */
async function originalFile(golden: string, without?: string): Promise<Uint8Array<ArrayBuffer>> {
  const tensors = await readTensors(goldenPath(`${golden}/model.safetensors`));
  const fields: Record<string, Uint8Array> = {};
  const storages: Record<string, Uint8Array> = {};
  const put = (name: string, { dims, data, size, bytes }: Tensor): void => {
    if (name === without) return;
    fields[name] = tensor({ key: name, saved: size, dims });
    storages[name] = new Uint8Array(data.buffer, data.byteOffset, bytes);
  };
  for (const [name, value] of tensors) {
    if (/attention\.(key|value)\./.test(name)) continue;
    if (!name.includes('attention.query.')) {
      put(originalName(name), value);
      continue;
    }
    const parts = ['query', 'key', 'value'].map((part) => tensors.get(name.replace('query', part)) as Float32);
    const data = Float32Array.from(parts.flatMap((part) => [...part.data]));
    const [rows, ...row] = value.dims as [number, ...number[]];
    put(originalName(name).replace('attention.attention.query', 'attn.qkv'), new Tensor('float32', data, [3 * rows, ...row]));
  }
  assert.ok(Object.keys(fields).every((name) => /^(pretrained|depth_head)\./.test(name)));
  return torchZip(dict(fields), storages);
}

for (const [golden, file, more] of [
  [RELATIVE, 'depth_anything_vits14.pth', {}],
  [RELATIVE, 'depth_anything_v2_vits.pth', {}],
  [METRIC, 'depth_anything_v2_metric_hypersim_vits.pth', {}],
] as const) {
  test(`${file}: a file of the authors alone gives the depth and the weights of the layout of transformers`, async () => {
    const expected = JSON.parse(readFileSync(goldenPath(`${golden}/config.json`), 'utf8')) as { max_depth: number };
    const config = { ...HEADS, max_depth: expected.max_depth, ...more };
    const model = (await AutoModelForDepthEstimation.from_pretrained(
      { [file]: await originalFile(golden) },
      { config, posEmbed: 'size' },
    )) as DepthAnythingForDepthEstimation;
    assert.instance(model, DepthAnythingForDepthEstimation);
    const other = await DepthAnythingForDepthEstimation.from_pretrained(goldenPath(golden));
    const weights = new Map(other.weights());
    const own = [...model.weights()];
    assert.equal(own.map(([name]) => name).sort(), [...weights.keys()].sort());
    for (const [name, { data }] of own) assertSameBits(data, weights.get(name)?.data as Float32Array, name);
    for (const field of [
      'neck_hidden_sizes',
      'reassemble_factors',
      'fusion_hidden_size',
      'head_hidden_size',
      'depth_estimation_type',
      'max_depth',
      'out_features',
      'reassemble_hidden_size',
    ] as const) {
      assert.equal(model.config[field], other.config[field], field);
    }
    assert.not('num_attention_heads' in model.config.to_dict());

    const io = await readTensors(goldenPath(`${golden}/io.safetensors`));
    for (const call of ['a', 'b']) {
      const { predicted_depth } = await model({ pixel_values: io.get(`${call}.pixel_values`) as Float32 });
      const depth = io.get(`${call}.predicted_depth`) as Float32;
      assert.equal(predicted_depth.dims, depth.dims);
      assertWithinOfLargest(predicted_depth.data, depth.data, 1e-4, call);
    }
    model.dispose();
    other.dispose();
  });
}

test('the name of a file tells its version and the range of its depth; what it does not tell the option config does', async () => {
  const content = await originalFile(METRIC);
  const load = (file: string, config: FromPretrainedOptions['config'] = {}): Promise<DepthAnythingConfig> =>
    DepthAnythingConfig.from_pretrained({ [file]: content }, { ...HEADS, ...config });
  const seen = async (...args: Parameters<typeof load>): Promise<unknown[]> => {
    const config = await load(...args);
    return [config.depth_estimation_type, config.max_depth, config.out_indices];
  };
  const all = [1, 2, 3, 4];
  assert.equal(await seen('depth_anything_vitb14.pth'), ['relative', 1, all]);
  assert.equal(await seen('depth_anything_v2_metric_hypersim_vitl.pth'), ['metric', 20, all]);
  assert.equal(await seen('depth_anything_v2_metric_vkitti_vits.pth'), ['metric', 80, all]);
  assert.equal(await seen('mine.pth', { out_indices: [4, 3, 2, 1], depth_estimation_type: 'metric', max_depth: 7 }), [
    'metric',
    7,
    [4, 3, 2, 1],
  ]);
  await refuses(() => load('mine.pth'), CheckpointError, 'mine.pth', 'out_indices', '[1,2,3,4] in version 1');
  await refuses(() => load('depth_anything_vits14.pth', { max_depth: -1 }), ConfigError, 'max_depth');
  await refuses(
    () => AutoConfig.from_pretrained({ 'depth_anything_vits14.pth': content }, HEADS),
    ConfigError,
    '"model_type"',
    '"depth_anything"',
  );
});

test('a file that lacks a tensor of the decoder is refused by the name of that', async () => {
  const load = async (without: string): Promise<unknown> =>
    DepthAnythingForDepthEstimation.from_pretrained(
      { 'depth_anything_vits14.pth': await originalFile(RELATIVE, without) },
      { config: HEADS },
    );
  await refuses(
    () => load('depth_head.projects.2.weight'),
    CheckpointError,
    'depth_anything_vits14.pth: not recognised',
    'layers.2.projection.weight',
  );
  await refuses(
    () => load('depth_head.scratch.refinenet1.out_conv.bias'),
    CheckpointError,
    '"neck.fusion_stage.layers.3.projection.bias"',
    'found none',
  );
});

test.run();
