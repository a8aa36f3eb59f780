import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type NamedTensor, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCanonical, openCheckpoint, saveCheckpoint } from '../../src/checkpoint/shards.ts';
import { ArgumentError, CheckpointError, ConfigError, DTypeError, NotFoundError, ShapeError } from '../../src/errors.ts';
import { golden, goldenPath, MemoryWriter, refuses, valueOrNamedError, withFolder } from '../helpers.ts';
import { MemoryFile, MemorySource } from './memoryFile.ts';

const INDEX = 'model.safetensors.index.json';
const FIRST = 'model-00001-of-00003.safetensors';
const SHARDED = [FIRST, 'model-00002-of-00003.safetensors', 'model-00003-of-00003.safetensors', INDEX];

/** 8, 8, 24 and 4 bytes: three shards of at most 16 bytes, the third tensor by itself too large for one. */
const TENSORS: readonly NamedTensor[] = [
  { name: 'a', dtype: 'float32', dims: [2], data: Float32Array.of(1, 2) },
  { name: 'b', dtype: 'float16', dims: [4], data: Uint16Array.of(1, 2, 3, 4) },
  { name: 'c', dtype: 'int64', dims: [3, 1], data: BigInt64Array.of(1n, 2n, 3n) },
  { name: '1', dtype: 'float32', dims: [1], data: Float32Array.of(5) },
];

async function holds(folder: string, tensors: readonly NamedTensor[]): Promise<void> {
  const checkpoint = await openCheckpoint(folder);
  assert.equal([...checkpoint.entries.keys()].sort(), tensors.map(({ name }) => name).sort());
  assert.equal([...checkpoint.metadata], [['format', 'pt']]);
  for (const { name, dtype, dims, data } of tensors) {
    const found = await checkpoint.read(name);
    assert.equal([found.dtype, found.dims, found.data], [dtype, dims, data]);
  }
  await checkpoint.close();
}

function sharded(body: (folder: string) => Promise<void>): () => Promise<void> {
  return () =>
    withFolder(async (folder) => {
      await saveCheckpoint(folder, TENSORS, { max_shard_size: 16 });
      await body(folder);
    });
}

function editIndex(folder: string, edit: (weightMap: Record<string, unknown>) => unknown): void {
  const index = JSON.parse(readFileSync(join(folder, INDEX), 'utf8'));
  writeFileSync(join(folder, INDEX), JSON.stringify({ weight_map: edit(index.weight_map) ?? index.weight_map }));
}

test('a real model is found in its folder', async () => {
  const checkpoint = await openCheckpoint(goldenPath('encoder-act-relu'));
  assert.equal(checkpoint.get('embeddings.cls_token').dims, [1, 1, 32]);
  assert.is((await checkpoint.read('embeddings.cls_token')).data.length, 32);
  await checkpoint.close();
});

test('a model that fits is saved as one file and read again', () =>
  withFolder(async (folder) => {
    await saveCheckpoint(join(folder, 'new', 'folder'), TENSORS);
    assert.equal(readdirSync(join(folder, 'new', 'folder')), ['model.safetensors']);
    await holds(join(folder, 'new', 'folder'), TENSORS);
  }));

test(
  'a larger one is saved as shards and an index, named as transformers names them, and read as one',
  sharded(async (folder) => {
    assert.equal(readdirSync(folder).sort(), SHARDED);
    assert.is(
      readFileSync(join(folder, INDEX), 'utf8'),
      `{
  "metadata": {
    "total_size": 44
  },
  "weight_map": {
    "1": "${SHARDED[2]}",
    "a": "${SHARDED[0]}",
    "b": "${SHARDED[0]}",
    "c": "${SHARDED[1]}"
  }
}
`,
    );
    await holds(folder, TENSORS);
  }),
);

