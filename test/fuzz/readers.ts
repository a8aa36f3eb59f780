import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { openHead } from '../../src/checkpoint/headNames.ts';
import { openCanonical, openCheckpoint } from '../../src/checkpoint/shards.ts';
import { parseJson } from '../../src/files/json.ts';
import { staysInside } from '../../src/files/source.ts';
import { HubClient } from '../../src/hub/client.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { readOrientation } from '../../src/image/exif.ts';
import { AutoImageProcessor, Dinov2Error } from '../../src/index.ts';
import { AutoConfig } from '../../src/models/config.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { bytes, dict, float32, number, tensor, text, torchLegacy, torchZip, tuple } from '../checkpoint/torchFiles.ts';
import { golden } from '../helpers.ts';
import { PICTURES, picture } from '../image/helpers.ts';
import { type Dice, mutate, mutateStart, pick, withPngChecksums } from './mutate.ts';

/** One kind of input: `make` damages a valid one, `read` has to give what `make` allows, or one of the library's errors. */
export interface Reader {
  readonly name: string;
  make(roll: Dice): Uint8Array<ArrayBuffer>;
  read(input: Uint8Array<ArrayBuffer>): Promise<void>;
}

const INDEX = 'model.safetensors.index.json';
const SHARD = golden('safetensors/every-dtype.safetensors');
const encode = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));
const headerOf = (file: Uint8Array): number => 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));

const SHARD_TENSORS = Object.keys(JSON.parse(new TextDecoder().decode(SHARD.subarray(8, headerOf(SHARD)))) as object).filter(
  (name) => name !== '__metadata__',
);
const PNGS = PICTURES.filter((name) => name.endsWith('.png'))
  .map(picture)
  .filter(({ length }) => length < 20_000);
const JPEGS = PICTURES.filter((name) => name.endsWith('.jpg'))
  .map(picture)
  .filter(({ length }) => length < 20_000);
const SAFETENSORS = [SHARD, golden('safetensors/foreign-dtypes.safetensors')];
const HEADS = ['fb-linear', 'fb-depth-linear', 'fb-segment-linear', 'fb-dino-head'].map((name) => golden(`${name}/model.pth`));
const CONFIGS = ['encoder', 'registers', 'classify-inferred', 'depth-anything-metric', 'depth-dpt'].map((name) =>
  golden(`${name}/config.json`),
);
const PROCESSORS = [
  new Uint8Array(readFileSync(new URL('../../weights/preprocessor_config.json', import.meta.url))),
  encode({
    image_processor_type: 'DPTImageProcessor',
    size: { height: 28, width: 28 },
    keep_aspect_ratio: true,
    ensure_multiple_of: 14,
    do_pad: true,
    size_divisor: 14,
  }),
];
const WEIGHTS = dict({
  weight: tensor({ saved: 6, dims: [2, 3] }),
  turned: tensor({ saved: 6, dims: [3, 2], strides: [1, 3] }),
  part: tensor({ key: '1', saved: 4, offset: 1, dims: [2] }),
});
const STORAGES = [float32(1, 2, 3, 4, 5, 6), float32(7, 8, 9, 10)] as const;
const PTHS = [golden('pth/zip.pth'), golden('pth/legacy.pth')];

const QUANTIZED = ((): Uint8Array<ArrayBuffer> => {
  const header = new TextEncoder().encode(
    JSON.stringify({
      'a.weight': { dtype: 'I8', shape: [2, 4], data_offsets: [0, 8] },
      'a.weight_scale': { dtype: 'F32', shape: [2, 1], data_offsets: [8, 16] },
      'a.input_scale': { dtype: 'F32', shape: [4], data_offsets: [16, 32] },
    }).padEnd(248),
  );
  return bytes(new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer), header, new Uint8Array(8), float32(1, 2, 1, 2, 3, 4));
})();

const REPO = 'acme/tiny';
const DESCRIPTION = encode({
  sha: 'a'.repeat(40),
  siblings: [
    { rfilename: 'config.json', size: 2, blobId: 'b'.repeat(40) },
    { rfilename: 'model.safetensors', size: 3, blobId: 'c'.repeat(40), lfs: { sha256: 'd'.repeat(64), size: 300, pointerSize: 130 } },
  ],
});

async function readTensors(checkpoint: Awaited<ReturnType<typeof openCheckpoint>>): Promise<void> {
  try {
    for (const [name, { dims }] of checkpoint.entries) {
      const found = await checkpoint.read(name).catch(named);
      if (found) assert.is(found.data.length, sizeOf(dims), name);
    }
  } finally {
    await checkpoint.close();
  }
}

async function checkPicture(input: Uint8Array): Promise<void> {
  const { data, width, height, channels } = await decodeImage(input, { limits: { pixels: 1_000_000 } });
  assert.is(data.length, width * height * channels);
  assert.ok(readOrientation(input) >= 1);
}

/** For what has to be one of the library's errors. */
function named(error: unknown): undefined {
  if (!(error instanceof Dinov2Error)) throw error;
}

/** An answer in pieces whose bytes and headers the first bytes of the input choose. */
function answer(input: Uint8Array<ArrayBuffer>): Response {
  const status = [200, 200, 200, 206, 404, 401, 500, 204][(input[0] ?? 0) % 8] as number;
  const type = ['application/json', 'text/html', 'application/octet-stream'][(input[1] ?? 0) % 3] as string;
  const length = ['', String(input.length), '300', '-1', '1e9'][(input[2] ?? 0) % 5] as string;
  const headers = {
    'content-type': type,
    ...(length && { 'content-length': length }),
    'content-range': `bytes ${input[3] ?? 0}-9/300`,
    'retry-after': '0',
  };
  return new Response(status === 204 ? null : input.slice(4), { status, headers });
}

