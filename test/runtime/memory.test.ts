import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryError } from '../../src/errors.ts';
import { Memory } from '../../src/runtime/memory.ts';
import { refuses } from '../helpers.ts';

const PAGE = 65536;

test('blocks are cache lines apart, do not overlap, and lie within what was taken from the host', () => {
  const memory = new Memory();
  let end = 1; // address 0 is no place
  for (const bytes of [1, 64, 0, 65, 200_000, 3]) {
    const address = memory.allocate(bytes);
    assert.is(address % 64, 0);
    assert.ok(address >= end, `${address} is within the block that ends at ${end}`);
    end = address + bytes;
    assert.ok(end <= memory.reserved);
    assert.ok(memory.used >= end);
  }
});

test('memory grows by what is needed and keeps what is in it', () => {
  const memory = new Memory();
  const first = memory.allocate(10);
  new Uint8Array(memory.wasm.buffer).set([1, 2, 3], first);
  const before = memory.reserved;
  memory.allocate(10 * PAGE);
  assert.ok(memory.reserved > before && memory.reserved <= memory.used + PAGE, `${memory.used} used, ${memory.reserved} reserved`);
  assert.equal([...new Uint8Array(memory.wasm.buffer, first, 3)], [1, 2, 3]);
});

test('a scope gives back what was allocated in it, and the next takes the same places without growing', () => {
  const memory = new Memory();
  const run = (): number[] => {
    const outer = memory.enter();
    const places = [memory.allocate(100_000)];
    const inner = memory.enter();
    places.push(memory.allocate(5));
    memory.leave(inner);
    places.push(memory.allocate(7));
    memory.leave(outer);
    return places;
  };
  const before = memory.used;
  const places = run();
  assert.is(places[1], places[2]);
  assert.is(memory.used, before);
  const { reserved } = memory;
  for (let i = 0; i < 10; i++) assert.equal(run(), places);
  assert.is(memory.reserved, reserved);
});

test('freed blocks are given out again, and neighbours merge', () => {
  const memory = new Memory();
  const [a, b, c] = [memory.allocate(100), memory.allocate(100), memory.allocate(100)];
  const last = memory.allocate(64);
  memory.free(a, 100);
  assert.is(memory.allocate(128), a);
  memory.free(a, 128);
  memory.free(c, 100);
  memory.free(b, 100);
  assert.is(memory.allocate(3 * 128), a, 'three neighbours are one hole, whatever the order in which they were freed');
  assert.ok(memory.allocate(1) > last, 'no hole is left');
});

test('a part of a hole is given out and the rest of it stays', () => {
  const memory = new Memory();
  const a = memory.allocate(192);
  memory.allocate(64);
  memory.free(a, 192);
  assert.equal([memory.allocate(64), memory.allocate(64), memory.allocate(64)], [a, a + 64, a + 128]);
});

test('freeing the last block makes the memory shorter, together with the holes in front of it', () => {
  const memory = new Memory();
  const before = memory.used;
  const [a, b] = [memory.allocate(100), memory.allocate(100)];
  memory.free(a, 100);
  assert.ok(memory.used > before);
  memory.free(b, 100);
  assert.is(memory.used, before);
});

test('what is freed within a scope is not given out before the scope ends, and then the memory is as short as without it', () => {
  const memory = new Memory();
  const before = memory.used;
  const block = memory.allocate(1000);
  const mark = memory.enter();
  memory.free(block, 1000);
  const inside = memory.allocate(10);
  assert.ok(inside >= mark, 'scopes are a stack');
  memory.leave(mark);
  assert.is(memory.used, before);
});

test('what a scope took at most is known until the next begins', () => {
  const memory = new Memory();
  const start = memory.enter();
  const inner = memory.enter();
  memory.allocate(1000);
  memory.leave(inner);
  memory.allocate(10);
  memory.leave(start);
  assert.is(memory.highest - start, 1024);
  memory.leave(memory.enter());
  assert.is(memory.highest, start);
});

