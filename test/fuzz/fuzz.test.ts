import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { check } from './check.ts';
import { READERS } from './readers.ts';

const RUNS = 150;

for (const reader of READERS) {
  test(`${RUNS} damaged inputs of ${reader.name} are read or refused by name`, async () => {
    let [read, refused] = [0, 0];
    for (let seed = 1; seed <= RUNS; seed++) {
      const { kind, problem } = await check(reader, seed);
      assert.is.not(kind, 'found', `seed ${seed}: ${problem}`);
      if (kind === 'refused') refused += 1;
      if (kind === 'read') read += 1;
    }
    assert.ok(refused > RUNS / 10 && read > RUNS / 50, `${read} read, ${refused} refused`);
  });
}

test.run();
