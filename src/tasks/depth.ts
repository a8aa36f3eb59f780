import { RawImage } from '../image/rawImage.ts';
import { DepthAnythingConfig } from '../models/depthConfig.ts';
import type { Float32 } from '../tensor/index.ts';

/** What numbers of depth mean: metres from the camera, or something without a unit that is larger where it is nearer. */
export type DepthKind = 'metric' | 'relative';

/** What a model of this configuration gives: relative depth is what a Depth Anything has unless it says metric. */
export function depthKind(config: object): DepthKind {
  return config instanceof DepthAnythingConfig ? config.depth_estimation_type : 'metric';
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The least and the largest of one or more numbers; NaN where one is. */
export function rangeOf(values: Iterable<number>): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { low, high };
}

/** Depth (height, width) as a grey picture, from the lowest value, black, to the highest, white. Black where all is the same. */
export function depthImage(depth: Float32): RawImage {
  const [height, width] = depth.dims as [number, number];
  const { low, high } = rangeOf(depth.data);
  const scale = high > low ? 255 / (high - low) : 0;
  return new RawImage(
    Uint8Array.from(depth.data, (value) => (value - low) * scale),
    width,
    height,
    1,
  );
}
