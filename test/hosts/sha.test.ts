import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sha } from '../../src/hosts/sha.ts';

for (const algorithm of ['sha1', 'sha256'] as const) {
  test(`${algorithm} is that of Node for every length up to three blocks, in whatever pieces the bytes come`, () => {
    for (let length = 0; length <= 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7919 + length * 31) >> 3);
      const ours = sha(algorithm);
      const cut = (length * 37) % (length + 1);
      for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) ours.update(piece);
      assert.is(ours.digest(), createHash(algorithm).update(bytes).digest('hex'), `${length} bytes`);
    }
  });

  test(`${algorithm} is right beyond a megabyte`, () => {
    const bytes = new Uint8Array(3_000_001).map((_, i) => i ^ (i >> 8));
    const ours = sha(algorithm);
    ours.update(bytes);
    assert.is(ours.digest(), createHash(algorithm).update(bytes).digest('hex'));
  });
}

test.run();
