// npm run test:fuzz -- --runs 100000 [--seed 1] [--reader NAME] [--patience 30]: each reader in a process of its own, in an empty folder, with a limit
// of memory; without a word for so many seconds it counts as hanging.
import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { READERS } from './readers.ts';
import type { Report } from './worker.ts';

const FLAGS = ['--max-old-space-size=512', '--conditions=dinov2-source', '--import', import.meta.resolve('tsx')];

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    reader: { type: 'string' },
    patience: { type: 'string', default: '30' },
  },
});
const chosen = READERS.filter(({ name }) => values.reader === undefined || name === values.reader);
console.log('| reader | inputs | read | refused by name | found | seconds | peak MiB |\n|---|---|---|---|---|---|---|');
for (const { name } of chosen) await run(name);

async function run(name: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dinov2-fuzz-'));
  const start = performance.now();
  let last: Report = { seed: 0, read: 0, refused: 0, problems: [], peak: 0 };
  const problems: string[] = [];
  await new Promise<void>((resolve) => {
    const child = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), [name, values.runs, values.seed], {
      cwd: folder,
      execArgv: FLAGS,
    });
    const hangs = (): void => {
      problems.push(`seed ${last.seed} or the 100 after it: hangs`);
      child.kill('SIGKILL');
    };
    let timer = setTimeout(hangs, Number(values.patience) * 1000);
    child.on('message', (report: Report) => {
      clearTimeout(timer);
      timer = setTimeout(hangs, Number(values.patience) * 1000);
      last = report;
      problems.push(...report.problems);
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (code !== 0) problems.push(`seed ${last.seed} or the 100 after it: the process ended with ${signal ?? code}`);
      resolve();
    });
  });
  const left = readdirSync(folder);
  if (left.length > 0) problems.push(`wrote ${left.join(', ')}`);
  rmSync(folder, { recursive: true });
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(
    `| ${name} | ${last.read + last.refused + problems.length} | ${last.read} | ${last.refused} | ${problems.length} | ${seconds} | ${last.peak} |`,
  );
  for (const problem of problems.slice(0, 10)) console.log(`    ${problem.replaceAll('\n', '\n    ')}`);
  if (problems.length > 0) process.exitCode = 1;
}
