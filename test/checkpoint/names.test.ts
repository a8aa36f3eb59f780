import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { canonical, type Rule, rename } from '../../src/checkpoint/names.ts';
import { type NamedTensor, openSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCheckpoint } from '../../src/checkpoint/shards.ts';
import { openSource } from '../../src/checkpoint/source.ts';
import { CheckpointError } from '../../src/errors.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { goldenPath, MemoryWriter, refuses } from './helpers.ts';

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

test.run();
