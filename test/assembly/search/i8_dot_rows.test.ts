import fc from 'fast-check';
import { test } from 'uvu';
import { assertSame, assertWithin, UNIT } from '../../reference/compare.ts';
import { sum } from '../../reference/ops.ts';
import { uniform } from '../../reference/random.ts';
import { type Bench, SHIFTS, testKernels } from '../helpers.ts';

const SPAN = 256;

interface Case {
  /** (n, k), 0 to 126. */
  readonly x: Uint8Array;
  /** (n, 2): scale and error of each row. */
  readonly heads: Float32Array;
  /** (k), -65 to 65. */
  readonly query: Int8Array;
  readonly scale: number;
  readonly error: number;
}

/** The query as the kernel takes it where it has no bytes: of every 16 integers the even ones, and the odd ones less 256 times these. */
function words(query: Int8Array): Int16Array {
  const result = new Int16Array(query.length);
  for (let first = 0; first < query.length; first += 16) {
    for (let j = 0; j < 8; j++) {
      const [even, odd] = query.subarray(first + 2 * j, first + 2 * j + 2) as unknown as [number, number];
      result[first + j] = even;
      result[first + 8 + j] = odd - 256 * even;
    }
  }
  return result;
}

function run(bench: Bench, bytes: boolean, { x, heads, query, scale, error }: Case, shift = 0): { y: Float32Array; peaks: Float32Array } {
  const [n, k] = [heads.length / 2, query.length];
  return bench.try(() => {
    const [y, peaks] = [bench.room(n, { shift }), bench.room(Math.ceil(n / SPAN), { shift })];
    const places = [bench.input(x, { shift }), bench.input(heads, { shift })] as const;
    const q = bench.input(bytes ? query : words(query), { shift });
    const total = sum(k, (j) => query[j] as number);
    bench.engine.call('i8_dot_rows', Number(bytes), n, k, ...places, q, total, scale, error, y, peaks);
    return { y: bench.read(y, n), peaks: bench.read(peaks, Math.ceil(n / SPAN)) };
  });
}

/** With bytes and without, as far as this build has them. */
const waysOf = ({ engine }: Bench): boolean[] => (engine.multipliesBytes ? [true, false] : [false]);

/** Integers from `low` to `high`, often the outermost. */
function integers(count: number, seed: number, low: number, high: number): number[] {
  const next = uniform(seed);
  return Array.from({ length: count }, () => Math.max(low, Math.min(high, Math.round(low + (1.4 * next() - 0.2) * (high - low)))));
}

const products = ({ x, heads, query }: Case): number[] =>
  Array.from({ length: heads.length / 2 }, (_, i) =>
    sum(query.length, (j) => ((x[i * query.length + j] as number) - 63) * (query[j] as number)),
  );

const cases = fc.record({
  n: fc.oneof(fc.integer({ min: 0, max: 14 }), fc.integer({ min: 250, max: 530 })),
  k: fc.integer({ min: 0, max: 4 }).map((steps) => 32 * steps),
  shift: fc.constantFrom(...SHIFTS),
  seed: fc.nat(),
});

testKernels('i8_dot_rows gives exact sums times both scales, and the largest of each span, with bytes and with words', (bench) => {
  fc.assert(
    fc.property(cases, fc.constantFrom(...waysOf(bench)), ({ n, k, shift, seed }, bytes) => {
      const one = {
        x: Uint8Array.from(integers(n * k, seed, 0, 126)),
        heads: Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? 2 ** ((i % 9) - 2) : 0)),
        query: Int8Array.from(integers(k, seed + 1, -65, 65)),
        scale: 0.5,
        error: 0,
      };
      const { y, peaks } = run(bench, bytes, one, shift);
      const expected = products(one).map((product, i) => product * (one.heads[2 * i] as number) * 0.5);
      assertSame(y, expected, 'y');
      assertSame(
        peaks,
        Array.from(peaks, (_, i) => Math.max(...expected.slice(i * SPAN, (i + 1) * SPAN))),
        'peaks',
      );
    }),
    { seed: 1, numRuns: 300 },
  );
});

testKernels('i8_dot_rows adds by how much the row may be off, and the query', (bench) => {
  const next = uniform(5);
  for (const n of [1, 4, 6, 259]) {
    const one = {
      x: Uint8Array.from(integers(n * 32, n, 0, 126)),
      heads: Float32Array.from({ length: 2 * n }, () => next() / 63),
      query: Int8Array.from(integers(32, n + 1, -65, 65)),
      scale: Math.fround(1 / 300),
      error: Math.fround(0.07),
    };
    const expected = products(one).map((product, i) => {
      const [scale, error] = one.heads.subarray(2 * i, 2 * i + 2) as unknown as [number, number];
      return { product: product * scale * one.scale, error: error * (1 + one.error) + one.error };
    });
    for (const bytes of waysOf(bench)) {
      const bounds = expected.map(({ product, error }) => product + error);
      assertWithin(run(bench, bytes, one).y, bounds, (i) => 6 * UNIT * (Math.abs(expected[i]?.product ?? 0) + 1), 'y');
    }
  }
});

testKernels('i8_dot_rows is exact for the longest rows of the outermost integers, and hands on heads that are no numbers', (bench) => {
  const k = 262144;
  const scales = [1, -1, 2 ** -149, Number.NaN, Number.POSITIVE_INFINITY];
  const heads = Float32Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? (scales[i / 2] as number) : 0));
  for (const bytes of waysOf(bench)) {
    for (const [integer, q] of [
      [126, 65],
      [0, 65],
      [126, -65],
      [0, -65],
    ] as const) {
      const one = { x: new Uint8Array(5 * k).fill(integer), heads, query: new Int8Array(k).fill(q), scale: 1, error: 0 };
      const { y, peaks } = run(bench, bytes, one);
      const product = Math.fround((integer - 63) * q * k);
      assertSame(
        y,
        scales.map((scale) => Math.fround(product * scale)),
        `${integer} - 63 by ${q}`,
      );
      assertSame(peaks, [Number.NaN]);
    }
  }
});

test.run();
