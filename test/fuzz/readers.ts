import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { PNG } from 'pngjs';
import * as assert from 'uvu/assert';
import { openHead } from '../../src/checkpoint/headNames.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { openCanonical, openCheckpoint } from '../../src/checkpoint/shards.ts';
import { parseJson } from '../../src/files/json.ts';
import { staysInside } from '../../src/files/source.ts';
import { HubClient } from '../../src/hub/client.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { readOrientation } from '../../src/image/exif.ts';
import { AutoImageProcessor, AutoModel, Dinov2Error, Dinov2Model, Tensor } from '../../src/index.ts';
import { AutoConfig, Dinov2Config, Dinov2WithRegistersConfig } from '../../src/models/config.ts';
import { DepthAnythingConfig, DPTConfig } from '../../src/models/depthConfig.ts';
import { Dinov2DepthConfig, Dinov2PreTrainingConfig, Dinov2SegmentationConfig } from '../../src/models/headConfig.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { bytes, dict, float32, integer, number, tensor, text, torchLegacy, torchZip, tuple } from '../checkpoint/torchFiles.ts';
import { golden, MemoryWriter } from '../helpers.ts';
import { PICTURES, picture } from '../image/helpers.ts';
import { TINY } from '../models/helpers.ts';
import { checkCommand, makeCommand } from './commands.ts';
import { makeFields } from './fields.ts';
import { HTTP } from './http.ts';
import { checkIndex, makeIndex } from './indexes.ts';
import { makeJpeg } from './jpegs.ts';
import { type Dice, dice, mutate, mutateStart, pick, withPngChecksums } from './mutate.ts';
import { makePng } from './pngs.ts';

/** One kind of input: `make` damages a valid one, `read` has to give what `make` allows, or one of the library's errors. */
export interface Reader {
  readonly name: string;
  make(roll: Dice): Uint8Array<ArrayBuffer>;
  read(input: Uint8Array<ArrayBuffer>): Promise<unknown>;
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
const JPEGS = PICTURES.filter((name) => name.endsWith('.jpg') && !/exif-[2-8]/.test(name)) // these differ in the one number
  .map(picture)
  .filter(({ length }) => length < 6_000);
/** Two small ones of many colours, baseline and progressive. */
const BEFORE = [67, 119].map((seed) => makeJpeg(dice(seed)));
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
const CLASSES: ReadonlyMap<string, typeof Dinov2Config> = new Map<string, typeof Dinov2Config>([
  ['dinov2_with_registers', Dinov2WithRegistersConfig],
  ['dpt', DPTConfig],
  ['depth_anything', DepthAnythingConfig],
  ['dinov2_depth', Dinov2DepthConfig],
  ['dinov2_segmentation', Dinov2SegmentationConfig],
  ['dinov2_pretraining', Dinov2PreTrainingConfig],
]);
const decoded = (json: Uint8Array): object => JSON.parse(new TextDecoder().decode(json)) as object;
const CONFIG_FIELDS = [
  ...CONFIGS.map(decoded),
  ...[Dinov2Config, Dinov2WithRegistersConfig, DepthAnythingConfig, Dinov2DepthConfig, Dinov2PreTrainingConfig].map((Config) => ({
    ...new Config().to_dict(),
    id2label: { 0: 'cat', 1: 'dog' },
    label2id: { cat: 0, dog: 1 },
  })),
];
const PROCESSOR_FIELDS = PROCESSORS.map((json) => ({
  ...decoded(json),
  size: { height: 8, width: 8 },
  crop_size: { height: 8, width: 8 },
}));
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
      'a.weight_rotated_scale': { dtype: 'F32', shape: [2, 1], data_offsets: [8, 16] },
    }).padEnd(248),
  );
  return bytes(new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer), header, new Uint8Array(8), float32(1, 2));
})();

