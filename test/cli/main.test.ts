import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withWorkplace } from './helpers.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Starts the program as this test was started: from the sources. */
function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, 'src/cli/main.ts', ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function outcome(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }> {
  let stderr = '';
  child.stderr?.on('data', (piece) => {
    stderr += piece;
  });
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, stderr })));
}

test('a reader who leaves early ends it with 0 and without a word', async () => {
  await withWorkplace(async ({ model, picture }) => {
    for (let i = 0; i < 100; i++) picture(`${i}.png`);
    const child = start(['embed', picture('a.png'), `${model}/../*.png`, '--model', model]);
    child.stdout?.once('data', () => child.stdout?.destroy());
    assert.equal(await outcome(child), { code: 0, signal: null, stderr: '' });
  });
});

test('bad usage ends it with 2', async () => {
  const { code, stderr } = await outcome(start(['embed', '--nope']));
  assert.is(code, 2);
  assert.match(stderr, "unknown option '--nope'");
});

test('Ctrl-C ends it as an interrupt does, with nothing left behind', async () => {
  await withWorkplace(async ({ folder, model, picture, path }) => {
    for (let i = 0; i < 100; i++) picture(`${i}.png`);
    const before = readdirSync(folder);
    const child = start(['embed', folder, '--model', model, '--json', '--output', path('out.jsonl')]);
    child.stdout?.once('data', () => child.kill('SIGINT'));
    const { signal, stderr } = await outcome(child);
    assert.equal([signal, stderr], ['SIGINT', 'dinov2: interrupted\n']);
    assert.equal(readdirSync(folder), before);
  });
});

test.run();
