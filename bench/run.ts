/** The benchmark: `npm run bench`. See bench/README.md. */
import { cpus } from 'node:os';
import { jsonFile, writeFiles } from '../src/files/output.ts';
import type { AtomicWriter } from '../src/hosts/host.ts';
import { Engine } from '../src/runtime/engine.ts';
import { installPeers } from './engines/install.ts';
import { buildChild } from './engines/process.ts';
import { kernels } from './kernels/kernels.ts';
import { accuracy, accuracyOfEngines } from './models/accuracy.ts';
import { fresh } from './models/fresh.ts';
import { heads } from './models/heads.ts';
import { speed } from './models/speed.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { chart } from './report/chart.ts';
import { accuracySection, freshSection, heading, headsSection, kernelsSection, speedSection } from './report/markdown.ts';
import type { Report } from './report/report.ts';

/** Rounds at least, where a time is given. */
const LEAST = 3;

async function main({ sections, engines, inputs, dtypes, threads, seconds, quick, real, json, svg }: Options): Promise<void> {
  using engine = new Engine();
  const report: Report = {
    node: process.version.slice(1),
    cpu: cpus()[0]?.model.trim() ?? 'an unknown processor',
    date: new Date().toISOString(),
    build: engine.build,
    models: [],
  };
  console.log(heading(report));

  if (sections.includes('accuracy')) {
    say('accuracy');
    report.accuracy = await accuracy();
    console.log(accuracySection('Differences from PyTorch, small models', report.accuracy));
  }

  if (sections.some((section) => section !== 'accuracy' && section !== 'heads') || real) {
    installPeers();
    await buildChild();
  }

  if (sections.includes('accuracy') && real) {
    say(`accuracy on ${real}`);
    report.accuracyOfEngines = await accuracyOfEngines(real, { engines, dtypes, threads: [1] });
    console.log(accuracySection('Differences from PyTorch, full-size model', report.accuracyOfEngines));
  }

  if (sections.includes('kernels')) {
    say('kernels');
    const rounds = { seconds: seconds / 2, least: LEAST, most: quick ? 15 : 51 };
    report.kernels = await kernels(engine, { rounds, peers: engines });
    console.log(kernelsSection(report.kernels));
  }

  if (sections.includes('models')) {
    for (const input of inputs) {
      say(`ViT-${input.model}/14 at ${input.size}`);
      const result = await speed({
        ...input,
        engine,
        engines,
        dtypes,
        threads,
        warmUp: quick ? 1 : 4,
        rounds: { seconds, least: LEAST, most: 51, warmUp: 0 },
      });
      report.models.push(result);
      console.log(speedSection(result));
    }
  }

  if (sections.includes('heads')) {
    say('heads');
    const rounds = { seconds, least: LEAST, most: quick ? 5 : 25, warmUp: 1 };
    report.heads = await heads({ ...inputs[0], dtypes, rounds });
    console.log(headsSection(report.heads));
  }

  if (sections.includes('fresh')) {
    say('new processes');
    const often = quick ? { processes: 1, runs: 3 } : { processes: 5, runs: 20 };
    report.fresh = await fresh({ model: inputs[0].model, engines, dtypes, threads: [1], ...often });
    console.log(freshSection(report.fresh));
  }

  await writeFiles([
    ...(json ? [jsonFile(json, report)] : []),
    ...(svg ? [{ path: svg, write: (writer: AtomicWriter) => writer.write(new TextEncoder().encode(chart(report))) }] : []),
  ]);
}

/** What is going on, for who waits. */
function say(what: string): void {
  console.error(`${(performance.now() / 1000).toFixed(0)} s: ${what} ...`);
}

function optionsOrExit(): Options {
  try {
    return readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

process.once('SIGINT', () => process.exit(130)); // so that what is to be tidied at exit is

const options = optionsOrExit();
if (options.help) console.log(USAGE);
else await main(options);
