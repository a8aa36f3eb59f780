import { ShapeError } from '../errors.ts';
import type { Pixels } from '../image/pixels.ts';
import { RawImage } from '../image/rawImage.ts';
import type { Segment } from '../tasks/segmentation.ts';
import type { Tensor } from '../tensor/index.ts';
import { CHARACTER, drawText, fontScale, textSize } from './font.ts';
import { sideBySide } from './picture.ts';

export interface SegmentationPictureOptions {
  /** The labels that are in it, for the legend; see `segmentsOf`. */
  segments: readonly Segment[];
  /** How much of a pixel is the colour of its label, and not the image: 0 to 1. Default 0.6. */
  opacity?: number;
  /** Whether a legend tells, on the right, which colours are which labels, the largest on top. Default true. */
  legend?: boolean;
}

type Color = readonly [red: number, green: number, blue: number];

/**
 * The labels of pixels as colours over the image: segmentation (height, width) and the RGB image of that size -> RGB of that size, and a
 * legend beside it.
 * @throws {ShapeError} when the sizes differ
 */
export function segmentationPicture(
  image: Pixels,
  segmentation: Tensor<'int32'>,
  { segments, opacity = 0.6, legend = true }: SegmentationPictureOptions,
): RawImage {
  const { width, height, channels } = image;
  if (channels !== 3 || segmentation.dims.join() !== [height, width].join()) {
    throw new ShapeError(
      `segmentation: expected [${height},${width}] and an RGB image, found [${segmentation.dims}] and ${channels} channels`,
    );
  }
  const colors = new Map(segments.map(({ id }) => [id, labelColor(id)]));
  const data = new Uint8Array(width * height * 3);
  for (const [i, id] of segmentation.data.entries()) {
    const color = colors.get(id) ?? labelColor(id);
    for (let c = 0; c < 3; c++) {
      data[i * 3 + c] = Math.round(opacity * (color[c] as number) + (1 - opacity) * (image.data[i * 3 + c] as number));
    }
  }
  const picture = new RawImage(data, width, height, 3);
  return legend ? sideBySide([picture, legendOf(segments, height, fontScale(picture))], { gap: 0 }) : picture;
}

/** The colour of a label in the colour map of PASCAL VOC, of which the first, black, is left out: its bits dealt out to the three colours. */
export function labelColor(id: number): Color {
  const color: [number, number, number] = [0, 0, 0];
  for (let rest = id + 1, bit = 7; rest > 0 && bit >= 0; rest >>= 3, bit--) {
    for (let c = 0; c < 3; c++) color[c] = (color[c] as number) | (((rest >> c) & 1) << bit);
  }
  return color;
}

/** Squares of colour with the labels and the parts of the picture that they have, as many as there is room for. */
function legendOf(segments: readonly Segment[], height: number, scale: number): RawImage {
  const gap = 6 * scale;
  const line = (CHARACTER.height + 3) * scale;
  const room = Math.max(1, Math.floor((height - gap) / line));
  const sorted = [...segments].sort((a, b) => b.part - a.part);
  const isAll = sorted.length <= room;
  const shown = isAll ? sorted : sorted.slice(0, room - 1);
  const texts = shown.map(({ label, part }) => `${label} ${part < 0.0005 ? '<0.1' : (part * 100).toFixed(part < 0.0995 ? 1 : 0)} %`);
  const lines = isAll ? texts : [...texts, `and ${sorted.length - shown.length} more`];
  const square = CHARACTER.height * scale;
  const textLeft = gap + square + gap;
  const width = textLeft + Math.max(...lines.map((text) => textSize(text, scale).width)) + gap;
  const legend = new RawImage(new Uint8Array(width * height * 3).fill(255), width, height, 3);
  for (const [i, text] of lines.entries()) {
    const top = gap + i * line;
    const segment = shown[i];
    if (segment) fill(legend, labelColor(segment.id), { left: gap, top, size: square });
    drawText(legend, text, { left: textLeft, top, scale });
  }
  return legend;
}

function fill(picture: RawImage, color: Color, { left, top, size }: { left: number; top: number; size: number }): void {
  for (let y = top; y < Math.min(top + size, picture.height); y++) {
    for (let x = left; x < left + size; x++) picture.data.set(color, (y * picture.width + x) * 3);
  }
}
