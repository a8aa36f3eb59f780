import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomFloats } from '../../reference/random.ts';
import { testKernels } from '../helpers.ts';

type Sample = (x: number, y: number) => number;

/** A plane in the size of the picture: "fancy upsampling" of libjpeg-turbo (jdsample.c), where it does that, else each sample repeated. */
function enlarged(at: Sample, { width, height, h, v }: { width: number; height: number; h: number; v: number }): Sample {
  const clamp = (i: number, size: number): number => Math.min(size - 1, Math.max(0, i));
  const isFineAcross = h === 2 && width > 2;
  const isFineDown = v === 2 && (h === 1 || isFineAcross);
  /** The nearer sample three times and the farther once, times 4; at an edge the farther is the nearer. */
  const down = (x: number, y: number): number => {
    const near = Math.floor(y / 2);
    return 3 * at(x, near) + at(x, clamp(y % 2 ? near + 1 : near - 1, height));
  };
  const across = (of: (x: number) => number, x: number): number => {
    const near = Math.floor(x / 2);
    return 3 * of(near) + of(clamp(x % 2 ? near + 1 : near - 1, width));
  };
  if (isFineDown && h === 1) return (x, y) => (down(x, y) + (y % 2 ? 2 : 1)) >> 2;
  if (isFineDown) return (x, y) => (across((column) => down(column, y), x) + (x % 2 ? 7 : 8)) >> 4;
  if (isFineAcross && v === 1) return (x, y) => (across((column) => at(column, y), x) + (x % 2 ? 2 : 1)) >> 2;
  return (x, y) => at(Math.floor(x / h), Math.floor(y / v));
}

const level = (x: number): number => Math.min(255, Math.max(0, x));

/** jdcolor.c, in 16-bit fixed point. */
function fromYcc(y: number, cb: number, cr: number): number[] {
  const [b, r] = [cb - 128, cr - 128];
  const half = 1 << 15;
  return [y + ((91881 * r + half) >> 16), y + ((-22554 * b - 46802 * r + half) >> 16), y + ((116130 * b + half) >> 16)].map(level);
}

/** Pillow's Convert.c, `cmyk2rgb`, of inverted samples. */
function fromCmyk(colors: readonly number[], k: number): number[] {
  const product = (a: number, b: number): number => {
    const x = a * b + 128;
    return ((x >> 8) + x) >> 8;
  };
  return colors.map((color) => level(k - product(255 - color, k)));
}

const COLORS: readonly ((samples: readonly number[]) => number[])[] = [
  ([y = 0]) => [y, y, y],
  ([y = 0, cb = 0, cr = 0]) => fromYcc(y, cb, cr),
  (rgb) => [...rgb],
  ([c = 0, m = 0, y = 0, k = 0]) => fromCmyk([c, m, y], k),
  ([y = 0, cb = 0, cr = 0, k = 0]) =>
    fromCmyk(
      fromYcc(y, cb, cr).map((x) => 255 - x),
      k,
    ),
];
const COMPONENTS = [1, 3, 3, 4, 4];

testKernels('u8_jpeg_rows is libjpeg-turbo’s upsampling and its and Pillow’s colours, to the byte', (bench) => {
  const properties = fc.record({
    color: fc.integer({ min: 0, max: 4 }),
    width: fc.integer({ min: 1, max: 37 }),
    height: fc.integer({ min: 1, max: 20 }),
    h: fc.constantFrom(1, 2, 4),
    v: fc.constantFrom(1, 2, 4),
    first: fc.integer({ min: 0, max: 5 }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(properties, ({ color, width, height, h, v, first: row, seed }) => {
      bench.try(() => {
        const first = Math.min(row, height - 1);
        const count = height - first;
        const planes = Array.from({ length: COMPONENTS[color] as number }, (_, c) => {
          const shape = c === 1 || c === 2 ? { h, v } : { h: 1, v: 1 };
          const own = { ...shape, width: Math.ceil(width / shape.h), height: Math.ceil(height / shape.v) };
          const stride = Math.ceil(own.width / 8) * 8;
          const data = Uint8Array.from(randomFloats(stride * own.height, seed + c), (x) => 128 + 200 * x);
          return { ...own, stride, data };
        });
        const described = planes.flatMap(({ data, stride, h, v, width, height }) => {
          const room = bench.engine.allocate(width * h + 32);
          return [bench.input(data), stride, height, width, height, h, v, room];
        });
        const output = bench.engine.allocate(count * width * 3 + 32);
        bench.engine.call('u8_jpeg_rows', bench.input(Int32Array.from(described)), color, width, first, count, output);
        const found = bench.engine.view(output, count * width * 3).slice();
        const samples = planes.map((plane) => enlarged((x, y) => plane.data[y * plane.stride + x] as number, plane));
        for (let i = 0; i < count * width; i++) {
          const [x, y] = [i % width, first + Math.floor(i / width)];
          const right = (COLORS[color] as (typeof COLORS)[number])(samples.map((at) => at(x, y)));
          assert.equal([...found.subarray(3 * i, 3 * i + 3)], right, `${x}, ${y}`);
        }
      });
    }),
    { seed: 1, numRuns: 200 },
  );
});

test.run();
