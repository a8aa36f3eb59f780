/** The benchmark: `npm run bench`. See bench/README.md. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Engine } from '../src/runtime/engine.ts';
import { kernels } from './kernels/kernels.ts';
import { table } from './measure.ts';
import { accuracy } from './models/accuracy.ts';
import { fresh } from './models/fresh.ts';
import { latency } from './models/latency.ts';

const USAGE = `usage: npm run bench -- [--quick] [--size PIXELS] [--json FILE] [SECTION ...]

Sections: accuracy, kernels, latency, fresh; all of them if none is named. --quick measures fewer rounds. --json writes the figures to a file too.
`;
const SECTIONS = ['accuracy', 'kernels', 'latency', 'fresh'];

const { values, positionals } = readArguments();
const asked = positionals.length > 0 ? positionals : SECTIONS;
const report: Record<string, unknown> = { node: process.version, cpu: cpus()[0]?.model, date: new Date().toISOString() };

console.log(
  `# dinov2-wasm benchmark\n\nNode ${process.version} on ${cpus()[0]?.model}. Medians; what stands in one table was measured in turn.`,
);

if (asked.includes('accuracy')) {
  const results = await accuracy(process.env.DINOV2_REAL);
  report.accuracy = results;
  console.log(`\n## Differences from PyTorch, build "${new Engine().build}"\n`);
  console.log(
    table(
      ['what', 'numbers', 'largest difference', 'largest value'],
      results.map(({ what, count, difference, largest }) => [what, String(count), difference.toExponential(1), largest.toFixed(2)]),
    ),
  );
}

if (asked.includes('kernels')) {
  const engine = new Engine();
  const results = await kernels(engine, values.quick ? 15 : 51);
  report.kernels = { build: engine.build, results };
  console.log(`\n## Kernels, build "${engine.build}", one thread\n`);
  console.log(
    table(
      ['kernel', 'ms', 'rate', 'of the limit'],
      results.map(({ name, median, rate, unit, share }) => [
        name,
        median.toFixed(3),
        `${rate.toFixed(rate < 10 ? 2 : 1)} ${unit}`,
        share === undefined ? '' : `${(share * 100).toFixed(0)} %`,
      ]),
    ),
  );
}

if (asked.includes('latency') || asked.includes('fresh')) installPeers();

if (asked.includes('latency')) {
  const size = Number(values.size);
  const { timings, difference } = await latency({ rounds: values.quick ? 9 : 25, size });
  report.latency = { size, timings, difference };
  console.log(`\n## ViT-S/14 at ${size}, float32, one thread\n`);
  console.log(
    table(
      ['engine', 'ms', 'quartiles', 'ratio'],
      timings.map(({ name, median, quartiles: [low, high], ratio }) => [
        name,
        median.toFixed(1),
        `${low.toFixed(1)} to ${high.toFixed(1)}`,
        ratio.toFixed(3),
      ]),
    ),
  );
  console.log(`\nLargest difference of the outputs: ${difference.toExponential(1)} of the largest value.`);
}

if (asked.includes('fresh')) {
  const results = await fresh({ processes: values.quick ? 1 : 3, runs: values.quick ? 10 : 100 });
  report.fresh = results;
  console.log('\n## ViT-S/14 in a process of its own: from loading to the first result, resident memory\n');
  console.log(
    table(
      ['engine', 'first result, ms', 'peak, MiB', 'after 2 runs', `after ${values.quick ? 10 : 100}`],
      results.map(({ engine, first, peakMiB, secondRunMiB, lastRunMiB }) => [
        engine,
        first.toFixed(0),
        String(peakMiB),
        secondRunMiB.toFixed(0),
        lastRunMiB.toFixed(0),
      ]),
    ),
  );
}

if (values.json) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);

function readArguments() {
  try {
    const parsed = parseArgs({
      options: { quick: { type: 'boolean', default: false }, size: { type: 'string', default: '224' }, json: { type: 'string' } },
      allowPositionals: true,
    });
    const unknown = parsed.positionals.find((name) => !SECTIONS.includes(name));
    if (unknown) throw new Error(`unknown section "${unknown}"`);
    if (!(Number(parsed.values.size) >= 14)) throw new Error(`--size: expected pixels, found "${parsed.values.size}"`);
    return parsed;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

/** The peers have a package of their own, so that the library does not depend on them. */
function installPeers(): void {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  if (existsSync(`${folder}node_modules/onnxruntime-web`)) return;
  console.error('Installing the peers ...');
  const { status } = spawnSync('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}
