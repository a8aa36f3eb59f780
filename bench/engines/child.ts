/** The program of a process in which one engine is alone. Bundled by process.ts; speaks with it. */
import { existsSync, readFileSync } from 'node:fs';
import type { Forward } from './engine.ts';
import { ENGINES } from './index.ts';
import { pattern } from './pattern.ts';
import type { Answer, Memory, Question } from './process.ts';

let forward: Forward | undefined;
let pixels = new Float32Array(0);

process.on('message', async (question: Question) => {
  try {
    send(await answer(question));
  } catch (error) {
    send({ error: error instanceof Error ? error.message : String(error) });
  }
});

process.on('disconnect', () => process.exit()); // the benchmark has ended

async function answer(question: Question): Promise<Answer> {
  if (question.what === 'memory') return { memory: memory() };
  if (question.what === 'forward') return { output: await forward?.(question.pixels) };
  if (question.what === 'load') {
    const { engine, path, job } = question;
    pixels = pattern(3 * job.size * job.size);
    forward = await ENGINES.find(({ name }) => name === engine)?.load(path, job);
    const output = await forward?.(pixels);
    return { milliseconds: performance.now(), output }; // since the process began
  }
  for (let before = 1; before < question.times; before++) await forward?.(pixels);
  const start = performance.now();
  await forward?.(pixels);
  return { milliseconds: performance.now() - start };
}

/** Linux counts what the parent had when it forked as the child's in getrusage, but not in /proc. */
function memory(): Memory {
  const status = '/proc/self/status';
  const peak = existsSync(status)
    ? Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8'))?.[1]) * 1024
    : process.resourceUsage().maxRSS * 1024;
  return { resident: process.memoryUsage.rss(), peak };
}

function send(answer: Answer): void {
  process.send?.(answer);
}
