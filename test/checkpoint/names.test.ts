import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { canonical, type Rule, rename } from '../../src/checkpoint/names.ts';
import { type NamedTensor, openSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCheckpoint } from '../../src/checkpoint/shards.ts';
import { CheckpointError } from '../../src/errors.ts';
import { openSource } from '../../src/files/source.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { goldenPath, MemoryWriter, refuses } from '../helpers.ts';

async function checkpointOf(tensors: readonly NamedTensor[]): Promise<Checkpoint> {
  const writer = new MemoryWriter();
  await writeSafetensors(writer, tensors);
  return openSafetensors(await (await openSource({ x: writer.bytes })).open('x'));
}

/** A tensor of the numbers from `first` on. */
function counting(name: string, dims: number[], first = 0): NamedTensor {
  const size = dims.reduce((a, b) => a * b, 1);
  return { name, dtype: 'float32', dims, data: Float32Array.from({ length: size }, (_, i) => first + i) };
}

async function tensorsOf(checkpoint: Checkpoint): Promise<Record<string, Tensor>> {
  const tensors: Record<string, Tensor> = {};
  for (const name of checkpoint.entries.keys()) tensors[name] = await checkpoint.read(name);
  return tensors;
}

test('names of transformers 5 become those of the hub, with any prefix', async () => {
  const layer = 'dinov2.encoder.layer.11';
  const words = ['norm1', 'attention.q_proj', 'attention.k_proj', 'attention.v_proj', 'attention.o_proj', 'mlp.down_proj', 'mlp.fc1'];
  const checkpoint = await checkpointOf(words.map((word, i) => counting(`${layer}.${word}.bias`, [1], i)));
  const renamed = await tensorsOf(canonical(checkpoint));
  const found = Object.entries(renamed).map(([name, tensor]) => [name.replace(`${layer}.`, ''), tensor.item()]);
  assert.equal(Object.fromEntries(found), {
    'norm1.bias': 0,
    'attention.attention.query.bias': 1,
    'attention.attention.key.bias': 2,
    'attention.attention.value.bias': 3,
    'attention.output.dense.bias': 4,
    'mlp.weights_out.bias': 5,
    'mlp.fc1.bias': 6,
  });
});

test('gate and up projection become one matrix, gate first, whichever comes first in the file', async () => {
  const checkpoint = await checkpointOf([
    counting('layer.0.mlp.gate_proj.weight', [2, 2]),
    counting('layer.0.mlp.up_proj.weight', [1, 2], 100),
    counting('other', [1]),
  ]);
  const reversed = new Checkpoint({ ...checkpoint, entries: new Map([...checkpoint.entries].reverse()) });
  for (const either of [checkpoint, reversed]) {
    const { 'layer.0.mlp.weights_in.weight': joined, ...rest } = await tensorsOf(canonical(either));
    assert.equal([joined?.dims, joined?.data], [[3, 2], Float32Array.of(0, 1, 2, 3, 100, 101)]);
    assert.equal(Object.keys(rest), ['other']);
  }
});

/** A model in the layout of facebookresearch/dinov2: two blocks of width 2, one patch. */
const ORIGINAL: readonly NamedTensor[] = [
  counting('cls_token', [1, 1, 2]),
  counting('pos_embed', [1, 2, 2], 10),
  counting('register_tokens', [1, 4, 2]),
  counting('mask_token', [1, 2]),
  counting('patch_embed.proj.weight', [2, 3, 1, 1]),
  counting('blocks.0.norm1.weight', [2]),
  counting('blocks.0.attn.qkv.weight', [6, 2]),
  counting('blocks.0.attn.qkv.bias', [6]),
  counting('blocks.0.attn.proj.weight', [2, 2]),
  counting('blocks.0.ls1.gamma', [2]),
  counting('blocks.0.mlp.fc1.weight', [8, 2]),
  counting('blocks.0.mlp.fc2.weight', [2, 8]),
  counting('blocks.1.mlp.w12.weight', [8, 2]),
  counting('blocks.1.mlp.w3.weight', [2, 4]),
  counting('blocks.1.ls2.gamma', [2]),
  counting('norm.weight', [2]),
];