test('sizes of shards are numbers, or text as transformers reads it', () =>
  withFolder(async (folder) => {
    const large: NamedTensor[] = ['a', 'b'].map((name) => ({ name, dtype: 'int8', dims: [1010], data: new Int8Array(1010) }));
    const files = async (size: string | number): Promise<number> => {
      const into = join(folder, String(size));
      await saveCheckpoint(into, large, { max_shard_size: size });
      return readdirSync(into).length;
    };
    assert.equal(await Promise.all([2020, 2019, '2kb', '2KiB', '0.00202MB', '5 GB'].map(files)), [1, 3, 3, 1, 1, 1]);
    for (const size of [0, -1, Number.NaN, '5', '5TB', 'GB', '']) {
      await refuses(() => saveCheckpoint(folder, large, { max_shard_size: size }), ArgumentError, 'max_shard_size', String(size));
    }
  }));

test('shards are not put where a model.safetensors would be read in their place', () =>
  withFolder(async (folder) => {
    await saveCheckpoint(folder, TENSORS.slice(0, 1));
    await refuses(() => saveCheckpoint(folder, TENSORS, { max_shard_size: 16 }), ArgumentError, 'model.safetensors', 'remove it');
    await holds(folder, TENSORS.slice(0, 1));
  }));

test(
  'what an earlier save left behind is not mistaken for the model',
  sharded(async (folder) => {
    await saveCheckpoint(folder, TENSORS.slice(1), { max_shard_size: 24 });
    await holds(folder, TENSORS.slice(1));
    await saveCheckpoint(folder, TENSORS.slice(2));
    await holds(folder, TENSORS.slice(2));
  }),
);

test('after an error no part of a file is left', () =>
  withFolder(async (folder) => {
    const wrong: NamedTensor = { name: 'wrong', dtype: 'int8', dims: [2], data: Int8Array.of(1) };
    await refuses(() => saveCheckpoint(folder, [...TENSORS, wrong]), ShapeError, '"wrong"');
    await refuses(() => saveCheckpoint(folder, [...TENSORS, wrong], { max_shard_size: 16 }), ShapeError, '"wrong"');
    await refuses(() => saveCheckpoint(folder, [...TENSORS, ...TENSORS], { max_shard_size: 16 }), ArgumentError, '"a"');
    const unknown = { ...wrong, dtype: 'float64' as 'int8' };
    await refuses(() => saveCheckpoint(folder, [unknown]), DTypeError, 'float64');
    assert.equal(readdirSync(folder), []);
  }));

test('an earlier model survives a save that fails', () =>
  withFolder(async (folder) => {
    await saveCheckpoint(folder, TENSORS);
    const failing: NamedTensor = {
      ...{ name: 'z', dtype: 'int8', dims: [1] },
      get data(): never {
        throw new ShapeError('gone');
      },
    };
    await refuses(() => saveCheckpoint(folder, [failing]), ShapeError, 'gone');
    assert.equal(readdirSync(folder), ['model.safetensors']);
    await holds(folder, TENSORS);
  }));

test('the only checkpoint there is is read, whatever its name and whether its folder or itself is given', () =>
  withFolder(async (folder) => {
    const pth = golden('fb-linear/model.pth');
    const safetensors = golden('safetensors/every-dtype.safetensors');
    for (const [name, content, tensor] of [
      ['dinov2_vits14_linear_head.pth', pth, 'weight'],
      ['some.pt', pth, 'weight'],
      ['pytorch_model.bin', pth, 'weight'],
      ['some.safetensors', safetensors, 'half'],
    ] as const) {
      const path = join(folder, name);
      writeFileSync(path, content);
      for (const source of [path, folder, { [name]: content, 'config.json': new Uint8Array(0) }]) {
        const checkpoint = await openCheckpoint(source);
        assert.ok(checkpoint.entries.has(tensor));
        await checkpoint.close();
      }
      rmSync(path);
    }
  }));

