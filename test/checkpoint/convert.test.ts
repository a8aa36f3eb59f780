import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../src/runtime/engine.ts';
import { fromFloat32, toFloat32 } from '../../src/tensor/convert.ts';

type Conversion = 'f16_to_f32' | 'bf16_to_f32' | 'f32_to_f16' | 'f32_to_bf16';

const engine = new Engine();
const SOURCE = engine.allocate(2 ** 18 + 64);
const TARGET = engine.allocate(2 ** 18 + 64);

/**
 * Bits of the results of a kernel, given those of its arguments. Puts both at unaligned places and checks that nothing behind the results
 * is touched.
 */
function run<T extends Uint16Array | Uint32Array>(name: Conversion, input: Uint16Array | Uint32Array, Bits: new (length: number) => T): T {
  const output = new Bits(input.length);
  const source = SOURCE + 1;
  const target = TARGET + 3;
  engine.write(source, input);
  engine.write(target + output.byteLength, new Uint8Array(16).fill(0xa5));
  engine.call(name, input.length, source, target);
  engine.read(target, output);
  const behind = engine.view(target + output.byteLength, 16);
  assert.ok(
    behind.every((byte) => byte === 0xa5),
    `${name} wrote behind its result`,
  );
  return output;
}

const everyHalf = Uint16Array.from({ length: 65536 }, (_, i) => i);
const float32 = (bits: Uint32Array): Float32Array<ArrayBuffer> =>
  new Float32Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.length);
const bitsOf = (floats: Float32Array): Uint32Array => new Uint32Array(floats.buffer, floats.byteOffset, floats.length);

for (const [kernel, dtype] of [
  ['f16_to_f32', 'float16'],
  ['bf16_to_f32', 'bfloat16'],
] as const) {
  test(`${kernel} is exact for each of the 65536 halves`, () => {
    const found = float32(run(kernel, everyHalf, Uint32Array));
    const expected = toFloat32(dtype, everyHalf);
    const different = found.findIndex((x, i) => !Object.is(x, expected[i]));
    assert.is(different, -1, `half ${different}: expected ${expected[different]}, found ${found[different]}`);
  });
}

/** Floats at which rounding to a half may go wrong: every half, the middle between it and the next, and the floats around both. */
function criticalFloats(dtype: 'float16' | 'bfloat16'): Float32Array<ArrayBuffer> {
  const exact = bitsOf(toFloat32(dtype, everyHalf));
  const all: number[] = [];
  for (const [half, bits] of exact.entries()) {
    const middle = bits + Math.trunc(((exact[half + 1] ?? bits) - bits) / 2);
    for (const critical of [bits, middle]) all.push(critical - 1, critical, critical + 1);
  }
  return float32(Uint32Array.from(all));
}

for (const [kernel, dtype, quiet] of [
  ['f32_to_f16', 'float16', 0x7e00],
  ['f32_to_bf16', 'bfloat16', 0x7fc0],
] as const) {
  const check = (floats: Float32Array<ArrayBuffer>): void => {
    const found = run(kernel, bitsOf(floats), Uint16Array);
    const expected = fromFloat32(dtype, floats) as Uint16Array;
    const right = (x: number, i: number): boolean => (Number.isNaN(floats[i]) ? (x & quiet) === quiet : x === expected[i]);
    const wrong = found.findIndex((x, i) => !right(x, i));
    assert.is(wrong, -1, `${floats[wrong]}: expected ${expected[wrong]}, found ${found[wrong]}`);
  };

  test(`${kernel} rounds to nearest, ties to even, at and around every half and every middle between two`, () => {
    const floats = criticalFloats(dtype);
    for (let i = 0; i < floats.length; i += 2 ** 16) check(floats.subarray(i, i + 2 ** 16));
  });

  test(`${kernel} rounds any float as the slow conversion does`, () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 100 }), (bits) => check(float32(new Uint32Array(bits)))),
      { seed: 6, numRuns: 1000 },
    );
  });

  test(`${kernel} keeps NaN a NaN`, () => {
    check(
      float32(Uint32Array.of(0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff, 0x7fc00000, 0x7f800fff, 0x7f80ffff, 0xff801000, 0x7f810000)),
    );
  });
}

test('any count converts that many elements and no more', () => {
  for (let count = 0; count <= 20; count += 1) {
    const halves = Uint16Array.from({ length: count }, (_, i) => 0x3c00 + i);
    assert.equal(run('f32_to_f16', run('f16_to_f32', halves, Uint32Array), Uint16Array), halves);
    assert.equal(run('f32_to_bf16', run('bf16_to_f32', halves, Uint32Array), Uint16Array), halves);
  }
});

test('halves in the second half of their floats, and floats at the start of their halves, convert in place', () => {
  for (const count of [1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 1001]) {
    const halves = everyHalf.slice(0x3c00, 0x3c00 + count);
    engine.write(TARGET + 2 * count, halves);
    engine.call('f16_to_f32', count, TARGET + 2 * count, TARGET);
    const floats = new Float32Array(count);
    engine.read(TARGET, floats);
    assert.equal(floats, toFloat32('float16', halves));
    engine.call('f32_to_f16', count, TARGET, TARGET);
    const again = new Uint16Array(count);
    engine.read(TARGET, again);
    assert.equal(again, halves);
  }
});

test.run();