/** The same on the hub. */
const CANONICAL = [
  'embeddings.cls_token',
  'embeddings.mask_token',
  'embeddings.patch_embeddings.projection.weight',
  'embeddings.position_embeddings',
  'embeddings.register_tokens',
  'encoder.layer.0.attention.attention.key.bias',
  'encoder.layer.0.attention.attention.key.weight',
  'encoder.layer.0.attention.attention.query.bias',
  'encoder.layer.0.attention.attention.query.weight',
  'encoder.layer.0.attention.attention.value.bias',
  'encoder.layer.0.attention.attention.value.weight',
  'encoder.layer.0.attention.output.dense.weight',
  'encoder.layer.0.layer_scale1.lambda1',
  'encoder.layer.0.mlp.fc1.weight',
  'encoder.layer.0.mlp.fc2.weight',
  'encoder.layer.0.norm1.weight',
  'encoder.layer.1.layer_scale2.lambda1',
  'encoder.layer.1.mlp.weights_in.weight',
  'encoder.layer.1.mlp.weights_out.weight',
  'layernorm.weight',
];

const renamedTo = (tensors: readonly NamedTensor[], change: (name: string) => string): NamedTensor[] =>
  tensors.map(({ name, dtype, dims, data }) => ({ name: change(name), dtype, dims, data }));

test('names of the original become those of the hub, queries, keys and values apart', async () => {
  const tensors = await tensorsOf(canonical(await checkpointOf(ORIGINAL)));
  assert.equal(Object.keys(tensors).sort(), CANONICAL);
  const parts = ['query', 'key', 'value'].map((name) => tensors[`encoder.layer.0.attention.attention.${name}.bias`]?.tolist());
  assert.equal(parts, [
    [0, 1],
    [2, 3],
    [4, 5],
  ]);
});

test('chunks of blocks and prefixes are left off, other tensors stay', async () => {
  for (const change of [
    (name: string) => `backbone.${name}`,
    (name: string) => `module.backbone.${name}`,
    (name: string) => name.replace(/^blocks\.(\d+)/, 'blocks.3.$1'),
    (name: string) => `teacher.${name.replace(/^blocks\.(\d+)/, 'blocks.$1.$1')}`,
  ]) {
    const checkpoint = await checkpointOf([...renamedTo(ORIGINAL, change), counting('dino_head.mlp.0.weight', [1])]);
    assert.equal([...canonical(checkpoint).entries.keys()].sort(), ['dino_head.mlp.0.weight', ...CANONICAL].sort());
  }
});

test("timm's names become those of the hub, with a row of zeros where it has dropped the class token's position", async () => {
  const checkpoint = await checkpointOf([
    counting('patch_embed.proj.weight', [2, 3, 1, 1]),
    counting('reg_token', [1, 4, 2]),
    counting('pos_embed', [1, 3, 2], 10),
    counting('blocks.0.mlp.fc1.weight', [8, 2]),
    counting('blocks.0.mlp.fc2.weight', [2, 4]),
  ]);
  const tensors = await tensorsOf(canonical(checkpoint));
  assert.equal(tensors['embeddings.position_embeddings']?.tolist(), [
    [
      [0, 0],
      [10, 11],
      [12, 13],
      [14, 15],
    ],
  ]);
  assert.equal(Object.keys(tensors).sort(), [
    'embeddings.patch_embeddings.projection.weight',
    'embeddings.position_embeddings',
    'embeddings.register_tokens',
    'encoder.layer.0.mlp.weights_in.weight',
    'encoder.layer.0.mlp.weights_out.weight',
  ]);
});

test('checkpoints of the original that are not of one model are refused by name', async () => {
  const student = renamedTo(ORIGINAL, (name) => `student.${name}`);
  const teacher = renamedTo(ORIGINAL, (name) => `teacher.${name}`);
  const both = await checkpointOf([...student, ...teacher]);
  await refuses(() => canonical(both), CheckpointError, '"student.patch_embed.proj.weight"', '"teacher.patch_embed.proj.weight"');
  const twice = await checkpointOf([...student, counting('norm.weight', [2])]);
  await refuses(() => canonical(twice), CheckpointError, 'one tensor "norm.weight"');
  const positions = await checkpointOf([counting('patch_embed.proj.weight', [1]), counting('reg_token', [1]), counting('pos_embed', [3])]);
  await refuses(() => canonical(positions), CheckpointError, 'tensor "pos_embed"', 'found float32 [3]');
});

