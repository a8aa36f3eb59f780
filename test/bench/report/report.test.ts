import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Speed } from '../../../bench/models/speed.ts';
import { chart } from '../../../bench/report/chart.ts';
import { headsSection, speedSection, table } from '../../../bench/report/markdown.ts';
import type { Report } from '../../../bench/report/report.ts';

const of = (engine: string, threads: number, median: number, low = median, high = median): Speed['results'][number] => ({
  engine,
  dtype: 'f32',
  threads,
  time: { median, low, high },
  ratio: { median: median / 400, low: low / 400, high: high / 400 },
  difference: 0.001,
  cosine: 0.9999,
});

const SPEED: Speed = {
  model: 'S',
  size: 224,
  rounds: 7,
  results: [of('onnxruntime-web', 1, 400, 390, 410), of('dinov2-wasm', 1, 100), of('<peer>', 2, 200, 150, 800)],
  skipped: [
    { engine: 'dinov2-wasm', dtype: 'int8', threads: 1, reason: 'no such thing' },
    { engine: 'dinov2-wasm', dtype: 'int8', threads: 2, reason: 'no such thing' },
  ],
  least: [{ dtype: 'int8', time: { median: 80, low: 70, high: 90 }, ratio: { median: 0.2, low: 0.1, high: 0.3 } }],
  scaling: [{ what: 'dinov2-wasm, f32', threads: 2, speedup: { median: 1.8, low: 1.7, high: 1.9 } }],
  roundTrip: 123.4,
};

const REPORT: Report = { node: '24.0.0', cpu: 'A & B', date: '2026-01-02T03:04:05Z', build: 'simd', models: [SPEED] };

test('a table has cells of one width', () => {
  assert.is(table(['a', 'bb'], [['ccc', 'd']]), '| a   | bb |\n| --- | -- |\n| ccc | d  |');
});

test('the section of a model: figures with their quartiles, what they are compared with, what is missing and why, once', () => {
  const text = speedSection(SPEED);
  for (const part of [
    '## ViT-S/14 at 224 x 224, 7 rounds',
    '400 (390 to 410)',
    '0.250 (0.250 to 0.250)',
    'to onnxruntime-web, f32, 1 thread.',
    '| int8                             | 80.0 (70.0 to 90.0) | 0.200 (0.100 to 0.300) |',
    '1.80 (1.70 to 1.90)',
    'and back in 123 nanoseconds.',
    '- Not measured: dinov2-wasm, int8, 1 thread; dinov2-wasm, int8, 2 threads: no such thing',
  ]) {
    assert.ok(text.includes(part), `"${part}" in ${text}`);
  }
});

test('the section of heads: what each costs and does, and both in relation to the encoder of its dtype', () => {
  const time = { median: 50, low: 40, high: 60 };
  const ratio = { median: 0.5, low: 0.4, high: 0.6 };
  const of = (name: string, dtype: 'f32' | 'int8', integers: number, least: number) =>
    ({ name, dtype, time, ratio, work: { floats: 2e9, integers }, least }) as const;
  const results = [
    of('encoder', 'f32', 0, 45),
    of('DPT depth', 'f32', 0, 40),
    of('encoder', 'int8', 3e10, 20),
    of('DPT depth', 'int8', 5e8, 10),
  ];
  const rows = headsSection({ model: 'S', size: 224, rounds: 3, results })
    .split('\n')
    .filter((line) => / (DPT depth|encoder) .*\d/.test(line));
  const cellsOf = (line: string): string[] =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1);
  assert.equal(rows.map(cellsOf), [
    ['encoder', 'f32', '50 (40 to 60)', '0.500', '1.000', '2.0', '0.0000', '90 %'],
    ['DPT depth', 'f32', '50 (40 to 60)', '0.500', '0.889', '2.0', '0.0000', '80 %'],
    ['encoder', 'int8', '50 (40 to 60)', '0.500', '1.000', '2.0', '30.0', '40 %'],
    ['DPT depth', 'int8', '50 (40 to 60)', '0.500', '0.500', '2.0', '0.5000', '20 %'],
  ]);
});

test('the chart: lengths in proportion, whiskers inside, texts escaped', () => {
  const svg = chart(REPORT);
  const widths = [...svg.matchAll(/<rect x="274\.0" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.is(widths.length, 3);
  assert.ok(Math.abs((widths[0] as number) - 4 * (widths[1] as number)) < 0.5, String(widths));
  assert.ok(svg.includes('>&#60;peer&#62;, f32, 2 threads<') && svg.includes('A &#38; B'), svg);
  const whiskers = [...svg.matchAll(/<path d="M([\d.]+) \d+H([\d.]+)M/g)].map(([, low, high]) => [Number(low), Number(high)]);
  assert.is(whiskers.length, 2, 'none where there is no spread');
  for (const [low, high] of whiskers as [number, number][]) assert.ok(low < high && low >= 274 && high <= 860 - 24 - 70, `${low} ${high}`);
});

test('a chart of nothing is refused', () => {
  assert.throws(() => chart({ ...REPORT, models: [] }), /--svg/);
  assert.throws(() => chart({ ...REPORT, models: [{ ...SPEED, results: [] }] }), /--svg/);
});

test.run();
