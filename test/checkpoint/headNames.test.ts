import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { joinHead, openHead } from '../../src/checkpoint/headNames.ts';
import { type NamedTensor, openSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { CheckpointError } from '../../src/errors.ts';
import { MemoryWriter, refuses } from '../helpers.ts';
import { MemoryFile, MemorySource } from './memoryFile.ts';

/** A tensor of so many numbers, which tell it from others. */
const named = (name: string, first = 0, dims: readonly number[] = [2]): NamedTensor => ({
  ...{ name, dtype: 'float32', dims },
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => first + i),
});

async function fileOf(...tensors: readonly NamedTensor[]): Promise<Uint8Array<ArrayBuffer>> {
  const writer = new MemoryWriter();
  await writeSafetensors(writer, tensors);
  return writer.bytes;
}

const open = async (name: string, ...tensors: readonly NamedTensor[]): Promise<Checkpoint> =>
  openSafetensors(new MemoryFile(name, await fileOf(...tensors)));

/** What the names of a head's file become. */
async function renamed(...names: readonly (string | NamedTensor)[]): Promise<string[]> {
  const tensors = names.map((name) => (typeof name === 'string' ? named(name) : name));
  const head = await openHead({ 'head.safetensors': await fileOf(...tensors) });
  await head.close();
  return [...head.entries.keys()].sort();
}

test('every name of a DPT head of facebookresearch/dinov2 becomes that of transformers', async () => {
  const names = {
    'decode_head.reassemble_blocks.projects.2.conv.weight': 'neck.reassemble_stage.layers.2.projection.weight',
    'decode_head.reassemble_blocks.readout_projects.1.0.weight': 'neck.reassemble_stage.readout_projects.1.0.weight',
    'decode_head.reassemble_blocks.resize_layers.3.bias': 'neck.reassemble_stage.layers.3.resize.bias',
    'decode_head.convs.0.conv.weight': 'neck.convs.0.weight',
    'decode_head.fusion_blocks.1.project.conv.weight': 'neck.fusion_stage.layers.1.projection.weight',
    'decode_head.fusion_blocks.1.res_conv_unit1.conv1.conv.weight': 'neck.fusion_stage.layers.1.residual_layer1.convolution1.weight',
    'decode_head.fusion_blocks.1.res_conv_unit1.conv2.conv.weight': 'neck.fusion_stage.layers.1.residual_layer1.convolution2.weight',
    'decode_head.fusion_blocks.0.res_conv_unit2.conv1.conv.weight': 'neck.fusion_stage.layers.0.residual_layer2.convolution1.weight',
    'decode_head.fusion_blocks.0.res_conv_unit2.conv2.conv.weight': 'neck.fusion_stage.layers.0.residual_layer2.convolution2.weight',
    'decode_head.project.conv.bias': 'head.projection.bias',
    'decode_head.conv_depth.head.4.weight': 'head.head.4.weight',
  };
  assert.equal(await renamed(...Object.keys(names)), Object.values(names).sort());
});

test('a classifier is known by its matrix, a projection head by its last layer in either way of writing it', async () => {
  assert.equal(await renamed(named('weight', 0, [3, 2]), 'bias'), ['classifier.bias', 'classifier.weight']);
  assert.equal(await renamed('weight', 'bias'), ['bias', 'weight']);
  const names = ['dino_head.last_layer.weight_g', 'dino_head.last_layer.weight_v', 'dino_head.mlp.0.weight'];
  assert.equal(await renamed('mlp.0.weight', 'last_layer.weight_g', 'last_layer.weight_v'), names);
  const parametrized = 'last_layer.parametrizations.weight.original';
  const head = await openHead({
    'head.safetensors': await fileOf(named('mlp.0.weight'), named(`${parametrized}0`, 10), named(`${parametrized}1`, 20)),
  });
  assert.equal([...head.entries.keys()].sort(), names);
  assert.equal((await head.read('dino_head.last_layer.weight_g')).tolist(), [10, 11]);
  assert.equal((await head.read('dino_head.last_layer.weight_v')).tolist(), [20, 21]);
});

test('counters of batch norms are left out, and nothing that only looks like one', async () => {
  const names = ['decode_head.bn.weight', 'num_batches_tracked.x', 'my_num_batches_tracked'];
  assert.equal(await renamed('decode_head.bn.num_batches_tracked', 'num_batches_tracked', ...names), [...names].sort());
});

test('a head whose names collide is refused, and its file closed', async () => {
  const file = new MemoryFile('head.safetensors', await fileOf(named('decode_head.convs.0.conv.weight'), named('neck.convs.0.weight')));
  await refuses(() => openHead(new MemorySource(file)), CheckpointError, 'one tensor "neck.convs.0.weight"');
  assert.ok(file.isClosed);
});

test('an encoder and a head become one checkpoint: the encoder under the prefix, without what was beside it, and the head', async () => {
  const encoder = await open(
    'encoder',
    named('dinov2.embeddings.patch_embeddings.projection.weight', 1),
    named('dinov2.encoder.layer.0.norm1.weight', 2),
    named('dinov2.layernorm.weight', 3),
    named('dinov2.head.weight'),
    named('classifier.weight'),
    named('encoder.layer.0.norm1.weight'),
  );
  const head = await open('head', named('head.projection.weight', 4));
  const joined = joinHead(encoder, head, 'backbone.');
  assert.is(joined.name, 'encoder with head');
  assert.equal([...joined.entries.keys()].sort(), [
    'backbone.embeddings.patch_embeddings.projection.weight',
    'backbone.encoder.layer.0.norm1.weight',
    'backbone.layernorm.weight',
    'head.projection.weight',
  ]);
  assert.equal((await joined.read('backbone.encoder.layer.0.norm1.weight')).tolist(), [2, 3]);
  assert.equal((await joined.read('head.projection.weight')).tolist(), [4, 5]);
  await joined.close();
  for (const { file } of [...encoder.files, ...head.files]) assert.ok((file as MemoryFile).isClosed);
});

test('an encoder without a prefix gets one; a file that has both has one name', async () => {
  const mark = 'embeddings.patch_embeddings.projection.weight';
  const both = await open('both', named(mark), named('myembeddings.x'), named('decode_head.x'));
  const joined = joinHead(both, both, 'dinov2.');
  assert.is(joined.name, 'both');
  assert.ok(joined.entries.has(`dinov2.${mark}`) && joined.entries.has('decode_head.x') && !joined.entries.has('dinov2.myembeddings.x'));
});

test('what is no encoder, and a head with tensors of the same names, are refused by name', async () => {
  const mark = 'embeddings.patch_embeddings.projection.weight';
  const head = await open('head', named('weight'));
  const other = await open('other', named(`my${mark}`));
  await refuses(() => joinHead(other, head, ''), CheckpointError, 'other: expected an encoder', `"${mark}"`);
  const encoder = await open('encoder', named(mark), named('layernorm.weight'));
  const twice = await open('twice', named('layernorm.weight'));
  await refuses(
    () => joinHead(encoder, twice, ''),
    CheckpointError,
    'encoder with twice',
    'one tensor "layernorm.weight", found it in both',
  );
  assert.is(joinHead(encoder, twice, 'x.').entries.size, 3);
});

test.run();