test('a rule can take a number to where it belongs', async () => {
  const checkpoint = await checkpointOf([counting('a.1.2.x', [1]), counting('a.b.2.x', [1]), counting('a.7', [1])]);
  const renamed = rename(checkpoint, [
    { from: ['a.*.*'], to: ['c.*.d'] },
    { from: ['a.*'], to: ['e.*'] },
  ]);
  assert.equal([...renamed.entries.keys()].sort(), ['a.b.2.x', 'c.2.d.x', 'e.7']);
});

test('names of the hub stay as they are', async () => {
  const checkpoint = await openCheckpoint(goldenPath('encoder-act-relu'));
  assert.equal([...canonical(checkpoint).entries], [...checkpoint.entries]);
  await checkpoint.close();
});

test('words match whole, between dots', async () => {
  const names = ['attention.q_projection.weight', 'myattention.q_proj.weight', 'attention.q_proj2'];
  const checkpoint = await checkpointOf(names.map((name) => counting(name, [1])));
  assert.equal([...canonical(checkpoint).entries.keys()].sort(), [...names].sort());
});

test('a tensor can be split into equal parts, rules can follow each other, and what was joined can be split again', async () => {
  const qkv: Rule = { from: ['qkv'], to: ['q', 'k', 'v'] };
  const checkpoint = await checkpointOf([counting('blocks.0.qkv.weight', [6, 2])]);
  const parts = await tensorsOf(rename(checkpoint, [qkv, { from: ['blocks'], to: ['layers'] }]));
  const values = Object.entries(parts).map(([name, tensor]) => [name, tensor.tolist()]);
  assert.equal(Object.fromEntries(values), {
    'layers.0.q.weight': [
      [0, 1],
      [2, 3],
    ],
    'layers.0.k.weight': [
      [4, 5],
      [6, 7],
    ],
    'layers.0.v.weight': [
      [8, 9],
      [10, 11],
    ],
  });
  const halves = rename(checkpoint, [qkv, { from: ['k', 'q', 'v'], to: ['kqv'] }, { from: ['kqv'], to: ['a', 'b'] }]);
  const { 'blocks.0.a.weight': a, 'blocks.0.b.weight': b } = await tensorsOf(halves);
  assert.equal([a?.data, b?.data], [Float32Array.of(4, 5, 6, 7, 0, 1), Float32Array.of(2, 3, 8, 9, 10, 11)]);
});

test('tensors that do not fit together are refused by name', async () => {
  const gate = counting('mlp.gate_proj.weight', [3, 2]);
  const refused = async (tensors: NamedTensor[], ...parts: string[]): Promise<void> => {
    const checkpoint = await checkpointOf(tensors);
    await refuses(() => canonical(checkpoint), CheckpointError, ...parts);
  };
  const up = 'mlp.up_proj.weight';
  await refused([gate], 'together', `found no "${up}"`);
  await refused([gate, counting(up, [3, 3])], `tensor "${up}"`, 'float32 [3,2]', 'found float32 [3,3]');
  await refused([gate, counting(up, [3])], 'found float32 [3]');
  await refused([gate, { name: up, dtype: 'float16', dims: [3, 2], data: new Uint16Array(6) }], 'found float16 [3,2]');
  await refused([counting('mlp.gate_proj', []), counting('mlp.up_proj', [])], 'tensor "mlp.up_proj"');
  await refused(
    [counting('attention.q_proj.weight', [1]), counting('attention.attention.query.weight', [1])],
    'one tensor "attention.attention.query.weight"',
  );
});

test('a tensor whose rows cannot be split is refused by name', async () => {
  for (const dims of [[4, 2], [], [0, 2]]) {
    const checkpoint = await checkpointOf([counting('qkv', dims)]);
    await refuses(
      () => rename(checkpoint, [{ from: ['qkv'], to: ['q', 'k', 'v'] }]),
      CheckpointError,
      'tensor "qkv"',
      '3 equal parts',
      `found float32 [${dims}]`,
    );
  }
});

