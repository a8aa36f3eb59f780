import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ByteSource } from '../../src/checkpoint/checkpoint.ts';
import { GatheredView, isContiguous, spanOf } from '../../src/checkpoint/strided.ts';

/** Bytes that count what is read of them. */
class Memory implements ByteSource {
  reads = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  async read(offset: number, bytes: number, visit: (bytes: Uint8Array) => void): Promise<void> {
    assert.ok(offset >= 0 && offset + bytes <= this.#bytes.length);
    this.reads += 1;
    visit(this.#bytes.subarray(offset, offset + bytes));
  }
}

interface Axis {
  readonly d: number;
  readonly stride: number;
}

/** Places in the storage of all elements, row-major. */
function placesOf(axes: readonly Axis[]): number[] {
  const [axis, ...rest] = axes;
  if (!axis) return [0];
  const inner = placesOf(rest);
  return Array.from({ length: axis.d }, (_, i) => inner.map((place) => i * axis.stride + place)).flat();
}

const anyAxes = fc.array(fc.record({ d: fc.nat(4), stride: fc.nat(7) }), { maxLength: 4 });

test('a view gives the elements that its strides name, in whatever pieces it is read', () =>
  fc.assert(
    fc.asyncProperty(anyAxes, fc.nat(3), fc.constantFrom(1, 2, 8), fc.nat(300), async (axes, offset, elementBytes, cut) => {
      const view = { dims: axes.map(({ d }) => d), strides: axes.map(({ stride }) => stride), offset, elementBytes };
      const places = placesOf(axes);
      const span = spanOf(view);
      assert.is(span, places.length === 0 ? 0 : Math.max(...places) + 1);

      const prefix = 5; // bytes before the storage
      const storage = Uint8Array.from({ length: prefix + (offset + span) * elementBytes }, (_, i) => (i * 37) & 255);
      const expected = places.flatMap((place) => {
        const begin = prefix + (offset + place) * elementBytes;
        return [...storage.subarray(begin, begin + elementBytes)];
      });
      const gathered = new GatheredView({ file: new Memory(storage), offset: prefix, bytes: storage.length - prefix }, view);
      const found: number[] = [];
      const middle = Math.min(places.length, cut) * elementBytes;
      for (const [from, to] of [
        [0, middle],
        [middle, expected.length],
      ] as const) {
        await gathered.read(from, to - from, (bytes) => found.push(...bytes));
      }
      assert.equal(found, expected);
      const expectedContiguous = places.every((place, i) => place === i);
      if (places.length > 0) assert.is(isContiguous(view), expectedContiguous);
    }),
    { seed: 2, numRuns: 500 },
  ));

test('the storage is read once for all pieces, and again for the next reader', async () => {
  const memory = new Memory(new Uint8Array(6));
  const view = new GatheredView({ file: memory, offset: 0, bytes: 6 }, { dims: [3, 2], strides: [1, 3], offset: 0, elementBytes: 1 });
  for (const reads of [1, 2]) {
    for (const at of [0, 2, 4]) await view.read(at, 2, () => {});
    assert.is(memory.reads, reads);
  }
});

test.run();
