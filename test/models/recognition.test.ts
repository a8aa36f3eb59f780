import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Checkpoint, type Entry } from '../../src/checkpoint/checkpoint.ts';
import { canonical } from '../../src/checkpoint/names.ts';
import { type NamedTensor, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCheckpoint } from '../../src/checkpoint/shards.ts';
import { CheckpointError, ConfigError, NotFoundError } from '../../src/errors.ts';
import { AutoModel } from '../../src/models/auto.ts';
import { AutoConfig, Dinov2Config } from '../../src/models/config.ts';
import { Dinov2Model } from '../../src/models/dinov2.ts';
import { recogniseDinov2 } from '../../src/models/recognition.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { dict, float32, tensor, torchZip } from '../checkpoint/torchFiles.ts';
import { golden, goldenPath, MemoryWriter, refuses } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { readTensors } from './helpers.ts';

const PLAIN = goldenPath('fb-backbone/model.pth');
const REGISTERS = goldenPath('fb-backbone-reg-swiglu/model.pth');
/** Which the goldens have in a width of 48. */
const HEADS = { num_attention_heads: 4 };

type Dims = Record<string, readonly number[]>;

interface Architecture {
  readonly width: number;
  readonly depth: number;
  readonly hidden: number;
  readonly swiglu?: boolean;
  readonly registers?: number;
  readonly grid?: number;
  readonly block?: (i: number) => string;
}

/** The tensors of a model of facebookresearch/dinov2, without elements. */
function original({ width, depth, hidden, swiglu = false, registers = 0, grid = 37, block = (i) => `blocks.${i}` }: Architecture): Dims {
  const dims: Dims = {
    cls_token: [1, 1, width],
    pos_embed: [1, grid * grid + 1, width],
    mask_token: [1, width],
    'patch_embed.proj.weight': [width, 3, 14, 14],
    'patch_embed.proj.bias': [width],
    'norm.weight': [width],
    'norm.bias': [width],
  };
  if (registers > 0) dims.register_tokens = [1, registers, width];
  const [up, down] = swiglu ? ['mlp.w12', 'mlp.w3'] : ['mlp.fc1', 'mlp.fc2'];
  const rows = swiglu ? 2 * hidden : hidden;
  for (let i = 0; i < depth; i++) {
    const fields: Dims = {
      ...{ 'norm1.weight': [width], 'norm1.bias': [width], 'norm2.weight': [width], 'norm2.bias': [width] },
      ...{ 'attn.qkv.weight': [3 * width, width], 'attn.qkv.bias': [3 * width] },
      ...{ 'attn.proj.weight': [width, width], 'attn.proj.bias': [width], 'ls1.gamma': [width], 'ls2.gamma': [width] },
      ...{ [`${up}.weight`]: [rows, width], [`${up}.bias`]: [rows], [`${down}.weight`]: [width, hidden], [`${down}.bias`]: [width] },
    };
    for (const [name, value] of Object.entries(fields)) dims[`${block(i)}.${name}`] = value;
  }
  return dims;
}

function checkpointOf(dims: Dims): Checkpoint {
  const file = { read: async () => assert.unreachable('recognition reads nothing') };
  const entries = new Map<string, Entry>(
    Object.entries(dims).map(([name, value]) => [
      name,
      { dtype: 'float32', dims: value, extents: [{ file, offset: 0, bytes: 4 * sizeOf(value) }] },
    ]),
  );
  return new Checkpoint({ name: 'x.pth', entries, metadata: new Map(), files: [] });
}

const SMALL: Architecture = { width: 384, depth: 12, hidden: 1536 };