test('every name of a Depth Anything of either version becomes that of the hub', async () => {
  const names = {
    'pretrained.cls_token': 'backbone.embeddings.cls_token',
    'pretrained.pos_embed': 'backbone.embeddings.position_embeddings',
    'pretrained.mask_token': 'backbone.embeddings.mask_token',
    'pretrained.patch_embed.proj.weight': 'backbone.embeddings.patch_embeddings.projection.weight',
    'pretrained.blocks.3.norm2.bias': 'backbone.encoder.layer.3.norm2.bias',
    'pretrained.norm.weight': 'backbone.layernorm.weight',
    'depth_head.projects.2.weight': 'neck.reassemble_stage.layers.2.projection.weight',
    'depth_head.resize_layers.3.bias': 'neck.reassemble_stage.layers.3.resize.bias',
    'depth_head.scratch.layer1_rn.weight': 'neck.convs.0.weight',
    'depth_head.scratch.layer2_rn.weight': 'neck.convs.1.weight',
    'depth_head.scratch.layer3_rn.weight': 'neck.convs.2.weight',
    'depth_head.scratch.layer4_rn.weight': 'neck.convs.3.weight',
    'depth_head.scratch.refinenet1.out_conv.weight': 'neck.fusion_stage.layers.3.projection.weight',
    'depth_head.scratch.refinenet2.resConfUnit1.conv1.weight': 'neck.fusion_stage.layers.2.residual_layer1.convolution1.weight',
    'depth_head.scratch.refinenet2.resConfUnit1.conv2.weight': 'neck.fusion_stage.layers.2.residual_layer1.convolution2.weight',
    'depth_head.scratch.refinenet3.resConfUnit2.conv1.weight': 'neck.fusion_stage.layers.1.residual_layer2.convolution1.weight',
    'depth_head.scratch.refinenet4.resConfUnit2.conv2.bias': 'neck.fusion_stage.layers.0.residual_layer2.convolution2.bias',
    'depth_head.scratch.output_conv1.weight': 'head.conv1.weight',
    'depth_head.scratch.output_conv2.0.weight': 'head.conv2.weight',
    'depth_head.scratch.output_conv2.2.bias': 'head.conv3.bias',
  };
  const checkpoint = await checkpointOf(Object.keys(names).map((name) => counting(name, [1])));
  assert.equal([...canonical(checkpoint).entries.keys()].sort(), Object.values(names).sort());
});

test("position embeddings that are no row of patches get no class token's", async () => {
  for (const dims of [
    [2, 3, 2],
    [1, 0, 2],
    [1, 3, 0],
    [1, 3],
    [1, 1, 3, 2],
  ]) {
    const checkpoint = await checkpointOf([
      counting('patch_embed.proj.weight', [1]),
      counting('reg_token', [1]),
      counting('pos_embed', dims),
    ]);
    await refuses(() => canonical(checkpoint), CheckpointError, 'tensor "pos_embed": expected [1, patches, hidden]', `[${dims}]`);
  }
});

test('position embeddings without registers stay as they are, and an MLP as wide as it should be is none of a SwiGLU', async () => {
  const tensors = [
    counting('patch_embed.proj.weight', [1]),
    counting('pos_embed', [1, 3, 2], 10),
    counting('blocks.0.mlp.fc1.weight', [8, 2]),
    counting('blocks.0.mlp.fc2.weight', [2, 8]),
  ];
  const { 'embeddings.position_embeddings': positions, ...rest } = await tensorsOf(canonical(await checkpointOf(tensors)));
  assert.equal(positions?.dims, [1, 3, 2]);
  assert.ok(rest['encoder.layer.0.mlp.fc1.weight'] && rest['encoder.layer.0.mlp.fc2.weight']);
});

test('parts of what was joined are stretches of the files that hold them, without empty ones', async () => {
  const checkpoint = await checkpointOf([counting('a', [2, 2]), counting('b', [2, 2])]);
  const { entries } = rename(checkpoint, [
    { from: ['a', 'b'], to: ['ab'] },
    { from: ['ab'], to: ['c', 'd'] },
  ]);
  assert.equal(
    ['c', 'd'].map((name) => entries.get(name)?.extents.map(({ bytes }) => bytes)),
    [[16], [16]],
  );
});

test('what is missing to join tensors is said with all that belong together', async () => {
  const checkpoint = await checkpointOf([counting('mlp.up_proj.weight', [1])]);
  await refuses(
    () => canonical(checkpoint),
    CheckpointError,
    'expected "mlp.gate_proj.weight" and "mlp.up_proj.weight" together, found no "mlp.gate_proj.weight"',
  );
});

test.run();
