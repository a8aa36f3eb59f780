import type { Spread } from '../measure.ts';
import { labelOf } from '../models/cases.ts';
import type { Report } from './report.ts';

/** Bars on one scale from zero. */
export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly label: string;
  /** Bars of one series have one colour. */
  readonly series: string;
  readonly value: Spread;
}

/** In pixels. */
const WIDTH = 860;
const MARGIN = 24;
const LABELS = 250;
/** For the number behind a bar. */
const NUMBERS = 70;
const BAR = 18;
const STEP = 24;
const TITLE = 40;
const HEADER = 72;

/** Colours of Okabe and Ito (2008), which people with impaired colour vision tell apart. */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7'];
const OURS = /^dinov2-wasm/;

const MIB = 2 ** 20;

/** A chart of the models' speed, first results and memory, as SVG. @throws {Error} when nothing of that was measured */
export function chart(report: Report): string {
  const panels = panelsOf(report);
  if (panels.length === 0) throw new Error('--svg: expected a section with a chart (models, fresh), found none that gave a figure');
  const series = [...new Set(panels.flatMap(({ bars }) => bars.map((bar) => bar.series)))];
  const colours = new Map(series.filter((name) => !OURS.test(name)).map((name, i) => [name, COLOURS[1 + (i % (COLOURS.length - 1))]]));
  let y = HEADER;
  const parts = panels.map((panel) => {
    const part = panelToSvg(panel, y, (name) => colours.get(name) ?? COLOURS[0]);
    y += TITLE + panel.bars.length * STEP + 8;
    return part;
  });
  const height = y + MARGIN;
  const subtitle = `Node ${report.node}, ${report.cpu}, ${report.date.slice(0, 10)}. Medians; whiskers: quartiles. Shorter is better.`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13" fill="#222">
<title>DINOv2 on WebAssembly engines</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${MARGIN}" y="34" font-size="20" font-weight="bold">DINOv2 on WebAssembly engines</text>
<text x="${MARGIN}" y="56" fill="#666">${escaped(subtitle)}</text>
${parts.join('\n')}
</svg>
`;
}

/** What of a report can be drawn. */
export function panelsOf({ models, fresh }: Report): Panel[] {
  const panels: Panel[] = models.map(({ model, size, results }) => ({
    title: `ViT-${model}/14 at ${size} × ${size}: milliseconds a picture`,
    bars: results.map((result) => ({ label: labelOf(result), series: result.engine, value: result.time })),
  }));
  for (const [key, title, unit] of [
    ['first', 'first result in a new process, milliseconds', 1],
    ['peak', 'peak of resident memory, MiB', MIB],
  ] as const) {
    const bars = fresh?.results.map((result) => {
      const { median, low, high } = result[key];
      return { label: labelOf(result), series: result.engine, value: { median: median / unit, low: low / unit, high: high / unit } };
    });
    panels.push({ title: `ViT-${fresh?.model}/14 at 224 × 224: ${title}`, bars: bars ?? [] });
  }
  return panels.filter(({ bars }) => bars.length > 0);
}

function panelToSvg({ title, bars }: Panel, top: number, colourOf: (series: string) => string): string {
  const largest = Math.max(...bars.map(({ value }) => Math.max(value.median, value.high)));
  const x = (value: number): string => (MARGIN + LABELS + (value / largest) * (WIDTH - 2 * MARGIN - LABELS - NUMBERS)).toFixed(1);
  const lines = bars.map(({ label, series, value: { median, low, high } }, i) => {
    const y = top + TITLE + i * STEP;
    const middle = y + BAR / 2;
    const bold = OURS.test(series) ? ' font-weight="bold"' : '';
    const whisker = `M${x(low)} ${middle}H${x(high)}M${x(low)} ${middle - 4}v8M${x(high)} ${middle - 4}v8`;
    return `<text x="${MARGIN + LABELS - 8}" y="${middle + 4.5}" text-anchor="end"${bold}>${escaped(label)}</text>
<rect x="${x(0)}" y="${y}" width="${(Number(x(median)) - Number(x(0))).toFixed(1)}" height="${BAR}" fill="${colourOf(series)}"/>
${low < high ? `<path d="${whisker}" stroke="#222" fill="none"/>` : ''}
<text x="${Number(x(Math.max(median, high))) + 8}" y="${middle + 4.5}"${bold}>${number(median)}</text>`;
  });
  return `<text x="${MARGIN}" y="${top + 26}" font-size="15" font-weight="bold">${escaped(title)}</text>\n${lines.join('\n')}`;
}

function number(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
