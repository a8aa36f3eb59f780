import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../src/runtime/engine.ts';
import { hasRelaxedSimd, hasSimd, type IntegerForm, integerForm, multipliesBytes } from '../../src/runtime/features.ts';
import { kernelFile, testKernels } from '../assembly/helpers.ts';
import { assertSame } from '../reference/compare.ts';
import { type IntegerRow, integerProducts, LAYOUTS, layRows, packIntegers } from '../reference/integers.ts';
import { uniform } from '../reference/random.ts';

const validate = (bytes: Uint8Array): boolean => WebAssembly.validate(new Uint8Array(bytes));

test('SIMD is found exactly where the baseline build compiles', () => {
  assert.is(hasSimd(), validate(kernelFile('simd')));
});

test('relaxed SIMD is found exactly where the relaxed build compiles', () => {
  assert.is(hasRelaxedSimd(), validate(kernelFile('relaxed')));
});

const saturate = (x: number): number => Math.max(-32768, Math.min(32767, x));
const signed = (x: number): number => (x > 127 ? x - 256 : x);

/** Sums of four products of w, signed, by x of 0 to 255, as machines make them; none is -0. What they promise is for x of 0 to 127. */
const MACHINES: readonly [machine: string, form: IntegerForm, promise: 'kept' | 'broken', dot: (w: number, x: number) => number][] = [
  ['x64 with VNNI', 'unsigned', 'kept', (w, x) => 4 * w * x],
  ['ARM', 'signed', 'kept', (w, x) => 4 * w * signed(x)],
  ['x64 without VNNI', 'pairs', 'kept', (w, x) => 2 * saturate(2 * w * x)],
  ['Node 20 behind its flag', 'pairs', 'broken', (w, x) => 8 * w * x],
  ['the baseline build', 'pairs', 'broken', () => 0],
  ['one that takes seven bits', 'pairs', 'kept', (w, x) => 4 * w * (x & 127)],
  ['one that takes negative weights for others', 'pairs', 'broken', (w, x) => 4 * Math.abs(w) * x],
  ['one exact for positive weights alone', 'pairs', 'kept', (w, x) => (w < 0 && x > 127 ? 0 : 4 * w * x)],
];

for (const [machine, form, promise, dot] of MACHINES) {
  test(`integers are multiplied as ${form} on ${machine}, and the promise of relaxed SIMD is ${promise}`, () => {
    assert.is(integerForm({ i8_probe: dot }), form);
    assert.is(multipliesBytes({ i8_probe: dot }), promise === 'kept');
  });
}

test('the baseline build multiplies pairs', () => {
  assert.is(new Engine({ build: 'simd' }).integerForm, 'pairs');
});

testKernels('the form that an engine has is one whose products of all integers are exact on this host', (bench) => {
  const { engine } = bench;
  const form = engine.integerForm;
  const next = uniform(1);
  const [n, k] = [17, 96];
  const edge = (low: number, high: number): number =>
    next() < 0.5 ? (next() < 0.5 ? low : high) : low + Math.floor(next() * (high - low + 1));
  const rows = Array.from(
    { length: 14 },
    (_, i): IntegerRow => ({
      heads: [{ scale: 1, zero: edge(0, 255) }],
      integers: Array.from({ length: k }, () => (i < 2 ? 255 * i : edge(0, 255))),
    }),
  );
  const weight = Int8Array.from({ length: n * k }, (_, e) => (e < k ? 127 : e < 2 * k ? -127 : edge(-127, 127)));
  const ones = new Float32Array(n).fill(1);
  const { heads, integers } = layRows(form, rows, k);
  const found = bench.try(() => {
    const c = bench.room(rows.length * n);
    const room = bench.room(48 + 3 * (k / 4) * 16);
    const w = bench.input(packIntegers(n, k, weight, ones, undefined));
    const a = [bench.input(heads), bench.input(integers)] as const;
    engine.call('i8_gemm', LAYOUTS[form].number, rows.length, n, k, ...a, w, c, n, 0, room, 3);
    return bench.read(c, rows.length * n);
  });
  assertSame(found, integerProducts(rows, weight, n, k), form); // below 2^24, so that float32 has them all
});

test.run();
