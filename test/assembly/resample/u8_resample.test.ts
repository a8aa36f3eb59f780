import fc from 'fast-check';
import { test } from 'uvu';
import { assertSameBits } from '../../reference/compare.ts';
import { sum } from '../../reference/ops.ts';
import { uniform } from '../../reference/random.ts';
import { testKernels } from '../helpers.ts';

/** Taps of one output: the first input, and the weights as integers times 2^-22. */
interface Entry {
  first: number;
  weights: number[];
}

/** Entries whose taps lie within `size` inputs, with weights that sum to 2^22 or a little less, some of them negative. */
function entries(count: number, size: number, next: () => number): Entry[] {
  return Array.from({ length: count }, () => {
    const first = Math.floor(next() * size);
    const weights = Array.from({ length: 1 + Math.floor(next() * (size - first)) }, () => next() - 0.3);
    const total = weights.reduce((a, b) => a + Math.abs(b), 0);
    return { first, weights: weights.map((w) => Math.round((w / total) * 2 ** 22)) };
  });
}

/** The table as assembly/resample/u8_resample.ts describes it. */
function tableOf(all: readonly Entry[], pairs: number): Uint8Array {
  const table = new DataView(new ArrayBuffer(all.length * (8 + 8 * pairs)));
  for (const [i, { first, weights }] of all.entries()) {
    const at = i * (8 + 8 * pairs);
    table.setInt32(at, first, true);
    table.setInt32(at + 4, Math.ceil(weights.length / 2), true);
    for (const [t, k] of weights.entries()) {
      const pair = at + 8 + 8 * Math.floor(t / 2);
      const high = Math.floor(k / 2 ** 15);
      table.setInt16(pair + 2 * (t % 2), k - high * 2 ** 15, true);
      table.setInt16(pair + 4 + 2 * (t % 2), high, true);
    }
  }
  return new Uint8Array(table.buffer);
}

const clip8 = (total: number): number => Math.min(255, Math.max(0, Math.floor((total + 2 ** 21) / 2 ** 22)));

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 12 }),
  width: fc.integer({ min: 1, max: 12 }),
  to: fc.nat({ max: 12 }),
  seed: fc.nat(),
});

testKernels('u8_resample_horizontal sums integers as Pillow does and writes at most 3 bytes behind its result', (bench) => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 4 }), ({ rows, width, to, seed }, channels) => {
      const next = uniform(seed);
      const input = Uint8Array.from({ length: rows * width * channels }, () => next() * 256);
      const all = entries(to, width, next);
      const pairs = Math.max(1, ...all.map(({ weights }) => Math.ceil(weights.length / 2)));
      const expected = Uint8Array.from({ length: rows * to * channels }, (_, e) => {
        const [row, column, channel] = [Math.floor(e / (to * channels)), Math.floor(e / channels) % to, e % channels];
        const { first, weights } = all[column] as Entry;
        return clip8(
          sum(weights.length, (t) => (weights[t] as number) * (input[(row * width + first + t) * channels + channel] as number)),
        );
      });
      const found = bench.try(() => {
        const output = bench.output(new Uint8Array(expected.length + 3));
        const table = bench.input(tableOf(all, pairs));
        bench.engine.call('u8_resample_horizontal', rows, width, to, channels, pairs, bench.input(input), table, output);
        return bench.engine.view(output, expected.length).slice();
      });
      assertSameBits(found, expected, 'output');
    }),
    { seed: 1, numRuns: 200 },
  );
});

testKernels(
  'u8_resample_vertical sums integers as Pillow does, from any first row, and writes at most 15 bytes behind its result',
  (bench) => {
    fc.assert(
      fc.property(sizes, fc.nat({ max: 40 }), fc.nat({ max: 9 }), ({ rows, to, seed }, rowBytes, firstRow) => {
        const next = uniform(seed);
        const input = Uint8Array.from({ length: rows * rowBytes }, () => next() * 256);
        const all = entries(to, rows, next);
        const pairs = Math.max(1, ...all.map(({ weights }) => Math.ceil(weights.length / 2)));
        const expected = Uint8Array.from({ length: to * rowBytes }, (_, e) => {
          const { first, weights } = all[Math.floor(e / rowBytes)] as Entry;
          return clip8(sum(weights.length, (t) => (weights[t] as number) * (input[(first + t) * rowBytes + (e % rowBytes)] as number)));
        });
        const found = bench.try(() => {
          const output = bench.output(new Uint8Array(expected.length + 15));
          const table = bench.input(
            tableOf(
              all.map(({ first, weights }) => ({ first: first + firstRow, weights })),
              pairs,
            ),
          );
          bench.engine.call('u8_resample_vertical', to, rowBytes, pairs, firstRow, bench.input(input), table, output);
          return bench.engine.view(output, expected.length).slice();
        });
        assertSameBits(found, expected, 'output');
      }),
      { seed: 2, numRuns: 200 },
    );
  },
);

test.run();