export const READERS: readonly Reader[] = [
  { name: 'png', make: (roll) => withPngChecksums(mutate(pick(roll, PNGS), roll)), read: checkPicture },
  { name: 'png-checksums', make: (roll) => mutate(pick(roll, PNGS), roll), read: checkPicture },
  { name: 'jpeg', make: (roll) => mutate(pick(roll, JPEGS), roll), read: checkPicture },
  {
    name: 'safetensors',
    make: (roll) => {
      const file = pick(roll, SAFETENSORS);
      return mutateStart(file, headerOf(file), roll);
    },
    read: async (input) => readTensors(await openCheckpoint({ 'model.safetensors': input })),
  },
  {
    name: 'quantized',
    make: (roll) => mutate(QUANTIZED, roll),
    read: async (input) => {
      const { isQuantized, readQuantized } = await import('../../src/checkpoint/quantized.ts');
      const checkpoint = await openCheckpoint({ 'model.safetensors': input });
      if (isQuantized(checkpoint)) await readQuantized(checkpoint, 'a.weight');
      await checkpoint.close();
    },
  },
  {
    name: 'shards',
    make: (roll) =>
      mutate(
        encode({ metadata: { total_size: 1 }, weight_map: Object.fromEntries(SHARD_TENSORS.map((name, i) => [name, i % 2 ? 'a' : 'b'])) }),
        roll,
      ),
    read: async (input) => readTensors(await openCheckpoint({ [INDEX]: input, a: SHARD, b: SHARD })),
  },
  {
    name: 'pth-zip',
    make: (roll) => mutate(pick(roll, [PTHS[0] as Uint8Array, torchZip(WEIGHTS, { 0: STORAGES[0], 1: STORAGES[1] })]), roll),
    read: async (input) => readTensors(await openCanonical({ 'model.pth': input })),
  },
  {
    name: 'pth-pickle', // damaged before the checksums are made
    make: (roll) => torchZip(mutate(bytes(WEIGHTS), roll), { 0: STORAGES[0], 1: STORAGES[1] }),
    read: async (input) => readTensors(await openCanonical({ 'model.pth': input })),
  },
  {
    name: 'pth-legacy',
    make: (roll) => {
      const part = (key: string, saved: number, dims: readonly number[]): Uint8Array =>
        tensor({ key, saved, dims, view: tuple(text(key), number(0), number(saved)) });
      const own = torchLegacy(dict({ a: part('0', 6, [2, 3]), b: part('1', 4, [4]) }), [
        ['0', 6, STORAGES[0]],
        ['1', 4, STORAGES[1]],
      ]);
      return mutate(pick(roll, [PTHS[1] as Uint8Array, own]), roll);
    },
    read: async (input) => readTensors(await openCanonical({ 'model.pth': input })),
  },
  {
    name: 'head',
    make: (roll) => mutateStart(pick(roll, HEADS), 3000, roll),
    read: async (input) => (await openHead({ 'head.pth': input })).close(),
  },
  {
    name: 'config.json',
    make: (roll) => mutate(pick(roll, CONFIGS), roll),
    read: async (input) => {
      const config = await AutoConfig.from_pretrained({ 'config.json': input });
      assert.equal(
        await AutoConfig.from_pretrained({ 'config.json': encode(config.to_dict()) }).then((c) => c.to_dict()),
        config.to_dict(),
      );
    },
  },
  {
    name: 'preprocessor_config.json',
    make: (roll) => mutate(pick(roll, PROCESSORS), roll),
    read: async (input) => {
      const processor = await AutoImageProcessor.from_pretrained({ 'preprocessor_config.json': input });
      const image = { data: new Uint8Array(75), width: 5, height: 5, channels: 3 };
      const { pixel_values } = await processor(image as never, { limits: { pixels: 1_000_000 } });
      assert.is(pixel_values.data.length, sizeOf(pixel_values.dims));
    },
  },
  {
    name: 'json', // the parser of all of these, beside that of the host
    make: (roll) => mutate(pick(roll, [...CONFIGS, ...PROCESSORS, DESCRIPTION]), roll),
    read: async (input) => {
      const found = parseJson(input, (problem) => new Dinov2Error(problem));
      assert.equal(found, JSON.parse(new TextDecoder('utf-8').decode(input)));
    },
  },
  {
    name: 'hub',
    make: (roll) => {
      const start = roll(4) ? Uint8Array.of(0, 0, roll(2), roll(2)) : Uint8Array.from({ length: 4 }, () => roll(256));
      return bytes(start, roll(3) ? mutate(DESCRIPTION, roll) : DESCRIPTION);
    },
    read: async (input) => {
      const { fetch } = globalThis;
      let wanted = 0;
      globalThis.fetch = async (url) => answer(String(url).includes('/api/') ? input : bytes(input.slice(0, 4), new Uint8Array(wanted)));
      try {
        const client = new HubClient({ endpoint: 'http://hub.invalid', retryDelay: 0 });
        const { files } = await client.describe(REPO, 'main');
        for (const file of files.values()) {
          assert.ok(staysInside(file.path), file.path);
          wanted = Math.min(file.size, 1000);
          let size = 0;
          for await (const piece of client.read({ ...file, size: wanted }, 0)) size += piece.length;
          assert.is(size, wanted);
        }
      } finally {
        globalThis.fetch = fetch;
      }
    },
  },
];