test('model.safetensors comes before other checkpoints, of which there has to be one', () =>
  withFolder(async (folder) => {
    for (const name of ['b.pth', 'a.pt']) writeFileSync(join(folder, name), golden('fb-linear/model.pth'));
    await refuses(() => openCheckpoint(folder), CheckpointError, folder, 'one checkpoint, found a.pt, b.pth', 'the path of one');
    await saveCheckpoint(folder, TENSORS);
    await holds(folder, TENSORS);
  }));

test('a file of another kind is refused by name', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'photo.jpg');
    writeFileSync(path, 'no');
    await refuses(() => openCheckpoint(path), NotFoundError, path, '.pth');
    const pth = join(folder, 'x.pth');
    writeFileSync(pth, 'no');
    await refuses(() => openCheckpoint(pth), CheckpointError, pth, 'begins with');
  }));

test('a folder without a checkpoint is refused by name', () =>
  withFolder(async (folder) => {
    await refuses(() => openCheckpoint(folder), NotFoundError, folder, 'expected model.safetensors');
  }));

test(
  'a missing shard is refused by name',
  sharded(async (folder) => {
    editIndex(folder, (map) => ({ ...map, d: 'model-00004-of-00003.safetensors' }));
    await refuses(() => openCheckpoint(folder), NotFoundError, INDEX, 'model-00004-of-00003.safetensors');
  }),
);

test(
  'a tensor that is not in its shard is refused by name',
  sharded(async (folder) => {
    editIndex(folder, (map) => ({ ...map, c: FIRST }));
    await refuses(() => openCheckpoint(folder), CheckpointError, FIRST, 'tensor "c"');
  }),
);

test(
  'a damaged shard is refused by name',
  sharded(async (folder) => {
    writeFileSync(join(folder, FIRST), 'no');
    await refuses(() => openCheckpoint(folder), CheckpointError, FIRST, 'at least 8 bytes');
  }),
);

test(
  'a shard outside the folder is refused by name, whether it is there or not',
  sharded(async (folder) => {
    for (const name of ['../x', 'x/../../y', '/etc/passwd', '..\\x', 'C:x', './x', 'x//y', '', '..', 7, null]) {
      editIndex(folder, (map) => ({ ...map, d: name }));
      await refuses(() => openCheckpoint(folder), CheckpointError, INDEX, 'inside the folder', JSON.stringify(name));
    }
  }),
);

test('an index that is none is refused by name', async () => {
  const open = (text: string) => () => openCheckpoint({ [INDEX]: new TextEncoder().encode(text) });
  await refuses(open('{'), ConfigError, INDEX, 'line 1');
  await refuses(open('[]'), CheckpointError, INDEX, 'weight_map', 'found []');
  await refuses(open('{"weight_map": []}'), CheckpointError, 'weight_map');
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `s${i}`]));
  await refuses(open(JSON.stringify({ weight_map: many })), CheckpointError, 'at most 1000 shards', 'found 1001');
});

test('any index gives a checkpoint or a named error', () =>
  fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.oneof(fc.constant('a'), fc.jsonValue())), async (map) => {
      const index = new TextEncoder().encode(JSON.stringify({ weight_map: map }));
      await valueOrNamedError(() => openCheckpoint({ [INDEX]: index, a: golden('safetensors/every-dtype.safetensors') }));
    }),
    { seed: 5, numRuns: 300 },
  ));

test('a file whose tensors cannot be named as on the hub is refused and closed', async () => {
  const written = new MemoryWriter();
  const mark = 'patch_embed.proj.weight';
  await writeSafetensors(
    written,
    ['teacher', 'student'].map((name) => ({ name: `${name}.${mark}`, dtype: 'int8', dims: [1], data: new Int8Array(1) })),
  );
  const file = new MemoryFile('model.safetensors', written.bytes);
  await refuses(() => openCanonical(new MemorySource(file)), CheckpointError, `"student.${mark}" and "teacher.${mark}"`);
  assert.ok(file.isClosed);
});

test.run();
