import type { Pixels } from '../image/pixels.ts';
import type { RawImage } from '../image/rawImage.ts';
import type { Point } from '../tasks/frame.ts';
import type { PatchMatch } from '../tasks/match.ts';
import { colormap } from './colormaps.ts';
import { checkRgb, sideBySide } from './picture.ts';

/** Pixels between the photographs. */
const GAP = 8;

type Color = readonly number[];

/**
 * Two photographs side by side, as high as the lower of them, and lines between the places that match, coloured from the left of `a` to its
 * right.
 * @throws {ArgumentError} unless they are RGB
 */
export async function matchPicture(a: RawImage, b: RawImage, matches: readonly PatchMatch[]): Promise<RawImage> {
  const height = Math.min(a.height, b.height);
  const [left, right] = [await atHeight(a, height), await atHeight(b, height)];
  const picture = sideBySide([left, right], { gap: GAP });
  const colors = colormap('turbo');
  const radius = markRadius(left);
  for (const match of matches) {
    const from = scaled(match.a, height / a.height);
    const to = scaled(match.b, height / b.height, left.width + GAP);
    const place = Math.min(Math.max(Math.round((from.x / left.width) * 255), 0), 255);
    const color = colors.slice(place * 3, place * 3 + 3) as unknown as Color;
    drawLine(picture, from, to, { color, width: radius / 2 });
    for (const point of [from, to]) drawMark(picture, point, { color, radius });
  }
  return picture;
}

/** The radius of a mark that is seen in a picture of this size. */
export function markRadius({ width, height }: { width: number; height: number }): number {
  return Math.max(2, Math.min(width, height) / 100);
}

/** A disc with a white border, in place. */
export function drawMark(picture: RawImage, at: Point, { color, radius }: { color: Color; radius: number }): void {
  drawLine(picture, at, at, { color: [255, 255, 255], width: radius * 2 + Math.max(2, radius / 2) });
  drawLine(picture, at, at, { color, width: radius * 2 });
}

/** A line with round ends and smooth edges on an RGB picture, in place, as far as that reaches. */
export function drawLine(picture: RawImage, from: Point, to: Point, { color, width }: { color: Color; width: number }): void {
  checkRgb(picture);
  const reach = width / 2 + 1;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length2 = dx * dx + dy * dy;
  const isFlat = Math.abs(dx) >= Math.abs(dy);
  const [low, high] = isFlat ? [Math.min(from.x, to.x), Math.max(from.x, to.x)] : [Math.min(from.y, to.y), Math.max(from.y, to.y)];
  const slope = isFlat ? (dx ? dy / dx : 0) : dx / dy;
  const across = reach * Math.hypot(1, slope) + reach * Math.abs(slope); // at its ends too
  for (let major = Math.floor(low - reach); major <= high + reach; major++) {
    const middle = isFlat ? from.y + (major + 0.5 - from.x) * slope : from.x + (major + 0.5 - from.y) * slope;
    for (let minor = Math.floor(middle - across); minor <= middle + across; minor++) {
      const [x, y] = isFlat ? [major, minor] : [minor, major];
      if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) continue;
      const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
      const t = length2 > 0 ? Math.min(Math.max((px * dx + py * dy) / length2, 0), 1) : 0;
      const share = Math.min(Math.max(width / 2 + 0.5 - Math.hypot(px - t * dx, py - t * dy), 0), 1);
      if (share > 0) blend(picture, (y * picture.width + x) * 3, color, share);
    }
  }
}

function blend({ data }: Pixels, at: number, color: Color, share: number): void {
  for (let c = 0; c < 3; c++) data[at + c] = Math.round(share * (color[c] as number) + (1 - share) * (data[at + c] as number));
}

function scaled({ x, y }: Point, scale: number, left = 0): Point {
  return { x: x * scale + left, y: y * scale };
}

async function atHeight(image: RawImage, height: number): Promise<RawImage> {
  return image.height === height
    ? image
    : image.resize(Math.max(1, Math.round((image.width * height) / image.height)), height, { resample: 'bicubic' });
}
