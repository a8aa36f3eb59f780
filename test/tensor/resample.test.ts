import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ShapeError } from '../../src/errors.ts';
import { type ResampleOptions, resample, Tensor } from '../../src/tensor/index.ts';
import { refuses } from '../helpers.ts';
import { assertSame, assertSameBits, assertWithin } from '../reference/compare.ts';
import { interpolate } from '../reference/interpolate.ts';
import { randomTensor } from './helpers.ts';

fc.configureGlobal({ includeErrorInReport: true });

const image = (rows: number, columns: number, channels: number, seed: number): Tensor<'float32'> =>
  randomTensor([rows, columns, channels], seed);
const row = (...values: number[]): Tensor<'float32'> => new Tensor('float32', values, [1, values.length, 1]);

test('resample is torch.nn.functional.interpolate, for each filter and option, larger and smaller', () => {
  const size = fc.integer({ min: 1, max: 12 });
  const variant = fc.constantFrom('plain', 'alignCorners', 'antialias', 'scaleFactor', 'antialias and scaleFactor');
  fc.assert(
    fc.property(
      fc.tuple(size, size, fc.nat({ max: 6 })),
      fc.tuple(size, size),
      fc.constantFrom('bilinear' as const, 'bicubic' as const),
      variant,
      fc.tuple(fc.double({ min: 0, max: 0.9, noNaN: true }), fc.double({ min: 0, max: 0.9, noNaN: true })),
      fc.nat(),
      ([rows, columns, channels], [height, width], filter, variant, [more, moreToo], seed) => {
        const x = image(rows, columns, channels, seed);
        const options = {
          alignCorners: variant === 'alignCorners',
          antialias: variant.startsWith('antialias'),
          ...(variant.endsWith('scaleFactor') && { scaleFactor: [(height + more) / rows, (width + moreToo) / columns] as const }),
        };
        const y = resample(x, { height, width, filter, ...options });
        assert.equal(y.dims, [height, width, channels]);
        assertWithin(
          y.data,
          interpolate(x.data, [rows, columns, channels], { size: [height, width], mode: filter, ...options }),
          2e-6,
          'y',
        );
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});

test('bilinear is what it is on paper', () => {
  const double = { height: 1, width: 4, filter: 'bilinear' } as const;
  // sources of the outputs: -0.25 held at 0, 0.25, 0.75, 1.25 held at 1
  assert.equal([...resample(row(0, 4), double).data], [0, 1, 3, 4]);
  // corners aligned: 0, 1/3, 2/3, 1
  assert.equal([...resample(row(0, 3), { ...double, alignCorners: true }).data], [0, 1, 2, 3]);
  // halved: 0.5 and 2.5, between two pixels each; the other pixels have no part in it
  assert.equal([...resample(row(0, 2, 4, 8), { ...double, width: 2 }).data], [1, 6]);
  // with antialias a triangle of half width 2 around 1 and 3 in pixel edges: weights 3 3 1 and 1 3 3 of 7
  const small = resample(row(0, 7, 14, 21), { ...double, width: 2, antialias: true });
  assertWithin(small.data, [(3 * 0 + 3 * 7 + 14) / 7, (7 + 3 * 14 + 3 * 21) / 7], 1e-5);
  // a single output with corners aligned is the first pixel
  assert.equal([...resample(row(5, 9), { ...double, width: 1, alignCorners: true }).data], [5]);
});

test('bicubic has Keys’ weights with A = -0.75, as PyTorch has', () => {
  const [, second] = resample(row(0, 0, 1, 0), { height: 1, width: 8, filter: 'bicubic' }).data as unknown as [number, number];
  // output 1 is at 0.25: the third pixel is at distance 1.75, weight A (d^3 - 5 d^2 + 8 d - 4)
  assert.is(second, Math.fround(-0.75 * (1.75 ** 3 - 5 * 1.75 ** 2 + 8 * 1.75 - 4)));
});

test('bicubic with antialias has Keys’ weights with A = -0.5', () => {
  const [, second] = resample(row(0, 0, 1, 0, 0, 0, 0, 0), { height: 1, width: 16, filter: 'bicubic', antialias: true })
    .data as unknown as number[];
  // enlarging, so the filter is not widened: output 1 is at 0.25; the tap at -1 is cut off, the weights of 0, 1 and 2 are divided by their sum
  const weight = (d: number): number => (d < 1 ? 1.5 * d ** 3 - 2.5 * d ** 2 + 1 : -0.5 * (d ** 3 - 5 * d ** 2 + 8 * d - 4));
  assertWithin([second as number], [weight(1.75) / (weight(0.25) + weight(0.75) + weight(1.75))], 1e-7);
});

test('the offset 0.1 of DINOv2 changes the coordinates and nothing else', () => {
  const x = image(5, 5, 1, 2);
  const options = { height: 3, width: 3, filter: 'bicubic' } as const;
  const offset = resample(x, { ...options, scaleFactor: [3.1 / 5, 3.1 / 5] });
  assert.not.equal(offset.data, resample(x, options).data);
  assertSame(resample(x, { ...options, scaleFactor: [3 / 5, 3 / 5] }).data, resample(x, options).data, 'the ratio itself as a factor');
});

test('a picture of the same size stays as it is', () => {
  const x = image(4, 6, 3, 3);
  for (const filter of ['bilinear', 'bicubic'] as const) {
    for (const options of [{}, { alignCorners: true }, { antialias: true }]) {
      assertSame(resample(x, { height: 4, width: 6, filter, ...options }).data, x.data, `${filter} ${JSON.stringify(options)}`);
    }
  }
});

test('a large picture, which is done in bands, has the bits of its channels on their own', () => {
  const [rows, columns, channels] = [90, 50, 128];
  const x = image(rows, columns, channels, 5);
  const options = { height: 180, width: 100, filter: 'bilinear', alignCorners: true } as const;
  const y = resample(x, options);
  const channelsOf = ({ data }: Tensor<'float32'>, first: number): Float32Array<ArrayBuffer> =>
    data.filter((_, e) => e % channels >= first && e % channels < first + 20);
  for (const first of [0, 100]) {
    const own = resample(new Tensor('float32', channelsOf(x, first), [rows, columns, 20]), options);
    assertSameBits(channelsOf(y, first), own.data, `channels from ${first}`);
  }
});

test('NaN reaches the outputs whose filter covers it and no others', () => {
  for (const filter of ['bilinear', 'bicubic'] as const) {
    for (const antialias of [false, true]) {
      for (let i = 0; i < 8; i++) {
        const x = row(...new Float32Array(8).fill(1).with(i, Number.NaN));
        const y = resample(x, { height: 1, width: 3, filter, antialias });
        const expected = interpolate(x.data, [1, 8, 1], { size: [1, 3], mode: filter, antialias });
        assert.equal([...y.data].map(Number.isNaN), [...expected].map(Number.isNaN), `${filter}, antialias ${antialias}, pixel ${i}`);
      }
    }
  }
});

test('sizes, filters and options that are none are refused by name', async () => {
  const x = image(2, 2, 1, 4);
  const run = (options: object, from = x) => resample(from, { height: 2, width: 2, filter: 'bilinear', ...options } as ResampleOptions);
  for (const height of [0, -1, 1.5, Number.NaN, undefined, '2']) await refuses(() => run({ height }), ArgumentError, 'resample', 'sizes');
  await refuses(() => run({ width: 0 }), ArgumentError, 'resample', '2 x 0');
  await refuses(() => run({}, image(0, 2, 1, 1)), ArgumentError, 'resample', '[0,2,1]');
  await refuses(() => run({}, x.reshape(2, 2)), ShapeError, 'resample: expected [*, *, *], found [2, 2]');
  for (const filter of ['nearest', undefined]) await refuses(() => run({ filter }), ArgumentError, 'filter', 'bilinear', 'bicubic');
  await refuses(() => run({ antialias: true, alignCorners: true }), ArgumentError, 'exclude each other');
  for (const factor of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    await refuses(() => run({ scaleFactor: [1, factor] }), ArgumentError, 'scaleFactor');
});

test('an image whose rows are larger than what is worked on at a time is resampled too', () => {
  const [channels, width] = [1100, 1000];
  const x = image(2, 1, channels, 9);
  const y = resample(x, { height: 1, width, filter: 'bilinear' });
  const mean = Float32Array.from({ length: channels }, (_, c) => ((x.data[c] as number) + (x.data[channels + c] as number)) / 2);
  for (const column of [0, 1, width - 1]) assertWithin(y.data.subarray(column * channels, (column + 1) * channels), mean, 1e-6);
});

test.run();
