/**
 * What a search of a million vectors of 384 numbers waits for: node --conditions=dinov2-source --import tsx bench/kernels/search.ts [ROUNDS]
 *
 * Milliseconds of the kernels on one thread, in float32 and in int8, and of reading as many bytes and doing nothing with them, which no search can do
 * faster. In turn, in pieces of a few milliseconds out of 256 MiB that no cache holds: on a machine that others use too most pieces are undisturbed.
 */

import { Engine } from '../../src/runtime/engine.ts';
import { FORMS } from '../../src/tensor/matrix/quantizedRows.ts';
import { quantile } from '../measure.ts';
import { table } from '../report/markdown.ts';
import { compileLimits } from './limit.ts';

const WIDTH = 384;
const ROWS = 8192; // of a piece in float32; of int8 as many bytes
const PIECES = 20;
const MILLION = 1e6;

const rounds = Number(process.argv[2] ?? 30);
const engine = new Engine();
const piece = ROWS * WIDTH * 4;
const x = engine.allocate(piece * PIECES);
const query = engine.allocate(WIDTH * 4);
const y = engine.allocate(ROWS * 16);
const scales = engine.allocate(ROWS * 16);
const fill = Float32Array.from({ length: piece / 4 }, (_, i) => Math.sin(i));
for (let i = 0; i < PIECES; i++) engine.write(x + i * piece, fill);
engine.write(query, fill.subarray(0, WIDTH));

const form = FORMS[engine.integerForm].number;
const { exports: limit } = new WebAssembly.Instance(await compileLimits(engine.build, 'read'));
const memory = limit.memory as WebAssembly.Memory;
memory.grow((piece * PIECES) / 65536);
new Float32Array(memory.buffer).fill(1);
const read = limit.read as (address: number, bytes: number) => number;

const cases: readonly { name: string; rows: number; run(at: number): unknown }[] = [
  { name: 'float32: read', rows: ROWS, run: (at) => read(at, piece) },
  { name: 'float32: f32_dot_rows', rows: ROWS, run: (at) => engine.call('f32_dot_rows', ROWS, WIDTH, x + at, query, y) },
  { name: 'int8: read', rows: ROWS * 4, run: (at) => read(at, piece) },
  {
    name: `int8: i8_dot_rows, ${engine.integerForm}`,
    rows: ROWS * 4,
    run: (at) => engine.call('i8_dot_rows', form, ROWS * 4, WIDTH, x + at, scales, query, 1, y),
  },
];
const times = cases.map((): number[] => []);
let turn = 0;
for (let round = 0; round <= rounds; round++) {
  for (const [i, { rows, run }] of cases.entries()) {
    for (let n = 0; n < 3; n++, turn++) {
      const start = performance.now();
      run((turn % PIECES) * piece);
      if (round > 0) times[i]?.push(((performance.now() - start) * MILLION) / rows);
    }
  }
}
const text = (ms: number[], at: number): string => quantile(ms, at).toFixed(1);
console.log(`Node ${process.versions.node}, build "${engine.build}"; ms for a million vectors of ${WIDTH} numbers\n`);
console.log(
  table(
    ['', 'median', 'fastest tenth'],
    cases.map(({ name }, i) => [name, text(times[i] as number[], 0.5), text(times[i] as number[], 0.1)]),
  ),
);