for (const [name, architecture, millions, expected] of [
  ['ViT-S/14', SMALL, 22.06, { num_attention_heads: 6 }],
  ['ViT-B/14', { width: 768, depth: 12, hidden: 3072 }, 86.58, { num_attention_heads: 12 }],
  ['ViT-L/14', { width: 1024, depth: 24, hidden: 4096 }, 304.37, { num_attention_heads: 16 }],
  ['ViT-g/14', { width: 1536, depth: 40, hidden: 4096, swiglu: true }, 1136.48, { num_attention_heads: 24, use_swiglu_ffn: true }],
] as const) {
  test(`${name} is recognised by its tensors, with and without registers`, () => {
    const dims = original(architecture);
    const parameters = Object.values(dims).reduce((sum, value) => sum + sizeOf(value), 0);
    assert.is((parameters / 1e6).toFixed(2), millions.toFixed(2));
    const fields = {
      model_type: 'dinov2',
      hidden_size: architecture.width,
      num_hidden_layers: architecture.depth,
      mlp_ratio: 4,
      layer_norm_eps: 1e-6,
      image_size: 518,
      patch_size: 14,
      num_channels: 3,
      qkv_bias: true,
      use_swiglu_ffn: false,
      use_mask_token: true,
      ...expected,
    };
    assert.equal(recogniseDinov2(checkpointOf(dims)), fields);
    const registers = recogniseDinov2(checkpointOf(original({ ...architecture, registers: 4 })));
    assert.equal(registers, { ...fields, model_type: 'dinov2_with_registers', num_register_tokens: 4 });
  });
}

test('a model is recognised in chunks, behind prefixes, in the layout of the hub, and beside a head', () => {
  const fields = recogniseDinov2(checkpointOf(original(SMALL)));
  const chunked = original({ ...SMALL, block: (i) => `blocks.${Math.floor(i / 3)}.${i}` });
  assert.equal(recogniseDinov2(checkpointOf(chunked)), fields);
  const prefixed = Object.fromEntries(Object.entries(original(SMALL)).map(([name, dims]) => [`module.backbone.${name}`, dims]));
  assert.equal(recogniseDinov2(checkpointOf({ ...prefixed, 'dino_head.last_layer.weight_v': [9, 9] })), fields);
  const hub = [...canonical(checkpointOf(original(SMALL))).entries].map(([name, { dims }]) => [`dinov2.${name}`, dims]);
  assert.equal(recogniseDinov2(checkpointOf({ ...Object.fromEntries(hub), 'classifier.weight': [7, 768] })), { ...fields, num_labels: 7 });
});

test('the layout of timm is recognised, registers and SwiGLU too', () => {
  const { mask_token, register_tokens, pos_embed, ...rest } = original({ width: 128, depth: 1, hidden: 344, swiglu: true, registers: 4 });
  assert.ok(mask_token && register_tokens && pos_embed);
  const renamed = Object.entries(rest).map(([name, dims]) => [name.replace('w12', 'fc1').replace('w3', 'fc2'), dims]);
  const found = recogniseDinov2(checkpointOf({ ...Object.fromEntries(renamed), reg_token: [1, 4, 128], pos_embed: [1, 37 * 37, 128] }));
  assert.equal([found.model_type, found.num_register_tokens, found.use_swiglu_ffn], ['dinov2_with_registers', 4, true]);
  assert.equal([found.use_mask_token, found.image_size, found.num_attention_heads], [false, 518, 2]);
  const { model_type, ...fields } = found;
  assert.is(new Dinov2Config(fields).swigluSize, 344);
});

test('unusual sizes are recognised so that the configuration gives them again', () => {
  for (let hidden = 1; hidden < 400; hidden++) {
    const fields = recogniseDinov2(checkpointOf(original({ width: 49, depth: 1, hidden })), { num_attention_heads: 7 });
    const { model_type, ...rest } = fields;
    assert.is(new Dinov2Config(rest).mlpSize, hidden);
  }
  const wide = checkpointOf({ ...original({ ...SMALL, grid: 5 }), 'patch_embed.proj.weight': [384, 1, 14, 7] });
  const { patch_size, image_size, num_channels } = recogniseDinov2(wide);
  assert.equal([patch_size, image_size, num_channels], [[14, 7], [70, 35], 1]);
  const { 'blocks.0.attn.qkv.bias': bias, ...without } = original({ ...SMALL, depth: 1 });
  assert.ok(bias);
  assert.is(recogniseDinov2(checkpointOf(without)).qkv_bias, false);
});

