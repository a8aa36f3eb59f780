import fc from 'fast-check';
import { PNG } from 'pngjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeNpy } from '../src/checkpoint/npy.ts';
import { decodeImage } from '../src/image/decode.ts';
import { RESAMPLING, resize } from '../src/image/resize.ts';
import { encodeGray16, encodePng } from '../src/plot/png.ts';
import { Engine } from '../src/runtime/engine.ts';
import { DTYPES, type DType } from '../src/tensor/dtype.ts';
import { placed } from '../src/tensor/place.ts';
import { sizeOf, Tensor } from '../src/tensor/tensor.ts';
import { randomPixels } from './image/helpers.ts';
import { assertSameBits } from './reference/compare.ts';
import { uniform } from './reference/random.ts';

const sizes = { width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }), seed: fc.nat() };
const dims = fc.array(fc.nat({ max: 4 }), { maxLength: 4 });
const kinds = Object.keys(DTYPES) as DType[];

/** A tensor of any bits. */
function anyTensor(dtype: DType, shape: readonly number[], seed: number): Tensor {
  const next = uniform(seed);
  const data = new DTYPES[dtype](sizeOf(shape));
  new Uint8Array(data.buffer).forEach((_, i, bytes) => {
    bytes[i] = dtype === 'bool' ? Math.floor(next() * 2) : Math.floor(next() * 256);
  });
  return new Tensor(dtype, data as never, shape);
}

/** What numpy/lib/format.py reads out of a file: nothing is passed over. */
function readNpy(file: Uint8Array): { descr: string; shape: number[]; data: Uint8Array } {
  assert.equal([...file.subarray(0, 8)], [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const begin = 10 + new DataView(file.buffer, file.byteOffset).getUint16(8, true);
  assert.is(begin % 64, 0);
  const header = new TextDecoder('latin1').decode(file.subarray(10, begin));
  const found = /^\{'descr': '([<|][fiub]\d)', 'fortran_order': False, 'shape': \(((?:\d+,|\d+(?:, \d+)+)?)\), \} *\n$/.exec(header);
  assert.ok(found, header);
  const [, descr = '', shape = ''] = found ?? [];
  return { descr, shape: shape.split(',').flatMap((d) => (d === '' ? [] : [Number(d)])), data: file.subarray(begin) };
}

test('a tensor as .npy says its type and dimensions, and has its bytes', () => {
  const descr: Partial<Record<DType, string>> = {
    float32: '<f4',
    float16: '<f2',
    int64: '<i8',
    int32: '<i4',
    int8: '|i1',
    uint8: '|u1',
    bool: '|b1',
  };
  fc.assert(
    fc.property(fc.constantFrom(...kinds.filter((kind) => kind !== 'bfloat16')), dims, fc.nat(), (dtype, shape, seed) => {
      const tensor = anyTensor(dtype, shape, seed);
      const found = readNpy(encodeNpy(tensor));
      assert.equal([found.descr, found.shape], [descr[dtype], shape]);
      assertSameBits(found.data, tensor.data);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('any RGB picture as PNG is read as it was, by pngjs too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.record(sizes), async ({ width, height, seed }) => {
      const picture = randomPixels(width, height, 3, seed);
      const file = await encodePng(picture);
      assert.equal(await decodeImage(file), picture);
      const other = PNG.sync.read(Buffer.from(file)).data; // RGBA
      assertSameBits(new Uint8Array(other.filter((_, i) => i % 4 < 3)), picture.data);
    }),
    { seed: 2, numRuns: 60 },
  );
});

test('any grey picture of 16 bits as PNG has its upper bytes here, and all of them by pngjs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.record(sizes), async ({ width, height, seed }) => {
      const next = uniform(seed);
      const pixels = Uint16Array.from({ length: width * height }, () => next() * 65536);
      const file = await encodeGray16(pixels, { width, height });
      const { data, channels } = await decodeImage(file);
      assert.is(channels, 3);
      assertSameBits(
        data,
        Uint8Array.from(data, (_, i) => (pixels[Math.floor(i / 3)] as number) >> 8),
      );
      const other = PNG.sync.read(Buffer.from(file), { skipRescale: true }).data as unknown as Uint16Array; // RGBA of 16 bits
      assert.equal(
        Array.from(pixels, (_, i) => other[4 * i]),
        [...pixels],
      );
    }),
    { seed: 3, numRuns: 60 },
  );
});

