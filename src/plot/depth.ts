import { ArgumentError, ShapeError } from '../errors.ts';
import { RawImage } from '../image/rawImage.ts';
import { type DepthKind, type Range, rangeOf } from '../tasks/depth.ts';
import type { Tensor } from '../tensor/index.ts';
import { type ColormapName, colormap } from './colormaps.ts';
import { CHARACTER, drawText, fontScale, textSize } from './font.ts';
import { sideBySide } from './picture.ts';
import { encodeGray16 } from './png.ts';

export interface DepthPictureOptions {
  kind: DepthKind;
  /** The colours from far to near. Default inferno: what is near is bright. */
  colormap?: ColormapName;
  /** Whether a legend tells, on the right, which colours are which depths. Default true. */
  legend?: boolean;
}

/** Lines of text that a number in the legend takes, with the space around it. */
const LINES = 2.5;

/**
 * Depth as colours, from the farthest to the nearest place of the picture: depth (height, width) -> RGB of that size, and a legend beside it.
 * @throws {ShapeError} {ArgumentError}
 */
export function depthPicture(depth: Tensor, { kind, colormap: name = 'inferno', legend = true }: DepthPictureOptions): RawImage {
  const [height, width] = sizeOf(depth);
  const colors = colormap(name);
  const range = finiteRange(depth);
  const data = new Uint8Array(height * width * 3);
  for (const [i, value] of depth.to('float32').data.entries()) data.set(colorOf(colors, nearness(value, range, kind)), i * 3);
  const picture = new RawImage(data, width, height, 3);
  return legend ? sideBySide([picture, legendOf(range, { kind, colors, height, scale: fontScale(picture) })], { gap: 0 }) : picture;
}

/** Depth in a file, and how its numbers are kept there. */
export interface DepthPng {
  /** Of a PNG file with 16 bits a pixel. */
  readonly bytes: Uint8Array;
  /** depth = offset + step * pixel */
  readonly offset: number;
  readonly step: number;
}

/** Steps in a metre: those of KITTI, up to 255 metres. */
const STEPS_PER_METRE = 256;
const MAX_16 = 65535;

/**
 * Depth (height, width) as a grey PNG of 16 bits: metres times 256, as KITTI keeps them; relative depth from its lowest value, 0, to its
 * highest, 65535.
 * @throws {ShapeError}
 */
export async function depthPng(depth: Tensor, { kind }: { kind: DepthKind }): Promise<DepthPng> {
  const [height, width] = sizeOf(depth);
  const { low, high } = finiteRange(depth);
  const offset = kind === 'metric' ? 0 : low;
  const step = kind === 'metric' ? 1 / STEPS_PER_METRE : (high - low || 1) / MAX_16;
  const pixels = Uint16Array.from(depth.to('float32').data, (value) => Math.min(Math.max(Math.round((value - offset) / step), 0), MAX_16));
  return { bytes: await encodeGray16(pixels, { width, height }), offset, step };
}

function sizeOf({ dims }: Tensor): [height: number, width: number] {
  const [height = 0, width = 0] = dims;
  if (dims.length !== 2 || height === 0 || width === 0) throw new ShapeError(`depth: expected (height, width), found [${dims}]`);
  return [height, width];
}

function finiteRange(depth: Tensor): Range {
  const range = rangeOf(depth.to('float32').data);
  if (!Number.isFinite(range.high - range.low))
    throw new ArgumentError(`depth: expected finite numbers, found ${range.low} to ${range.high}`);
  return range;
}

/** 0 is the farthest, 1 the nearest; a half where all is equally far. */
function nearness(value: number, { low, high }: Range, kind: DepthKind): number {
  if (high === low) return 0.5;
  return kind === 'metric' ? (high - value) / (high - low) : (value - low) / (high - low);
}

/** As matplotlib finds a colour: 256 equal parts. */
function colorOf(colors: Uint8Array, part: number): Uint8Array {
  const i = Math.min(Math.floor(part * 256), 255) * 3;
  return colors.subarray(i, i + 3);
}

/** A bar with the colours, the nearest on top, and the depths beside it. */
function legendOf(
  range: Range,
  { kind, colors, height, scale }: { kind: DepthKind; colors: Uint8Array; height: number; scale: number },
): RawImage {
  const line = CHARACTER.height * scale;
  const gap = 8 * scale;
  const bar = { left: gap, top: line + gap / 2, width: 14 * scale, height: height - 2 * line - gap };
  const marks = bar.height > 0 ? marksOf(range, Math.floor(bar.height / (LINES * line)), kind) : [];
  const textLeft = bar.left + bar.width + gap;
  const widest = Math.max(...['near', ...marks.map(({ text }) => text)].map((text) => textSize(text, scale).width));
  const legend = new RawImage(new Uint8Array((textLeft + widest + gap) * height * 3).fill(255), textLeft + widest + gap, height, 3);
  for (let y = 0; y < bar.height; y++) {
    const color = colorOf(colors, 1 - (y + 0.5) / bar.height);
    for (let x = 0; x < bar.width; x++) legend.data.set(color, ((bar.top + y) * legend.width + bar.left + x) * 3);
  }
  drawText(legend, 'near', { left: bar.left, top: 0, scale });
  drawText(legend, 'far', { left: bar.left, top: height - line, scale });
  for (const { value, text } of marks) {
    const y = bar.top + Math.round((1 - nearness(value, range, kind)) * (bar.height - 1));
    for (let row = y; row < y + scale; row++) {
      const begin = row * legend.width + bar.left + bar.width;
      legend.data.fill(0, begin * 3, (begin + gap / 2) * 3);
    }
    drawText(legend, text, { left: textLeft, top: y - Math.floor(line / 2), scale });
  }
  return legend;
}

/** Round numbers in a range, at most so many, and how they are written. */
function marksOf({ low, high }: Range, most: number, kind: DepthKind): { value: number; text: string }[] {
  if (most < 1) return [];
  if (high === low) return [{ value: low, text: written(low, 2, kind) }];
  const least = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= least) as number) * power;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => {
    const value = (first + i) * step;
    return { value, text: written(value, digits, kind) };
  });
}

function written(value: number, digits: number, kind: DepthKind): string {
  return `${value.toFixed(digits)}${kind === 'metric' ? ' m' : ''}`;
}
