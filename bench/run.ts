import { parseArgs } from 'node:util';
import { latency } from './models/latency.ts';
import { table } from './measure.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' }, size: { type: 'string', default: '224' } } });

console.log(`Node ${process.version}`);
const { timings, difference } = await latency({ rounds: Number(values.rounds), size: Number(values.size) });
console.log(
  table(
    ['ViT-S/14', 'median ms', 'quartiles', 'ratio'],
    timings.map(({ name, median, quartiles, ratio }) => [name, median.toFixed(1), quartiles.map((q) => q.toFixed(1)).join(' - '), ratio.toFixed(3)]),
  ),
);
console.log(`largest difference ${difference.toExponential(1)}`);