test('a picture of one colour stays it at any size, and no channel looks at another', () => {
  const to = { w: fc.integer({ min: 1, max: 90 }), h: fc.integer({ min: 1, max: 90 }) };
  fc.assert(
    fc.property(fc.record({ ...sizes, ...to, filter: fc.constantFrom(...RESAMPLING) }), ({ width, height, seed, w, h, filter }) => {
      const target = { width: w, height: h, resample: filter };
      const color = [seed & 255, (seed >> 8) & 255, (seed >> 16) & 255];
      const flat = { data: Uint8Array.from({ length: width * height * 3 }, (_, i) => color[i % 3] as number), width, height, channels: 3 };
      assertSameBits(
        resize(flat, target).data,
        Uint8Array.from({ length: w * h * 3 }, (_, i) => color[i % 3] as number),
      );
      const picture = randomPixels(width, height, 3, seed);
      const [all, one] = [resize(picture, target).data, seed % 3];
      const alone = { ...picture, data: picture.data.filter((_, i) => i % 3 === one), channels: 1 };
      assertSameBits(resize(alone, target).data, Uint8Array.from(all.filter((_, i) => i % 3 === one)));
    }),
    { seed: 4, numRuns: 150 },
  );
});

test('filters without negative weights stay between the darkest and the brightest pixel', () => {
  const filters = fc.constantFrom('nearest', 'box', 'bilinear', 'hamming');
  fc.assert(
    fc.property(fc.record({ ...sizes, filter: filters }), ({ width, height, seed, filter }) => {
      const data = randomPixels(width, height, 1, seed).data.map((byte) => 90 + (byte >> 2));
      const found = resize({ data, width, height, channels: 1 }, { width: height, height: width, resample: filter as 'box' }).data;
      assert.ok(Math.min(...found) >= Math.min(...data) && Math.max(...found) <= Math.max(...data));
    }),
    { seed: 5, numRuns: 150 },
  );
});

test('at, slice, reshape and tolist find each element where row-major order has it, in an array and in the memory of an engine', () => {
  const engine = new Engine();
  fc.assert(
    fc.property(dims, fc.constantFrom(...kinds.filter((kind) => kind !== 'int64')), fc.nat(), (shape, dtype, seed) => {
      const owning = anyTensor(dtype, shape, seed);
      const values = owning.reshape(-1, 1).tolist() as number[][];
      engine.scope(() => {
        for (const tensor of [owning, placed(engine, owning)]) {
          assert.is(String([tensor.tolist()].flat(9)), String(values.flat()));
          assertSameBits(tensor.reshape(...shape.toReversed()).reshape(...shape).data, owning.data);
          for (let i = 0; i < owning.size; i++) {
            let [inner, rest, element] = [owning.size, i, tensor];
            for (const d of shape) {
              inner /= d;
              element = element.at(Math.floor(rest / inner) - (seed % 2) * d); // from the front or from the end
              rest %= inner;
            }
            assert.equal(element.item(), values[i]?.[0]);
          }
          const [count] = shape;
          if (count === undefined) continue;
          const [begin, end] = [seed % (count + 1), count];
          const step = owning.size / count || 0;
          assertSameBits(tensor.slice(begin, end).data, owning.data.slice(begin * step, end * step));
        }
      });
    }),
    { seed: 6, numRuns: 150 },
  );
  engine.dispose();
});

test.run();