test('a scope in a block takes its places there and leaves the rest as it was', () => {
  const memory = new Memory();
  const block = memory.allocate(1024);
  const above = memory.allocate(64);
  const { used } = memory;
  const mark = memory.enter(block);
  assert.is(memory.allocate(512), block);
  assert.is(memory.allocate(512), block + 512);
  memory.leave(mark);
  assert.is(memory.highest, block + 1024);
  assert.is(memory.used, used);
  assert.ok(memory.allocate(64) > above);
});

test('more than the limit is refused with both sizes and leaves the memory as it was', async () => {
  const limit = 3 * 2 ** 20;
  const memory = new Memory({ limit });
  const fits = memory.allocate(2 * 2 ** 20);
  const { used, reserved } = memory;
  await refuses(() => memory.allocate(2 ** 20), MemoryError, 'expected at most 3072 KiB, needs 3076 KiB', 'memoryLimit');
  assert.equal([memory.used, memory.reserved], [used, reserved]);
  assert.ok(memory.allocate(2 ** 19) > fits);
  assert.ok(memory.reserved <= limit);
});

test('a limit that ends within a page is kept to', async () => {
  const memory = new Memory({ limit: 2.5 * PAGE });
  await refuses(() => memory.allocate(2 * PAGE), MemoryError);
  assert.ok(memory.reserved <= 2.5 * PAGE, `${memory.reserved} bytes`);
});

test('more than WebAssembly has is refused by name, whatever the limit', async () => {
  await refuses(() => new Memory({ limit: Number.POSITIVE_INFINITY }).allocate(2 ** 32), MemoryError, 'at most 4096 MiB');
});

test('a shared memory is one that threads share, and grows as another does, up to its limit', async () => {
  const memory = new Memory({ shared: true, limit: 4 * PAGE });
  assert.instance(memory.wasm.buffer, SharedArrayBuffer);
  assert.instance(new Memory().wasm.buffer, ArrayBuffer);
  assert.is(memory.reserved, PAGE);
  const first = memory.allocate(10);
  new Uint8Array(memory.wasm.buffer).set([1, 2, 3], first);
  memory.allocate(2 * PAGE);
  assert.is(memory.reserved, 3 * PAGE);
  assert.equal([...new Uint8Array(memory.wasm.buffer, first, 3)], [1, 2, 3]);
  await refuses(() => memory.allocate(2 * PAGE), MemoryError, 'memoryLimit');
  assert.is(memory.reserved, 3 * PAGE);
});

test('after dispose all memory is gone', () => {
  const memory = new Memory();
  memory.allocate(1_000_000);
  memory.dispose();
  assert.is(memory.reserved, 0);
});

/** One step of a user of the memory: take a block, give one back, or work in a scope of so many blocks. */
type Step = { allocate: number } | { free: number } | { scope: number[] };

test('blocks in use never overlap, whatever the order of allocating, freeing and scopes', () => {
  const bytes = fc.integer({ min: 0, max: 1000 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ allocate: bytes }),
    fc.record({ free: fc.nat() }),
    fc.record({ scope: fc.array(bytes, { maxLength: 4 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const memory = new Memory();
      const before = memory.used;
      const blocks: { start: number; bytes: number }[] = [];
      const take = (size: number): { start: number; bytes: number } => {
        const block = { start: memory.allocate(size), bytes: size };
        const clash = blocks.find((b) => block.start < b.start + b.bytes && b.start < block.start + size);
        assert.not.ok(clash, `${JSON.stringify(block)} lies in ${JSON.stringify(clash)}`);
        blocks.push(block);
        return block;
      };
      for (const s of steps) {
        if ('allocate' in s) take(s.allocate);
        else if ('free' in s) {
          const [block] = blocks.splice(s.free % (blocks.length || 1), 1);
          if (block) memory.free(block.start, block.bytes);
        } else {
          const mark = memory.enter();
          const kept = blocks.length;
          for (const size of s.scope) take(size);
          blocks.length = kept;
          memory.leave(mark);
        }
      }
      for (const block of blocks) memory.free(block.start, block.bytes);
      assert.is(memory.used, before, 'all was given back');
    }),
    { seed: 1, numRuns: 500 },
  );
});

test.run();
