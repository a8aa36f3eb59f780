// What is disposed of is given back: a hundred models, one after the other, beside two at the same time.
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { application, on, PROGRAMS, run, temporary } from './tools.mjs';

const MIB = 2 ** 20;
/** What V8 lets lie before it collects, and the noise of the figure. */
const SLACK = 64 * MIB;

for (const [name, program, register] of [
  [`node ${process.versions.node}`, process.execPath, test],
  ...['node 24', 'node 26'].map((other) => [other, PROGRAMS[other], on(other)]),
]) {
  register(`${name}: a hundred models in turn take the memory of two`, async () => {
    const { folder } = await application();
    const model = join(await temporary(), 'model');
    const peak = async (...args) => Number((await run(program, ['entries/lifetime.mjs', ...args, model], { cwd: folder })).stdout);
    await peak('save', '0');
    const [two, hundred] = [await peak('keep', '2'), await peak('dispose', '100')];
    console.log(`${name}: two models ${(two / MIB).toFixed(0)} MiB, a hundred in turn ${(hundred / MIB).toFixed(0)} MiB`);
    assert.ok(hundred < two + SLACK, `${hundred} and ${two} bytes`);
  });
}

test.run();
