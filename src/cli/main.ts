#!/usr/bin/env node
import '#kernels';
import { run } from './program.ts';

const work = new AbortController();
let signal: NodeJS.Signals | undefined;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => {
    signal = name;
    work.abort();
  });
}
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {}); // who needs to know is told by the write

process.exitCode = await run(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, signal: work.signal });
if (signal && process.exitCode !== 0) process.kill(process.pid, signal); // what was begun is cleared away: now end as who sent the signal expects
