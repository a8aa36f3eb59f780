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

const INTEGERS = {
  name: 'a.weight',
  dtype: 'int8',
  dims: [2, 3],
  data: Int8Array.of(1, -127, 127, 0, 5, -5),
} as const;
const SCALES = floats('a.weight_rotated_scale', [0.5, 2 ** -100], [2, 1]);

/** The tensors as a file. */
async function file(...tensors: NamedTensor[]): Promise<Checkpoint> {
  const writer = new MemoryWriter();
  await writeSafetensors(writer, tensors, { format: 'pt' });
  return openSafetensors(await (await openSource({ 'x.safetensors': writer.bytes })).open('x.safetensors'));
}

test('integers and their scales are read as they were written', async () => {
  const [integers, scales] = [new Int8Array(2 * 300).map((_, e) => (e % 255) - 127), Float32Array.of(1, 2, 3, 4, 5, 6)];
  const groups: readonly NamedTensor[] = [
    { name: 'a.weight', dtype: 'int8', dims: [2, 300], data: integers },
    { name: 'a.weight_rotated_scale', dtype: 'float32', dims: [2, 3], data: scales },
  ];
  const convolution: readonly NamedTensor[] = [
    { ...INTEGERS, dims: [2, 1, 3] },
    { ...SCALES, name: 'a.weight_scale' },
  ];
  for (const tensors of [[INTEGERS, SCALES], groups, convolution]) {
    const [{ dims, data }, { data: expected }] = tensors as [NamedTensor, NamedTensor];
    const weight = await readQuantized(await file(...tensors), 'a.weight');
    assertSameBits(weight.integers, data as Int8Array);
    assertSameBits(weight.scales, expected as Float32Array);
    assert.is(weight.rotated, dims.length === 2);
    const written = quantizedTensors('a.weight', dims, weight);
    assert.equal(
      written.map(({ name, dtype, dims, data }) => ({ name, dtype, dims: [...dims], data })),
      tensors,
    );
  }
});

test('a file is quantised where integers have scales, and scales are those of integers', async () => {
  const checkpoint = await file(INTEGERS, SCALES, floats('b.weight', [1]), floats('b.weight_rotated_scale', [1]));
  assert.ok(isQuantized(checkpoint));
  assert.not.ok(isQuantized(await file(INTEGERS)));
  assert.not.ok(isQuantized(await file(INTEGERS, { ...SCALES, name: 'a.weight_scale' })), 'of a linear layer that is not rotated');
  assert.not.ok(isQuantized(await file(floats('b.weight', [1]), floats('b.weight_rotated_scale', [1]))));
  const scales = [...checkpoint.entries.keys()].filter((name) => isScale(checkpoint, name));
  assert.equal(scales, ['a.weight_rotated_scale']);
});

test('scales that are missing, of another number or kind, or no positive numbers are refused by name', async () => {
  const wrong = async (tensors: NamedTensor[], ...parts: string[]): Promise<void> => {
    const checkpoint = await file(INTEGERS, ...tensors);
    await refuses(() => readQuantized(checkpoint, 'a.weight'), CheckpointError, 'x.safetensors', ...parts);
  };
  await wrong([], '"a.weight"', 'int8 with scales', 'found int8 without "a.weight_rotated_scale"');
  const what = '"a.weight_rotated_scale": expected float32 [2,1], a scale for every 128 inputs, found';
  await wrong([floats('a.weight_rotated_scale', [1])], `${what} float32 [1]`);
  await wrong([floats('a.weight_rotated_scale', [1, 1])], `${what} float32 [2]`);
  await wrong([floats('a.weight_rotated_scale', [1, 1, 1, 1], [2, 2])], `${what} float32 [2,2]`);
  await wrong([floats('a.weight_rotated_scale', [1], [])], `${what} float32 []`);
  await wrong([{ ...SCALES, dtype: 'float16', data: Uint16Array.of(15360, 15360) }], `${what} float16 [2,1]`);
  for (const value of [0, -0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    await wrong(
      [floats('a.weight_rotated_scale', [1, value], [2, 1])],
      '"a.weight_rotated_scale"',
      `expected finite scales above 0, found ${value} at 1`,
      'quantise',
    );
  }
});

test.run();