test('what is no DINOv2 is refused with the tensor that says so', async () => {
  const without = (...names: string[]): Checkpoint =>
    checkpointOf(Object.fromEntries(Object.entries(original(SMALL)).filter(([name]) => !names.includes(name))));
  const refused = (checkpoint: Checkpoint, ...parts: string[]): Promise<void> =>
    refuses(() => recogniseDinov2(checkpoint), CheckpointError, 'x.pth: not recognised as a DINOv2', ...parts);
  await refused(checkpointOf({ weight: [1000, 768], bias: [1000] }), 'embeddings.patch_embeddings.projection.weight', 'found none');
  await refused(without('blocks.0.ls1.gamma'), '"encoder.layer.0.layer_scale1.lambda1"', 'found none'); // as in DINO v1 and DeiT
  await refused(without('pos_embed'), 'position_embeddings', 'found none');
  await refused(without('blocks.0.mlp.fc1.weight'), 'mlp.fc1.weight', 'found none');
  await refused(checkpointOf({ ...original(SMALL), pos_embed: [1, 1371, 384] }), 'a square of patches, found 1371');
  await refused(checkpointOf({ ...original(SMALL), pos_embed: [1, 1, 384] }), 'a square of patches, found 1');
  await refused(checkpointOf({ ...original(SMALL), pos_embed: [1370, 384] }), 'of 3 dimensions, found [1370,384]');
  await refused(checkpointOf({ ...original(SMALL), 'patch_embed.proj.weight': [384, 588] }), 'of 4 dimensions');
  await refused(checkpointOf(original({ ...SMALL, width: 100 })), 'a multiple of 64, found 100', 'num_attention_heads');
});

/** What the original returns of all tokens, in the order they have here, and of the class token. */
async function agrees(model: Dinov2Model, golden: string, call: string): Promise<void> {
  const io = await readTensors(goldenPath(`${golden}/io.safetensors`));
  const get = (name: string): Float32 | undefined => io.get(`${call}.${name}`) as Float32 | undefined;
  const { last_hidden_state, pooler_output } = await model(get('pixel_values') as Tensor);
  const cls = get('x_norm_clstoken') as Float32; // (batch, hidden)
  const others = [get('x_norm_regtokens'), get('x_norm_patchtokens')].filter((part) => part !== undefined); // (batch, tokens, hidden)
  const [batch = 0, hidden] = cls.dims;
  assert.equal(last_hidden_state.dims, [batch, others.reduce((n, { dims }) => n + (dims[1] as number), 1), hidden]);
  for (let i = 0; i < batch; i++) {
    const expected = [cls, ...others].flatMap((part) => [...part.at(i).data]);
    assertWithin(last_hidden_state.at(i).data, Float32Array.from(expected), 1e-4, `picture ${i}`);
  }
  assertWithin(pooler_output.data, cls.data, 1e-4, 'pooler_output');
}

/** The tensors of a checkpoint of the original as timm saves them (`_convert_dinov2` in timm/models/vision_transformer.py). */
async function timmFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const checkpoint = await openCheckpoint(path);
  const { mask_token, register_tokens, cls_token, pos_embed, ...rest } = Object.fromEntries(
    await Promise.all([...checkpoint.entries.keys()].map(async (name) => [name, (await checkpoint.read(name)) as Float32] as const)),
  );
  await checkpoint.close();
  assert.ok(mask_token && cls_token && pos_embed);
  const named = (name: string, { dims, data }: Float32): NamedTensor => ({ name, dtype: 'float32', dims, data });
  const embeddings = register_tokens
    ? {
        reg_token: register_tokens,
        cls_token: new Tensor(
          'float32',
          cls_token.data.map((x, i) => x + (pos_embed.data[i] as number)),
          cls_token.dims,
        ),
        pos_embed: pos_embed.at(0).slice(1).reshape(1, -1, cls_token.size),
      }
    : { cls_token, pos_embed };
  const renamed = Object.entries(rest).map(([name, tensor]) => named(name.replace('w12', 'fc1').replace('w3', 'fc2'), tensor));
  const writer = new MemoryWriter();
  await writeSafetensors(writer, [...renamed, ...Object.entries(embeddings).map(([name, tensor]) => named(name, tensor))]);
  return writer.bytes;
}

