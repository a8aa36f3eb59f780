import type { KernelResult } from '../kernels/kernels.ts';
import type { Spread } from '../measure.ts';
import type { Differences } from '../models/accuracy.ts';
import { labelOf, type Skipped } from '../models/cases.ts';
import type { Fresh } from '../models/fresh.ts';
import type { Heads } from '../models/heads.ts';
import type { Speed } from '../models/speed.ts';
import type { Report } from './report.ts';

const MIB = 2 ** 20;

export function heading({ node, cpu, build }: Report): string {
  return `# dinov2-wasm benchmark

Node ${node} on ${cpu}, kernels "${build}". Medians; in parentheses the quartiles, between which half of the values lie. What stands in one
table was measured in turn.`;
}

export function accuracySection(title: string, { results, skipped }: Differences): string {
  return section(
    title,
    table(
      ['what', 'numbers', 'largest difference', 'largest value', 'cosine of class tokens, mean (worst)'],
      results.map(({ what, count, difference, largest, cosine }) => [
        what,
        String(count),
        difference.toExponential(1),
        largest.toFixed(2),
        cosine ? `${cosine.mean.toFixed(5)} (${cosine.worst.toFixed(5)})` : '',
      ]),
    ),
    skippedList(skipped),
  );
}

export function kernelsSection(results: readonly KernelResult[]): string {
  return section(
    'Kernels, one thread',
    table(
      ['kernel', 'ms', 'rate', 'of the limit'],
      results.map(({ name, time, rate, unit, share }) => [
        name,
        withSpread(time, 3),
        `${rate.toFixed(rate < 10 ? 2 : 1)} ${unit}`,
        share === undefined ? '' : `${(share * 100).toFixed(0)} %`,
      ]),
    ),
  );
}

export function speedSection({ model, size, rounds, results, skipped, least, scaling, roundTrip }: Speed): string {
  const [first] = results;
  return section(
    `ViT-${model}/14 at ${size} x ${size}, ${rounds} rounds`,
    table(
      ['engine', 'weights', 'threads', 'ms', 'ratio', 'cosine', 'difference'],
      results.map(({ engine, dtype, threads, time, ratio, cosine, difference }) => [
        engine,
        dtype,
        String(threads),
        withSpread(time, time.median < 100 ? 1 : 0),
        withSpread(ratio, 3),
        cosine.toFixed(5),
        difference.toExponential(1),
      ]),
    ),
    first && `Ratio, cosine of the class token and largest difference of the outputs are to ${labelOf(first)}.`,
    least.length > 0 &&
      table(
        ['the arithmetic alone, one thread', 'ms', 'ratio'],
        least.map(({ dtype, time, ratio }) => [dtype, withSpread(time, time.median < 100 ? 1 : 0), withSpread(ratio, 3)]),
      ),
    scaling.length > 0 &&
      table(
        ['more threads than one', 'threads', 'times as fast'],
        scaling.map(({ what, threads, speedup }) => [what, String(threads), withSpread(speedup, 2)]),
      ),
    roundTrip !== undefined && `A word goes from one processor to another and back in ${roundTrip.toFixed(0)} nanoseconds.`,
    skippedList(skipped),
  );
}

export function headsSection({ model, size, rounds, results }: Heads): string {
  const encoders = new Map([...results].reverse().map(({ dtype, least }) => [dtype, least])); // the first of a dtype
  return section(
    `Encoder and heads apart, ViT-${model}/14 at ${size} x ${size}, one thread, ${rounds} rounds`,
    table(
      ['part', 'weights', 'ms', 'time to the encoder', 'arithmetic to it', 'Gop of floats', 'of integers', 'of the limit'],
      results.map(({ name, dtype, time, ratio, work, least }) => [
        name,
        dtype,
        withSpread(time, time.median < 10 ? 2 : 0),
        ratio.median.toFixed(3),
        (least / (encoders.get(dtype) ?? least)).toFixed(3),
        ...[work.floats / 1e9, work.integers / 1e9].map((gop) => gop.toFixed(gop < 1 ? 4 : 1)),
        `${((least / time.median) * 100).toFixed(0)} %`,
      ]),
    ),
    'Gop are those of matrix products, convolutions and attention. The limit is the time of as many bare multiply-adds of floats and of integers, each at the speed that this machine has for its kind; `arithmetic to it` is in these times too.',
  );
}

export function freshSection({ model, runs, results, skipped }: Fresh): string {
  return section(
    `ViT-${model}/14 at 224 x 224 in a new process`,
    table(
      ['engine', 'weights', 'threads', 'first result, ms', 'peak memory, MiB', 'after 2 runs', `after ${runs}`],
      results.map(({ engine, dtype, threads, first, peak, secondRun, lastRun }) => [
        engine,
        dtype,
        String(threads),
        withSpread(first, 0),
        ...[peak, secondRun, lastRun].map(({ median }) => (median / MIB).toFixed(0)),
      ]),
    ),
    skippedList(skipped),
  );
}

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function section(title: string, ...parts: readonly (string | undefined | false)[]): string {
  return [`\n## ${title}`, ...parts.filter((part) => part)].join('\n\n');
}

/** Cases with one reason together. */
function skippedList(skipped: readonly Skipped[]): string {
  const reasons = new Map<string, string[]>();
  for (const item of skipped) reasons.set(item.reason, [...(reasons.get(item.reason) ?? []), labelOf(item)]);
  return [...reasons].map(([reason, labels]) => `- Not measured: ${labels.join('; ')}: ${reason}`).join('\n');
}

function withSpread({ median, low, high }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