/** A model of a few numbers: 12 in 3 blocks, patches of 4, 2 channels. */
const MODEL_FIELDS = { ...TINY, model_type: 'dinov2', num_hidden_layers: 1 };
const MODEL = await (async (): Promise<Uint8Array<ArrayBuffer>> => {
  const writer = new MemoryWriter();
  using model = new Dinov2Model(MODEL_FIELDS, { seed: 1 });
  await writeSafetensors(
    writer,
    Array.from(model.weights(), ([name, { dtype, dims, data }]) => ({ name, dtype, dims, data })),
  );
  return writer.bytes;
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

/** The same as {@link checkPicture}; and pngjs, where it takes the file too, has to find the same colours. Of 16 bits it rounds, not cuts. */
async function comparePicture(input: Uint8Array): Promise<void> {
  const data = await checkPicture(input);
  let other: PNG;
  try {
    other = PNG.sync.read(Buffer.from(input), { checkCRC: false });
  } catch {
    return; // stricter than we are
  }
  if (input[24] === 16) return;
  assert.equal(
    data,
    Uint8Array.from({ length: data.length }, (_, i) => other.data[Math.floor(i / 3) * 4 + (i % 3)] as number),
  );
}

async function checkPicture(input: Uint8Array): Promise<Uint8Array> {
  const { data, width, height, channels } = await decodeImage(input, { limits: { pixels: 1_000_000 } });
  assert.is(data.length, width * height * channels);
  assert.ok(readOrientation(input) >= 1);
  return data as Uint8Array;
}

/** Assertions of uvu look at `constructor`, as which a field may be named here. */
function sameJson(found: unknown, expected: unknown): void {
  const [a, b] = [found, expected].map((value) => JSON.stringify(value)) as [string, string];
  assert.ok(isDeepStrictEqual(JSON.parse(a), JSON.parse(b)), `found ${a}, expected ${b}`);
}

async function checkProcessor(input: Uint8Array): Promise<void> {
  const processor = await AutoImageProcessor.from_pretrained({ 'preprocessor_config.json': input });
  const image = { data: new Uint8Array(75), width: 5, height: 5, channels: 3 };
  const { pixel_values } = await processor(image as never, { limits: { pixels: 1_000_000 } });
  assert.is(pixel_values.data.length, sizeOf(pixel_values.dims));
}

/** A picture is the same whatever was decoded before: nothing of one is seen in another. */
async function checkJpeg(input: Uint8Array): Promise<void> {
  const data = await checkPicture(input);
  for (const other of BEFORE) await decodeImage(other);
  assert.ok(Buffer.compare(data, await checkPicture(input)) === 0, 'another picture after another');
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
  HTTP,
  { name: 'png', make: (roll) => withPngChecksums(mutate(pick(roll, PNGS), roll)), read: checkPicture },
  { name: 'png-checksums', make: (roll) => mutate(pick(roll, PNGS), roll), read: checkPicture },
  { name: 'png-inside', make: makePng, read: comparePicture },
  { name: 'jpeg', make: (roll) => mutate(pick(roll, JPEGS), roll), read: checkPicture },
  { name: 'jpeg-inside', make: makeJpeg, read: checkJpeg },
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
    name: 'model', // the length of config.json, and both files
    make: (roll) => {
      const config = makeFields(roll, [MODEL_FIELDS]);
      return bytes(integer(config.length, 4), config, roll(3) ? MODEL : mutateStart(MODEL, headerOf(MODEL), roll));
    },
    read: async (input) => {
      const end = 4 + new DataView(input.buffer).getUint32(0, true);
      const files = { 'config.json': input.slice(4, end), 'model.safetensors': input.slice(end) };
      const model = (await AutoModel.from_pretrained(files, { memoryLimit: 64 * 2 ** 20, threads: 1 })) as Dinov2Model;
      try {
        const { num_channels, hidden_size, registers } = model.config;
        const { last_hidden_state } = await model(new Tensor('float32', new Float32Array(num_channels * 64), [1, num_channels, 8, 8]));
        assert.is(last_hidden_state.dims[2], hidden_size);
        assert.ok((last_hidden_state.dims[1] as number) > registers);
      } finally {
        model.dispose();
      }
    },
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
      sameJson((await AutoConfig.from_pretrained({ 'config.json': encode(config.to_dict()) })).to_dict(), config.to_dict());
    },
  },
  {
    name: 'config-fields',
    make: (roll) => makeFields(roll, CONFIG_FIELDS),
    read: async (input) => {
      const [, type = 'dinov2'] = /"model_type": ?"(\w+)"/.exec(new TextDecoder().decode(input)) ?? [];
      const Config = CLASSES.get(type) ?? Dinov2Config;
      const config = await Config.from_pretrained({ 'config.json': input });
      sameJson((await Config.from_pretrained({ 'config.json': encode(config.to_dict()) })).to_dict(), config.to_dict());
    },
  },
  { name: 'preprocessor_config.json', make: (roll) => mutate(pick(roll, PROCESSORS), roll), read: checkProcessor },
  { name: 'index', make: makeIndex, read: checkIndex },
  { name: 'commands', make: makeCommand, read: checkCommand },
  { name: 'preprocessor-fields', make: (roll) => makeFields(roll, PROCESSOR_FIELDS), read: checkProcessor },
  {
    name: 'json', // the parser of all of these, beside that of the host
    make: (roll) => mutate(pick(roll, [...CONFIGS, ...PROCESSORS, DESCRIPTION]), roll),
    read: async (input) => {
      const found = parseJson(input, (problem) => new Dinov2Error(problem));
      sameJson(found, JSON.parse(new TextDecoder('utf-8').decode(input)));
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
