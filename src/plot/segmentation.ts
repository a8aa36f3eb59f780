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
  /** Default those of PASCAL VOC without the first, black, so that every label has a colour. */
  colors?: LabelColors;
  /** Whether a legend tells, on the right, which colours are which labels, the largest on top. Default true. */
  legend?: boolean;
}

/** Colours of labels, as pictures of that data set have them. */
export type LabelColors = 'ade20k' | 'voc2012';

type Color = readonly [red: number, green: number, blue: number];

/**
 * The labels of pixels as colours over the image: segmentation (height, width) and the RGB image of that size -> RGB of that size, and a
 * legend beside it.
 * @throws {ShapeError} when the sizes differ
 */
export function segmentationPicture(
  image: Pixels,
  segmentation: Tensor<'int32'>,
  { segments, opacity = 0.6, colors, legend = true }: SegmentationPictureOptions,
): RawImage {
  const { width, height, channels } = image;
  if (channels !== 3 || segmentation.dims.join() !== [height, width].join()) {
    throw new ShapeError(
      `segmentation: expected [${height},${width}] and an RGB image, found [${segmentation.dims}] and ${channels} channels`,
    );
  }
  const known = new Map(segments.map(({ id }) => [id, labelColor(id, colors)]));
  const data = new Uint8Array(width * height * 3);
  for (const [i, id] of segmentation.data.entries()) {
    const color = known.get(id) ?? labelColor(id, colors);
    for (let c = 0; c < 3; c++) {
      data[i * 3 + c] = Math.round(opacity * (color[c] as number) + (1 - opacity) * (image.data[i * 3 + c] as number));
    }
  }
  const picture = new RawImage(data, width, height, 3);
  return legend ? sideBySide([picture, legendOf(segments, { height, scale: fontScale(picture), colors })], { gap: 0 }) : picture;
}

/** Of the 150 labels of ADE20K, two hexadecimal digits a colour (facebookresearch/dinov2, dinov2/eval/segmentation/utils/colormaps.py). */
const ADE20K =
  '787878b4787806e6e650323204c8037878508c8c8ccc05ffe6e6e604fa07e005ffebff0796053d78784608ff33ff06528fff8cccff04ff3307cc46030066c8' +
  '3de6faff06330b66ffff0747ff09e00907e6dcdcdcff095c7009ff08ffd607ffe0ffb8060aff47ff290a07ffffe0ff086608ffff3d06ffc207ff7a0800ff14' +
  'ff0829ff05990633ffeb0cffa0961400a3ff8c8c8cfa0a0f14ff001fff00ff1f00ffe00099ff000000ffff470000ebff00adff1f00ff0bc8c8ff520000fff5' +
  '003dff00ff7000ff85ff0000ffa300ff6600c2ff00008fff33ff000052ff00ff2900ffad0a00ffadff0000ff99ff5c00ff00ffff00f5ff0066ffad00ff0014' +
  'ffb8b8001fff00ff3d0047ffff00cc00ffc200ff52000aff0070ff3300ff00c2ff007aff00ffa3ff990000ff0aff70008fff005200ffa3ff00ffeb0008b8aa' +
  '8500ff00ff5cb800ffff001f00b8ff00d6ffff00705cff0000e0ff70e0ff46b8a0a300ff9900ff47ff00ff00a3ffcc00ff008f00ffeb85ff00ff00ebf500ff' +
  'ff007afff5000abed4d6ff0000ccff1400ffffff000099ff0029ff00ffcc2900ff29ff00ad00ff00f5ff4700ff7a00ff00ffb8005cffb8ff000085ffffd600' +
  '19c2c266ff005c00ff';

/**
 * The colour of a label: in pictures of ADE20K, of PASCAL VOC, whose first label is black, or in the colour map of PASCAL VOC without that. There the
 * bits of a number are dealt out to the three colours.
 */
export function labelColor(id: number, colors?: LabelColors): Color {
  if (colors === 'ade20k' && id < ADE20K.length / 6) {
    return [0, 2, 4].map((at) => Number.parseInt(ADE20K.slice(6 * id + at, 6 * id + at + 2), 16)) as unknown as Color;
  }
  const color: [number, number, number] = [0, 0, 0];
  for (let rest = colors === 'voc2012' ? id : id + 1, bit = 7; rest > 0 && bit >= 0; rest >>= 3, bit--) {
    for (let c = 0; c < 3; c++) color[c] = (color[c] as number) | (((rest >> c) & 1) << bit);
  }
  return color;
}

/** Squares of colour with the labels and the parts of the picture that they have, as many as there is room for. */
function legendOf(
  segments: readonly Segment[],
  { height, scale, colors }: { height: number; scale: number; colors: LabelColors | undefined },
): RawImage {
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
    if (segment) fill(legend, labelColor(segment.id, colors), { left: gap, top, size: square });
    drawText(legend, text, { left: textLeft, top, scale });
  }
  return legend;
}

function fill(picture: RawImage, color: Color, { left, top, size }: { left: number; top: number; size: number }): void {
  for (let y = top; y < Math.min(top + size, picture.height); y++) {
    for (let x = left; x < left + size; x++) picture.data.set(color, (y * picture.width + x) * 3);
  }
}