for (const name of ['fb-backbone', 'fb-backbone-reg-swiglu']) {
  const path = goldenPath(`${name}/model.pth`);

  for (const call of ['native', 'interpolated']) {
    test(`${name}, ${call}: a .pth of facebookresearch/dinov2 alone gives the original's features`, async () => {
      const model = await AutoModel.from_pretrained(path, { config: HEADS });
      await agrees(model, name, call);
      model.dispose();
    });

    test(`${name}, ${call}: so does timm's folder, whose config.json says nothing that is read`, async () => {
      const config = new TextEncoder().encode('{"architecture": "vit_tiny_patch14_dinov2", "num_classes": 0}');
      const files = { 'config.json': config, 'model.safetensors': await timmFile(path) };
      const model = await AutoModel.from_pretrained(files, { config: HEADS });
      await agrees(model, name, call);
      model.dispose();
    });
  }
}

test("a training checkpoint gives its teacher's features, out of chunks of blocks and beside the heads", async () => {
  const checkpoint = await openCheckpoint(PLAIN);
  const teacher: Record<string, Uint8Array> = {};
  const storages: Record<string, Uint8Array> = { head: float32(1) };
  for (const name of checkpoint.entries.keys()) {
    const { dims, data, size, bytes } = await checkpoint.read(name);
    const chunked = name.replace(/^blocks\.(\d+)/, (_, i) => `blocks.${Math.floor(Number(i) / 2)}.${i}`);
    teacher[`backbone.${chunked}`] = tensor({ key: name, saved: size, dims });
    storages[name] = new Uint8Array(data.buffer, data.byteOffset, bytes);
  }
  await checkpoint.close();
  const head = tensor({ key: 'head', saved: 1, dims: [1] });
  const value = dict({
    student: dict({ x: head }),
    teacher: dict({ ...teacher, 'dino_head.mlp.0.bias': head, 'ibot_head.mlp.0.bias': head }),
  });
  const model = await AutoModel.from_pretrained({ 'teacher_checkpoint.pth': torchZip(value, storages) }, { config: HEADS });
  await agrees(model, 'fb-backbone', 'native');
  model.dispose();
});

test('the class of a model loads its .pth and no other', async () => {
  const model = await Dinov2Model.from_pretrained(PLAIN, { config: HEADS });
  await agrees(model, 'fb-backbone', 'native');
  model.dispose();
  await refuses(() => Dinov2Model.from_pretrained(REGISTERS, { config: HEADS }), ConfigError, REGISTERS, '"dinov2_with_registers"');
});

test('a model with registers and SwiGLU is recognised from its file', async () => {
  const checkpoint = await openCheckpoint(REGISTERS);
  const found = recogniseDinov2(checkpoint, HEADS);
  assert.equal(found, {
    model_type: 'dinov2_with_registers',
    hidden_size: 48,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    mlp_ratio: 4,
    layer_norm_eps: 1e-6,
    image_size: 70,
    patch_size: 14,
    num_channels: 3,
    qkv_bias: true,
    use_swiglu_ffn: true,
    use_mask_token: true,
    num_register_tokens: 4,
  });
  await checkpoint.close();
});

test('a configuration comes from config.json where there is one, and is never guessed for what transformers wrote', async () => {
  const file = golden('fb-backbone/model.pth');
  const config = new TextEncoder().encode('{"model_type": "dinov2", "hidden_size": 48, "num_attention_heads": 3}');
  const source = { 'config.json': config, 'x.pth': file };
  assert.is((await AutoConfig.from_pretrained(source)).num_attention_heads, 3);
  assert.is((await AutoConfig.from_pretrained({ 'x.pth': file }, HEADS)).image_size, 70);
  await refuses(() => AutoConfig.from_pretrained({ 'x.pth': file }), CheckpointError, 'x.pth', 'found 48');
  await refuses(() => AutoConfig.from_pretrained({ 'model.safetensors': file }, HEADS), NotFoundError, 'config.json');
});

test.run();
