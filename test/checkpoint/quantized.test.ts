import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { isQuantized, isScale, quantizedTensors, readQuantized } from '../../src/checkpoint/quantized.ts';
import { type NamedTensor, openSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.ts';
import { CheckpointError } from '../../src/errors.ts';
import { openSource } from '../../src/files/source.ts';
import { MemoryWriter, refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';

const floats = (name: string, data: readonly number[], dims: readonly number[] = [data.length]) => ({
  name,
  dtype: 'float32' as const,
  dims,
  data: Float32Array.from(data),
});

const INTEGERS = { name: 'a.weight', dtype: 'int8', dims: [2, 3], data: Int8Array.of(1, -127, 127, 0, 5, -5) } as const;
const SCALES = floats('a.weight_scale', [0.5, 2 ** -100]);
const INPUT_SCALES = floats('a.input_scale', [1, 20, 0.25]);

/** The tensors as a file. */
async function file(...tensors: NamedTensor[]): Promise<Checkpoint> {
  const writer = new MemoryWriter();
  await writeSafetensors(writer, tensors, { format: 'pt' });
  return openSafetensors(await (await openSource({ 'x.safetensors': writer.bytes })).open('x.safetensors'));
}

test('integers, their scales and the scales of their inputs are read as they were written', async () => {
  for (const tensors of [
    [INTEGERS, SCALES],
    [INTEGERS, SCALES, INPUT_SCALES],
  ]) {
    const checkpoint = await file(...tensors);
    const weight = await readQuantized(checkpoint, 'a.weight');
    assertSameBits(weight.integers, INTEGERS.data as Int8Array);
    assertSameBits(weight.scales, SCALES.data as Float32Array);
    assert.equal(weight.inputScales, tensors[2]?.data);
    const written = quantizedTensors('a.weight', [2, 3], weight);
    assert.equal(
      written.map(({ name, dtype, dims, data }) => ({ name, dtype, dims: [...dims], data })),
      tensors,
    );
  }
});

test('a file is quantised where integers have scales, and scales are those of integers', async () => {
  const checkpoint = await file(INTEGERS, SCALES, INPUT_SCALES, floats('b.weight', [1]), floats('b.weight_scale', [1]));
  assert.ok(isQuantized(checkpoint));
  assert.not.ok(isQuantized(await file(INTEGERS)));
  assert.not.ok(isQuantized(await file(floats('b.weight', [1]), floats('b.weight_scale', [1]))));
  const scales = [...checkpoint.entries.keys()].filter((name) => isScale(checkpoint, name));
  assert.equal(scales.sort(), ['a.input_scale', 'a.weight_scale']);
});

test('scales that are missing, of another number or kind, or no positive numbers are refused by name', async () => {
  const wrong = async (tensors: NamedTensor[], ...parts: string[]): Promise<void> => {
    const checkpoint = await file(INTEGERS, ...tensors);
    await refuses(() => readQuantized(checkpoint, 'a.weight'), CheckpointError, 'x.safetensors', ...parts);
  };
  await wrong([], '"a.weight"', 'int8 with scales', 'found int8 without "a.weight_scale"');
  const what = '"a.weight_scale": expected float32 [2], one scale each, found';
  await wrong([floats('a.weight_scale', [1])], `${what} float32 [1]`);
  await wrong([floats('a.weight_scale', [1, 1, 1])], `${what} float32 [3]`);
  await wrong([floats('a.weight_scale', [1, 1], [2, 1])], `${what} float32 [2,1]`);
  await wrong([floats('a.weight_scale', [1], [])], `${what} float32 []`);
  await wrong([{ ...SCALES, dtype: 'float16', data: Uint16Array.of(15360, 15360) }], `${what} float16 [2]`);
  await wrong([SCALES, floats('a.input_scale', [1, 1])], '"a.input_scale": expected float32 [3], one scale each, found float32 [2]');
  for (const value of [0, -0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    await wrong(
      [floats('a.weight_scale', [1, value])],
      '"a.weight_scale"',
      `expected finite scales above 0, found ${value} at 1`,
      'quantise',
    );
    await wrong([SCALES, floats('a.input_scale', [value, 1, 1])], '"a.input_scale"', `found ${value} at 0`);
  }
});

test('the weight of a convolution has no input scales', async () => {
  const weight: NamedTensor = { ...INTEGERS, dims: [2, 1, 3] };
  assertSameBits((await readQuantized(await file(weight, SCALES), 'a.weight')).integers, INTEGERS.data as Int8Array);
  const checkpoint = await file(weight, SCALES, floats('a.input_scale', [1]));
  await refuses(() => readQuantized(checkpoint, 'a.weight'), CheckpointError, '"a.input_scale"', 'expected none for a weight [2,1,3]');
});

test.run();
