import { ShapeError } from '../errors.ts';
import { RawImage } from '../image/rawImage.ts';
import type { Tensor } from '../tensor/index.ts';

/** A label that is in a picture. */
export interface Segment {
  /** The number of the label. */
  readonly id: number;
  readonly label: string;
  /** Part of the picture that has it: above 0, up to 1. */
  readonly part: number;
}

/**
 * The labels in a segmentation (height, width), each once, by their numbers.
 * @param id2label the names; a number without one is LABEL_ and the number
 * @throws {ShapeError}
 */
export function segmentsOf(segmentation: Tensor<'int32'>, id2label: Readonly<Record<number, string>>): Segment[] {
  if (segmentation.dims.length !== 2) throw new ShapeError(`segmentation: expected (height, width), found [${segmentation.dims}]`);
  const counts = new Map<number, number>();
  for (const id of segmentation.data) counts.set(id, (counts.get(id) ?? 0) + 1);
  return Array.from(counts, ([id, count]) => ({ id, label: id2label[id] ?? `LABEL_${id}`, part: count / segmentation.size })).sort(
    (a, b) => a.id - b.id,
  );
}

/** Where a label is: a picture (height, width) of one channel, 255 there and 0 elsewhere. */
export function maskOf(segmentation: Tensor<'int32'>, id: number): RawImage {
  const [height, width] = segmentation.dims as [number, number];
  return new RawImage(
    Uint8Array.from(segmentation.data, (label) => (label === id ? 255 : 0)),
    width,
    height,
    1,
  );
}
