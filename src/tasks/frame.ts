import { ArgumentError, ShapeError } from '../errors.ts';
import type { BitImageProcessor, Extent, ProcessorOutput } from '../image/processor.ts';
import type { ImageInput, ReadOptions } from '../image/rawImage.ts';
import { RawImage } from '../image/rawImage.ts';
import type { Dinov2Config } from '../models/config.ts';
import { gridOf } from '../models/inputs.ts';
import type { Tensor } from '../tensor/index.ts';

/**
 * A place in a photograph, in its pixels: x from its left edge, y from its upper. The first pixel reaches from 0 to 1, so that its middle
 * is at 0.5.
 */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A patch, from 0; with fractions a place between the middles of patches. */
export interface Patch {
  readonly row: number;
  readonly column: number;
}

/** Where the patches that a model sees lie in a photograph, in pixels of it: the grid may reach beyond it, or leave edges out. */
export interface PatchFrame {
  readonly rows: number;
  readonly columns: number;
  /** Of the first patch. */
  readonly left: number;
  readonly top: number;
  /** Of each patch. */
  readonly patchWidth: number;
  readonly patchHeight: number;
}

/** Where the patches of a picture lie that an image processor has resized and cropped. @throws {ShapeError} */
export function patchFrame(
  config: Dinov2Config,
  { pixel_values, views }: Pick<ProcessorOutput, 'pixel_values' | 'views'>,
  { picture = 0 }: { picture?: number } = {},
): PatchFrame {
  const [, , height = 0, width = 0] = pixel_values.dims;
  const view = views[picture];
  if (!view) throw new ShapeError(`picture: expected one of ${views.length} from 0 on, found ${picture}`);
  const [rows, columns] = gridOf(config, height, width);
  const [patchHeight, patchWidth] = config.patchSize;
  return {
    ...{ rows, columns, left: view.left, top: view.top },
    patchWidth: (patchWidth * view.width) / width,
    patchHeight: (patchHeight * view.height) / height,
  };
}

/** The middle of a patch in the photograph. */
export function pointOf({ left, top, patchWidth, patchHeight }: PatchFrame, { row, column }: Patch): Point {
  return { x: left + (column + 0.5) * patchWidth, y: top + (row + 0.5) * patchHeight };
}

/** The patch that a point of the photograph is in. @throws {ArgumentError} when none is there */
export function patchAt({ rows, columns, left, top, patchWidth, patchHeight }: PatchFrame, { x, y }: Point): Patch {
  const row = Math.floor((y - top) / patchHeight);
  const column = Math.floor((x - left) / patchWidth);
  if (row >= 0 && row < rows && column >= 0 && column < columns) return { row, column };
  const [right, bottom] = [left + columns * patchWidth, top + rows * patchHeight].map((edge) => Number(edge.toFixed(2)));
  const [first, upper] = [left, top].map((edge) => Number(edge.toFixed(2)));
  throw new ArgumentError(`point: expected x from ${first} to ${right} and y from ${upper} to ${bottom}, found ${x},${y}`);
}

/** A photograph as a model sees it, and where its patches lie in it. */
export interface WholePhoto {
  /** As it was read. */
  readonly image: RawImage;
  /** (1, 3, height, width) */
  readonly pixel_values: Tensor<'float32'>;
  readonly frame: PatchFrame;
}

/**
 * The whole of a photograph for a model, its shorter edge scaled to `shortestEdge` pixels, its proportions kept as well as whole patches can.
 * @throws {ImageError} {NotFoundError} {ArgumentError}
 */
export async function wholePhoto(
  input: ImageInput,
  {
    processor,
    config,
    shortestEdge,
    ...reading
  }: ReadOptions & { processor: BitImageProcessor; config: Dinov2Config; shortestEdge: number },
): Promise<WholePhoto> {
  const image = (await RawImage.read(input, { limits: processor.limits, ...reading })).rgb();
  const size = patchAlignedSize(image, { shortestEdge, config });
  const output = await processor(image, { limits: reading.limits, do_resize: true, size, do_center_crop: false });
  return { image, pixel_values: output.pixel_values, frame: patchFrame(config, output) };
}

/**
 * The size nearest to an image's, its shorter edge scaled to `shortestEdge` pixels, that whole patches cover.
 * @throws {ArgumentError} unless shortestEdge is at least one patch
 */
export function patchAlignedSize(image: Extent, { shortestEdge, config }: { shortestEdge: number; config: Dinov2Config }): Extent {
  const [patchHeight, patchWidth] = config.patchSize;
  if (!(shortestEdge >= Math.max(patchHeight, patchWidth) && Number.isFinite(shortestEdge))) {
    throw new ArgumentError(`shortestEdge: expected at least a patch, ${patchHeight} x ${patchWidth} pixels, found ${shortestEdge}`);
  }
  const scale = shortestEdge / Math.min(image.height, image.width);
  return {
    height: Math.round((image.height * scale) / patchHeight) * patchHeight,
    width: Math.round((image.width * scale) / patchWidth) * patchWidth,
  };
}
