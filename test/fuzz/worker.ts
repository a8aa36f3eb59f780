// What run.ts starts: reads the inputs of the seeds from the second argument on, and tells how it went after each hundred.
import { check } from './check.ts';
import { READERS } from './readers.ts';

export interface Report {
  /** The last that is done. */
  readonly seed: number;
  readonly read: number;
  readonly refused: number;
  /** Since the last report. */
  readonly problems: readonly string[];
  /** Of resident memory, in MiB. */
  readonly peak: number;
}

const [, , name, runs, first] = process.argv;
const reader = READERS.find((each) => each.name === name);
if (!reader) throw new Error(`expected one of ${READERS.map((each) => each.name)}, found ${name}`);
const count = { read: 0, refused: 0, found: 0 };
let problems: string[] = [];
const end = Number(first) + Number(runs);
for (let seed = Number(first); seed < end; seed++) {
  const { kind, problem } = await check(reader, seed);
  count[kind] += 1;
  if (problem !== undefined) problems.push(`seed ${seed}: ${problem}`);
  if (seed % 100 === 0 || seed === end - 1) {
    const { read, refused } = count;
    process.send?.({ seed, read, refused, problems, peak: Math.round(process.resourceUsage().maxRSS / 1024) } satisfies Report);
    problems = [];
  }
}
process.disconnect?.();
