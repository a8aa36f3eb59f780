import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { crc32 } from '../../src/files/crc32.ts';

/** Bit by bit, from the definition. */
function slowly(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test('the check value of CRC-32 is found', () => {
  assert.is(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  assert.is(crc32(new Uint8Array(0)), 0);
});

test('bytes at any place and of any number have the checksum of the definition, in one piece or two', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(70), fc.nat(9), (bytes, cut, skip) => {
      const piece = bytes.subarray(skip);
      assert.is(crc32(piece), slowly(piece));
      assert.is(crc32(piece.subarray(cut), crc32(piece.subarray(0, cut))), slowly(piece));
    }),
    { seed: 1, numRuns: 300 },
  ));

test.run();
