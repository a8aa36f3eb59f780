import fc from 'fast-check';
import { test } from 'uvu';
import { huffmanTable } from '../../../src/image/jpegDecoder.ts';
import { assertSameBits } from '../../reference/compare.ts';
import { COUNTS, coded, SYMBOLS, ZIGZAG } from '../../reference/jpeg.ts';
import { type Bench, testKernels } from '../helpers.ts';

/** Coefficients of blocks in a row, in the order of the file, written as one scan and read by the kernel: row by row, in its order. */
function readBack(bench: Bench, blocks: readonly Int16Array[], { restart, behind = 0 }: { restart: number; behind?: number }): Int16Array {
  const across = blocks.length;
  const picture = { width: 8 * across, height: 8, components: [{ h: 1, v: 1, across, blocks }], quantization: new Uint8Array(64), restart };
  const bytes = Uint8Array.from(coded(picture, { components: [0], first: 0, last: 63, high: 0, low: 0 }, false));
  const table = bench.input(huffmanTable(COUNTS, SYMBOLS));
  const data = bench.input(bytes);
  const order = bench.input(Uint8Array.from(ZIGZAG));
  const coefficients = bench.output(new Int16Array(64 * across).fill(-1));
  const scan = new Int32Array(28); // as assembly/jpeg/i16_jpeg_scan.ts has it: a scan of 80 bytes, a component of 32
  scan.set([data, data + bytes.length - behind]);
  scan.set([order, restart, restart, 0, 0, 0, 63, 0, 0, 0, 1], 6);
  scan.set([coefficients, across, 1, 1, table, table, 0], 20);
  const address = bench.output(scan);
  bench.engine.call('i16_jpeg_scan', address, across, 1);
  const problem = bench.engine.view(address + 68, 1)[0];
  if (problem) throw new Error(`problem ${problem}`);
  const found = new Int16Array(64 * across);
  bench.engine.read(coefficients, found);
  return found;
}

function byRows(blocks: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(64 * blocks.length);
  for (const [b, block] of blocks.entries()) for (const [k, place] of ZIGZAG.entries()) all[64 * b + place] = block[k] as number;
  return all;
}

const blocksOf = (value: fc.Arbitrary<number>): fc.Arbitrary<Int16Array[]> =>
  fc.array(
    fc.array(value, { minLength: 64, maxLength: 64 }).map((values) => Int16Array.from(values)),
    { minLength: 1, maxLength: 9 },
  );

function check(bench: Bench, value: fc.Arbitrary<number>): void {
  fc.assert(
    fc.property(blocksOf(value), fc.constantFrom(0, 1, 3), (blocks, restart) => {
      bench.try(() => assertSameBits(readBack(bench, blocks, { restart }), byRows(blocks)));
    }),
    { seed: 1, numRuns: 100 },
  );
}

testKernels('i16_jpeg_scan reads back coefficients, with restarts and without', (bench) =>
  check(bench, fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -60, max: 60 }))),
);

testKernels('i16_jpeg_scan reads back the largest coefficients, of 15 bits', (bench) =>
  check(bench, fc.constantFrom(0, 1, -1, 16383, -16383, 8192, -8192)),
);

testKernels('i16_jpeg_scan says that data ends early, and reads nothing behind it', (bench) => {
  const blocks = [1, 2, 3].map((seed) => Int16Array.from({ length: 64 }, (_, k) => (k * seed) % 7));
  bench.try(() => {
    let refused = false;
    try {
      readBack(bench, blocks, { restart: 0, behind: 3 });
    } catch (error) {
      refused = (error as Error).message === 'problem 1';
    }
    if (!refused) throw new Error('expected the problem of data that ends early');
  });
});

test.run();
